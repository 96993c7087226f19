"""One import of behaviour: lines checked here, handed to the workers, awaited until folded.

At most two chunks are under way at once, one worked on and one waiting, so that live events never
queue behind a file.
"""

import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import redis

from indexer import inbox
from indexer.behaviour import arrivals, fold, intake
from indexer.behaviour.arrivals import QUEUE, Batch, Ticket
from indexer.behaviour.fold import Folded
from indexer.behaviour.ubi import redacted
from indexer.catalogue import rejected
from indexer.catalogue.tally import Rejection
from indexer.errors import AskedWrongly, StackFailed

JOB_PREFIX = "events-"
CHUNKS_UNDER_WAY_MAX = 2
POLL_SECONDS = 0.02
STALL_SECONDS = 2.0  # between looks at who works, while nothing moves
NOBODY_SECONDS, BACK_SECONDS = 6.0, 120.0

Line = tuple[int, bytes]


@dataclass
class EventImport:
    """One run: what was read, handed over and came back."""

    valkey: redis.Redis
    terms: intake.Terms
    rejected_folder: Path
    job: str
    chunk_events: int
    chunk_bytes: int
    line_bytes_max: int
    read: int = 0
    chunks: int = 0
    rejected: int = 0
    under_way: dict[int, int] = field(default_factory=dict)  # documents by chunk
    folded: int = 0
    is_read: bool = False
    advance: Callable[[int], None] = lambda _: None

    @property
    def rejected_file(self) -> Path:
        """Where lines that were not taken are kept; it is there when there are some."""
        return self.rejected_folder / f"{self.job}.ndjson"

    def hand_over(self, stream: BinaryIO) -> None:
        """Submit every line; waits while too many chunks are under way."""
        for chunk in self._chunks(self._lines(stream)):
            taken = intake.take(chunk, self.terms)
            self._keep_rejected(taken.rejected, dict(chunk))
            for index, documents in taken.batches(self.chunk_events):
                self.wait(CHUNKS_UNDER_WAY_MAX - 1)
                self._submit(index, documents)
        self.is_read = True

    def total(self) -> int | None:
        """How many events there are to fold; None until the file is read."""
        return self.folded + sum(self.under_way.values()) if self.is_read else None

    def wait(self, at_most: int = 0) -> None:
        """Until no more than `at_most` chunks are under way; raises StackFailed without workers."""
        moved = asked = time.monotonic()
        while len(self.under_way) > at_most:
            before = len(self.under_way)
            self._look()
            now = time.monotonic()
            if len(self.under_way) < before:
                moved = now
            elif now - max(moved, asked) > STALL_SECONDS:
                self._check_workers(now - moved)
                asked = time.monotonic()
            else:
                time.sleep(POLL_SECONDS)

    def finish(self) -> Folded:
        """The sum of all chunks; nothing of the job is left behind in Valkey."""
        parts = fold.outcomes(self.valkey, self.job)
        self.valkey.delete(fold.job_key(self.job))
        for chunk, part in sorted(parts.items()):
            if part.reason is not None:
                lost = Rejection(None, f"{part.rejected} in chunk {chunk}: {part.reason}", "")
                rejected.append(self.rejected_folder, self.job, [lost])
        return Folded(
            accepted=sum(part.accepted for part in parts.values()),
            duplicate=sum(part.duplicate for part in parts.values()),
            rejected=self.rejected + sum(part.rejected for part in parts.values()),
        )

    def _submit(self, index: str, documents: Batch) -> None:
        arrivals.hand_over(self.valkey, index, documents, Ticket(self.job, self.chunks))
        self.under_way[self.chunks] = sum(map(len, documents.values()))
        self.chunks += 1

    def _look(self) -> None:
        chunks = list(self.under_way)
        answers = self.valkey.hmget(fold.job_key(self.job), [str(chunk) for chunk in chunks])
        for chunk, answer in zip(chunks, answers, strict=True):
            if answer is not None:
                count = self.under_way.pop(chunk)
                self.folded += count
                self.advance(count)

    def _check_workers(self, idle_seconds: float) -> None:
        """A worker that ended in the middle is expected back; one that never was is not."""
        patience = BACK_SECONDS if self.folded else NOBODY_SECONDS
        if idle_seconds > patience and QUEUE not in inbox.listening((QUEUE,)):
            raise StackFailed(
                f"no worker takes events ({len(self.under_way)} chunks wait in Valkey and will "
                "be folded once one does): `hitweave status` shows what is up"
            )

    def _chunks(self, lines: Iterator[Line]) -> Iterator[list[Line]]:
        """Lines in chunks of limited count and bytes."""
        chunk: list[Line] = []
        total_bytes = 0
        for line in lines:
            chunk.append(line)
            total_bytes += len(line[1])
            if len(chunk) >= self.chunk_events or total_bytes >= self.chunk_bytes:
                yield chunk
                chunk, total_bytes = [], 0
        if chunk:
            yield chunk

    def _lines(self, stream: BinaryIO) -> Iterator[Line]:
        """Numbered lines without the blank ones; of one that is too long only its beginning."""
        try:
            while line := stream.readline(self.line_bytes_max + 1):
                self.read += 1
                rest = line
                while len(rest) > self.line_bytes_max and not rest.endswith(b"\n"):
                    rest = stream.readline(self.line_bytes_max + 1)
                if line := line.strip():
                    yield self.read, line
        except (OSError, EOFError, zlib.error) as error:
            raise AskedWrongly(
                f"the file is damaged after line {self.read} ({error}): lines before it are "
                "imported; importing a whole one again repeats nothing"
            ) from None

    def _keep_rejected(self, refused: list[intake.Rejected], sources: dict[int, bytes]) -> None:
        """In the job's file, with pseudonyms in place of ids as far as they can be told."""
        key = self.terms.pseudonym_key
        lines = [Rejection(it.line, it.reason, redacted(sources[it.line], key)) for it in refused]
        self.rejected += len(lines)
        rejected.append(self.rejected_folder, self.job, lines)
