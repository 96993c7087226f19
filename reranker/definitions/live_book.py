"""The definitions that hold in this process, looked after by a thread, never by a search.

While Elasticsearch does not answer, what was known last holds.
"""

import threading
from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from indexer.errors import HitweaveError
from indexer.telemetry import log

Store = TypeVar("Store")


class LiveBook(ABC, Generic[Store]):
    """What a store holds as live, at the most `poll_seconds` old; `what` is said in the log."""

    what: ClassVar[str]

    def __init__(self, store: Store, *, poll_seconds: float) -> None:
        self.store = store
        self._poll_seconds = poll_seconds
        self._stop = threading.Event()
        self._failed = False

    @abstractmethod
    def look(self) -> None:
        """Read what is live; raises ElasticsearchUnavailable."""

    def start(self) -> None:
        """Look once now, then again and again in a thread."""
        self._try_to_look()
        threading.Thread(target=self._run, name=self.what, daemon=True).start()

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            self._try_to_look()

    def _try_to_look(self) -> None:
        """Look; of failures in a row the first is logged."""
        failed_before, self._failed = self._failed, True
        try:
            self.look()
            self._failed = False
        except HitweaveError as error:
            if not failed_before:
                log(self.what).warning(f"{self.what}_not_read", reason=error.message)
        except Exception as error:  # noqa: BLE001 - the next look may be better
            if not failed_before:
                log(self.what).warning(f"{self.what}_not_read", error=type(error).__name__)
