"""Searches on their way into the journal: a bounded queue that a thread empties in batches.

Recording never slows or fails a search. What does not fit, or cannot be handed to the inbox, is
dropped and counted.
"""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from indexer.telemetry import log
from reranker.serving import metrics

Send = Callable[[Sequence[Mapping[str, Any]]], None]
WAIT_SECONDS = 0.25


class Recorder:
    """Takes one UBI query document a search; `send` hands a batch of them on."""

    def __init__(self, send: Send, *, queue_max: int, batch_max: int) -> None:
        self._send = send
        self._batch_max = batch_max
        self._waiting: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._queue_max = queue_max
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def record(self, query: Mapping[str, Any]) -> None:
        """Take a search, or drop it when too many wait already."""
        if self._waiting.qsize() >= self._queue_max:
            metrics.RECORDS_DROPPED.labels("queue_full").inc()
            return
        self._waiting.put(query)

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
            batch: list[Mapping[str, Any]] = []
            while len(batch) < self._batch_max and not self._waiting.empty():
                batch.append(self._waiting.get())
            try:
                self._send(batch)
            except Exception as error:  # noqa: BLE001 - whatever the broker says, searches go on
                metrics.RECORDS_DROPPED.labels("inbox_failed").inc(len(batch))
                log("recorder").warning(
                    "records_dropped", searches=len(batch), error=type(error).__name__
                )
