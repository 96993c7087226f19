"""The time a request has, split among its parts; the clock is passed in."""

import time
from collections.abc import Callable
from dataclasses import dataclass

LEAST_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a request must be answered; `clock` is monotonic, in seconds.

    `late_seconds` are what may still be waited after it for the least answer that there is.
    """

    started: float
    seconds: float
    late_seconds: float = 0.0
    clock: Callable[[], float] = time.perf_counter

    def left(self, share: float = 1.0) -> float:
        """Seconds that a part may still take: `share` of the whole, within what is left."""
        rest = self.started + self.seconds - self.clock()
        return max(min(rest, self.seconds * share), LEAST_SECONDS)

    def left_at_last(self) -> float:
        """Seconds until not even the least answer is waited for any more."""
        end = self.started + self.seconds + self.late_seconds
        return max(end - self.clock(), LEAST_SECONDS)

    def over(self) -> bool:
        """Whether not even the least answer is waited for any more."""
        return self.left_at_last() <= LEAST_SECONDS

    def passed(self, share: float = 1.0) -> bool:
        """Whether `share` of the time is used up."""
        return self.clock() - self.started >= self.seconds * share

    def took_ms(self) -> float:
        """Milliseconds since the request came."""
        return (self.clock() - self.started) * 1000.0
