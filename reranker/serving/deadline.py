"""The time a request has, split among its parts; the clock is passed in."""

import time
from collections.abc import Callable
from dataclasses import dataclass

LEAST_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a request must be answered; `clock` is monotonic, in seconds."""

    started: float
    seconds: float
    clock: Callable[[], float] = time.perf_counter

    def left(self, share: float = 1.0) -> float:
        """Seconds that a part may still take: `share` of the whole, within what is left."""
        rest = self.started + self.seconds - self.clock()
        return max(min(rest, self.seconds * share), LEAST_SECONDS)

    def passed(self, share: float = 1.0) -> bool:
        """Whether `share` of the time is used up."""
        return self.clock() - self.started >= self.seconds * share

    def took_ms(self) -> float:
        """Milliseconds since the request came."""
        return (self.clock() - self.started) * 1000.0
