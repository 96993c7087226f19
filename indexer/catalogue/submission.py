"""Sends a feed to the workers in chunks, and waits: the sending half of a catalogue job.

A bounded number of chunks is under way at once, so that neither the broker nor this process grows
with the file.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from indexer import inbox
from indexer.catalogue.job import Job
from indexer.catalogue.product import Product, ProductUpdate
from indexer.catalogue.tally import Counts, Rejection
from indexer.errors import ElasticsearchUnavailable, StackFailed, WriteFailed

WRITE = "indexer.tasks.write_chunk"
UNDER_WAY_MAX = 48
POLL_SECONDS = 0.05
STALL_SECONDS = 2.0  # between looks at who listens, while nothing moves
NOBODY_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a chunk may hold."""

    items: int
    bytes: int


def chunks(
    products: Iterable[tuple[int, Product]], limits: Limits, now_ms: Callable[[], int]
) -> Iterator[list[dict[str, Any]]]:
    """Updates as plain data in chunks; the time of arrival is a chunk's, no two have the same."""
    chunk: list[dict[str, Any]] = []
    total_bytes = received_at = 0
    for line, product in products:
        if not chunk:
            received_at = max(now_ms(), received_at + 1)
        update = ProductUpdate.model_construct(
            product=product, received_at_ms=received_at, line=line
        ).to_json()
        chunk.append(update)
        total_bytes += len(orjson.dumps(update))
        if len(chunk) >= limits.items or total_bytes >= limits.bytes:
            yield chunk
            chunk, total_bytes = [], 0
    if chunk:
        yield chunk


@dataclass(frozen=True, slots=True)
class Sent:
    """A chunk under way: how many items it holds, and which queue it went to."""

    items: int
    queue: str


@dataclass(slots=True)
class Submission:
    """One job being sent; `on_progress` hears of finished updates."""

    job: Job
    es: Elasticsearch
    give_up_seconds: float
    on_progress: Callable[[int], None] = lambda _: None
    counts: Counts = field(default_factory=Counts)
    sent: int = 0
    under_way: dict[int, Sent] = field(default_factory=dict)
    _moved_at: float = field(default_factory=time.monotonic)
    _asked_at: float = 0.0

    def send_updates(self, index: str, products: list[dict[str, Any]]) -> None:
        """Queue one chunk of a catalogue."""
        self.send(WRITE, "index", len(products), index=index, products=products)

    def send(self, task: str, queue: str, items: int, **kwargs: Any) -> None:
        """Queue one chunk of work, after waiting for room."""
        self._wait_until_at_most(UNDER_WAY_MAX - 1)
        self.sent += 1
        inbox.submit(task, queue, job=self.job.id, chunk=self.sent, **kwargs)
        if not self.under_way:
            self._moved_at = time.monotonic()
        self.under_way[self.sent] = Sent(items, queue)

    def wait(self) -> Counts:
        """The counts of all chunks, when all are done."""
        self._wait_until_at_most(0)
        return self.counts

    def _wait_until_at_most(self, count: int) -> None:
        while len(self.under_way) > count:
            if not self._collect():
                self._check_stall()
                time.sleep(POLL_SECONDS)

    def _collect(self) -> bool:
        """Take in finished chunks; whether there were any."""
        progress = self.job.progress(list(self.under_way))
        if progress.failure:
            raise WriteFailed(f"the job is given up: {progress.failure}")
        for chunk, counts in progress.finished.items():
            self.counts += counts
            self.on_progress(self.under_way.pop(chunk).items)
        if progress.finished:
            self._moved_at = time.monotonic()
        return bool(progress.finished)

    def _check_stall(self) -> None:
        """Raise when nobody works on the queues, or Elasticsearch has been away, for too long."""
        now = time.monotonic()
        if now - max(self._moved_at, self._asked_at) < STALL_SECONDS:
            return
        missing = self._needed_queues() - inbox.listening(inbox.QUEUES)
        self._asked_at = time.monotonic()
        # A worker that ended in the middle of a job is expected back; one that never was is not.
        patience = self.give_up_seconds if self.counts != Counts() else NOBODY_SECONDS
        if missing and self._asked_at - self._moved_at > patience:
            raise StackFailed(
                f"no worker takes work from the queue {' and '.join(sorted(missing))}: start one "
                "(`hitweave up`, or `hitweave worker`); the lines that were sent wait for it"
            )
        if self._asked_at - self._moved_at > self.give_up_seconds and not self.es.ping():
            raise ElasticsearchUnavailable(
                "Elasticsearch does not answer: the lines that were sent are written when it is "
                f"back (job {self.job.id})"
            )

    def _needed_queues(self) -> set[str]:
        """Queues on which chunks wait."""
        waiting_to_embed = self.job.progress(list(self.under_way)).waiting_to_embed
        needed = {"embed"} if waiting_to_embed else set()
        if waiting_to_embed < len(self.under_way):
            needed |= {sent.queue for sent in self.under_way.values()}
        return needed


@dataclass(slots=True)
class Intake:
    """Lines of a feed on their way to `chunks`; rejected ones are collected aside."""

    read: int = 0
    rejections: list[Rejection] = field(default_factory=list)

    def products(
        self, lines: Iterable[tuple[int, Product | Rejection]]
    ) -> Iterator[tuple[int, Product]]:
        """The lines that could be read."""
        for number, found in lines:
            self.read += 1
            if isinstance(found, Rejection):
                self.rejections.append(found)
            else:
                yield number, found

    def take_rejections(self) -> list[Rejection]:
        """Those since the last call."""
        taken, self.rejections = self.rejections, []
        return taken
