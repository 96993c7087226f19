"""Looking something up at Elasticsearch in threads apart, waited for as long as a request may.

Of one name there is one look at a time, which all who need it share. It goes on when nobody waits
any more, so whoever looks keeps what it found; and while it is overdue nobody waits for it again.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from indexer.errors import ElasticsearchUnavailable

Found = TypeVar("Found")
LOOKS_AT_ONCE = 4


@dataclass(eq=False)
class _Look(Generic[Found]):
    """One look; `begun` in monotonic seconds."""

    begun: float
    found: Future[Found] = field(default_factory=Future)


class Lookouts(Generic[Found]):
    """The looks under way, by name."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKS_AT_ONCE, thread_name_prefix="lookout")
        self._lock = threading.Lock()
        self._running: dict[str, _Look[Found]] = {}

    def look(self, name: str, ask: Callable[[], Found], wait_seconds: float) -> Found:
        """What `ask` finds or raises; raises ElasticsearchUnavailable where it takes longer than
        `wait_seconds` from when the look began.
        """
        with self._lock:
            look = self._running.get(name) or self._begin(name, ask)
        try:
            return look.found.result(max(look.begun + wait_seconds - time.monotonic(), 0.0))
        except TimeoutError as error:
            raise ElasticsearchUnavailable(
                f"Elasticsearch did not tell within {wait_seconds:.1f} s how its indices are "
                "configured: see whether it hangs"
            ) from error

    def forget(self, name: str) -> None:
        """The next look begins anew, even where one is under way."""
        with self._lock:
            self._running.pop(name, None)

    def close(self) -> None:
        """Begin no further look."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, name: str, ask: Callable[[], Found]) -> _Look[Found]:
        look: _Look[Found] = _Look(time.monotonic())
        self._running[name] = look
        self._threads.submit(self._run, name, look, ask)
        return look

    def _run(self, name: str, look: _Look[Found], ask: Callable[[], Found]) -> None:
        try:
            found = ask()
        except BaseException as error:  # noqa: BLE001 - whoever waits for it raises it
            self._end(name, look)
            look.found.set_exception(error)
        else:
            self._end(name, look)
            look.found.set_result(found)

    def _end(self, name: str, look: _Look[Found]) -> None:
        with self._lock:
            if self._running.get(name) is look:
                del self._running[name]
