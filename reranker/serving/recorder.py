"""What a search leaves behind for the workers: a bounded queue that a thread empties in batches.

It never slows or fails a search. What does not fit, or cannot be handed to the inbox, is dropped
and counted.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from indexer.telemetry import log
from reranker.serving import metrics
from reranker.signals import served
from reranker.signals.served import Served

Document = Mapping[str, Any]
Entry = TypeVar("Entry")
WAIT_SECONDS = 0.25
RECORD_TASK, RECORD_QUEUE = "indexer.behaviour.tasks.record_queries", "behaviour"


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """A search as it is recorded: its UBI query document, and what the model saw of its hits."""

    document: Document
    served: Served | None = None


class Recorder(Generic[Entry]):
    """Takes entries of an index; `send` hands a batch of them on."""

    def __init__(
        self, send: Callable[[str, Sequence[Entry]], None], *, queue_max: int, batch_max: int
    ) -> None:
        self._send = send
        self._batch_max = batch_max
        self._waiting: queue.SimpleQueue[tuple[str, Entry]] = queue.SimpleQueue()
        self._queue_max = queue_max
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def record(self, index: str, entry: Entry) -> None:
        """Take an entry, or drop it when too many wait already."""
        if self._waiting.qsize() >= self._queue_max:
            metrics.RECORDS_DROPPED.labels("queue_full").inc()
            return
        self._waiting.put((index, entry))

    def close(self) -> None:
        """Hand on what waits, then end."""
        self._stop.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while not self._stop.wait(WAIT_SECONDS):
            self._empty()
        self._empty()

    def _empty(self) -> None:
        while not self._waiting.empty():
            batches: dict[str, list[Entry]] = {}
            for _ in range(self._batch_max):
                if self._waiting.empty():
                    break
                index, entry = self._waiting.get()
                batches.setdefault(index, []).append(entry)
            for index, batch in batches.items():
                self._hand_on(index, batch)

    def _hand_on(self, index: str, batch: Sequence[Entry]) -> None:
        try:
            self._send(index, batch)
        except Exception as error:  # noqa: BLE001 - whatever the broker says, searches go on
            metrics.RECORDS_DROPPED.labels("inbox_failed").inc(len(batch))
            log("recorder").warning(
                "entries_dropped", index=index, entries=len(batch), error=type(error).__name__
            )


def send_searches(
    pseudonym_key: str, clock: Callable[[], float] = time.time
) -> Callable[[str, Sequence[Search]], None]:
    """Hands searches to the workers, with pseudonyms in place of ids from here on."""

    def send(index: str, batch: Sequence[Search]) -> None:
        from indexer import inbox

        now = clock()
        documents = [journalled(search, pseudonym_key, now) for search in batch]
        inbox.submit(RECORD_TASK, RECORD_QUEUE, index=index, documents=documents)

    return send


def journalled(search: Search, pseudonym_key: str, now: float) -> dict[str, Any]:
    """The document of a search as the journal takes it from the sidecar."""
    from indexer.behaviour import ubi

    _, document = ubi.read(dict(search.document), key=pseudonym_key, now=now, live=True)
    if search.served is not None:
        document[ubi.SERVED] = served.encode(search.served)
    return document
