"""A gunicorn worker whose processes share out connections evenly.

All processes wait on one listening socket. Where several are idle the kernel wakes them all, and
the same one is first each time: clients that keep their connections then have them all in one
process, which computes on one core however many there are. So a process that has more connections
than another one leaves a new one to it for a moment.
"""

import mmap
import socket
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

# How long a connection is left to others. A process that waits for one is there at once; one that
# is stopped or busy must not hold it up.
LEFT_SECONDS, LOOK_AGAIN_SECONDS = 0.005, 0.0001
# Who looks later than this looks at another connection.
SAME_SECONDS = 0.02
PROCESSES_MAX = 256
NOBODY = -1


class Tally:
    """How many connections each process has: memory that is made before they are forked."""

    def __init__(self) -> None:
        self._counts = memoryview(mmap.mmap(-1, 8 * PROCESSES_MAX)).cast("q")
        for place in range(PROCESSES_MAX):
            self._counts[place] = NOBODY

    def say(self, process: int, count: int) -> None:
        """The number of a process's connections, NOBODY where it has ended."""
        self._counts[process % PROCESSES_MAX] = count

    def others(self, process: int) -> list[int]:
        """Those of all other processes that there are."""
        own = process % PROCESSES_MAX
        return [it for at, it in enumerate(self._counts) if it != NOBODY and at != own]


class Leaving:
    """Whether a connection that waits is left to others."""

    def __init__(self) -> None:
        self._since = self._looked = -SAME_SECONDS
        self._taken = 0

    def leaves(self, own: int, others: list[int], now: float) -> bool:
        """At `now` on a monotonic clock, by numbers of connections; asked again while it waits."""
        taken = sum(others)
        if taken != self._taken or now - self._looked > SAME_SECONDS:
            self._since = now
        self._taken, self._looked = taken, now
        return min(others, default=own) < own and now - self._since < LEFT_SECONDS


tally = Tally()


class EvenWorker(ThreadWorker):  # type: ignore[misc]
    """Threads for requests, as gunicorn has them; connections where there are fewest."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._leaving = Leaving()

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection, unless it was just there and another process has fewer."""
        if self._leaving.leaves(self.nr_conns, tally.others(self.age), time.monotonic()):
            time.sleep(LOOK_AGAIN_SECONDS)
            return  # where nobody takes it, the listener is ready again
        super().accept(listener)
        tally.say(self.age, self.nr_conns)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """One round of the loop, after saying what there is."""
        tally.say(self.age, self.nr_conns)
        super().wait_for_and_dispatch_events(timeout)
