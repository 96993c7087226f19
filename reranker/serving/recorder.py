"""Searches on their way into the journal: a bounded queue that a thread empties in batches.

Recording never slows or fails a search. What does not fit, or cannot be handed to the inbox, is
dropped and counted.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from indexer.telemetry import log
from reranker.serving import metrics

Document = Mapping[str, Any]
Send = Callable[[str, Sequence[Document]], None]
WAIT_SECONDS = 0.25
RECORD_TASK, RECORD_QUEUE = "indexer.behaviour.tasks.record_queries", "behaviour"


class Recorder:
    """Takes one UBI query document a search; `send` hands an index's batch of them on."""

    def __init__(self, send: Send, *, queue_max: int, batch_max: int) -> None:
        self._send = send
        self._batch_max = batch_max
        self._waiting: queue.SimpleQueue[tuple[str, Document]] = queue.SimpleQueue()
        self._queue_max = queue_max
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def record(self, index: str, query: Document) -> None:
        """Take a search, or drop it when too many wait already."""
        if self._waiting.qsize() >= self._queue_max:
            metrics.RECORDS_DROPPED.labels("queue_full").inc()
            return
        self._waiting.put((index, query))

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
            batches: dict[str, list[Document]] = {}
            for _ in range(self._batch_max):
                if self._waiting.empty():
                    break
                index, query = self._waiting.get()
                batches.setdefault(index, []).append(query)
            for index, batch in batches.items():
                self._hand_on(index, batch)

    def _hand_on(self, index: str, batch: Sequence[Document]) -> None:
        try:
            self._send(index, batch)
        except Exception as error:  # noqa: BLE001 - whatever the broker says, searches go on
            metrics.RECORDS_DROPPED.labels("inbox_failed").inc(len(batch))
            log("recorder").warning(
                "records_dropped", index=index, searches=len(batch), error=type(error).__name__
            )


def send_to_inbox(pseudonym_key: str, clock: Callable[[], float] = time.time) -> Send:
    """Hands searches to the workers, with pseudonyms in place of ids from here on."""

    def send(index: str, batch: Sequence[Document]) -> None:
        from indexer import inbox
        from indexer.behaviour import ubi

        now = clock()
        documents = [ubi.read(dict(raw), key=pseudonym_key, now=now, live=True)[1] for raw in batch]
        inbox.submit(RECORD_TASK, RECORD_QUEUE, index=index, documents=documents)

    return send
