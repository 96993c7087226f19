"""One import of behaviour: lines checked here, handed to the workers, awaited until folded.

At most a few chunks are under way at once, so that live events never queue behind a whole file.
"""

import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import orjson
import redis

from indexer import inbox
from indexer.behaviour import fold, intake
from indexer.behaviour.fold import Folded
from indexer.behaviour.tasks import QUEUE, TASK_OF
from indexer.errors import AskedWrongly, StackFailed

CHUNKS_UNDER_WAY_MAX = 6
POLL_SECONDS = 0.02
STALL_SECONDS = 20.0
SOURCE_BYTES_KEPT = 10_000

Line = tuple[int, bytes]


@dataclass
class EventImport:
    """One run: what was read, handed over and came back."""

    valkey: redis.Redis
    terms: intake.Terms
    rejected_file: Path
    job: str
    chunk_events: int
    line_bytes_max: int
    on_progress: Callable[[int, int], None]  # lines read, events folded
    read: int = 0
    chunks: int = 0
    rejected: int = 0
    under_way: dict[int, int] = field(default_factory=dict)  # documents by chunk
    folded: int = 0

    def hand_over(self, stream: BinaryIO) -> None:
        """Submit every line; waits while too many chunks are under way."""
        lines = self._lines(stream)
        while chunk := list(islice(lines, self.chunk_events)):
            taken = intake.take(chunk, self.terms)
            self._keep_rejected(taken.rejected, dict(chunk))
            for kind, index, documents in taken.batches(self.chunk_events):
                self.wait(CHUNKS_UNDER_WAY_MAX - 1)
                self._submit(TASK_OF[kind], index, documents)
            self.on_progress(self.read, self.folded)

    def wait(self, at_most: int = 0) -> None:
        """Until no more than `at_most` chunks are under way; raises StackFailed without workers."""
        moved = time.monotonic()
        while len(self.under_way) > at_most:
            before = len(self.under_way)
            self._look()
            if len(self.under_way) < before:
                moved = time.monotonic()
                self.on_progress(self.read, self.folded)
            elif time.monotonic() - moved > STALL_SECONDS:
                self._check_workers()
                moved = time.monotonic()
            else:
                time.sleep(POLL_SECONDS)

    def finish(self) -> Folded:
        """The sum of all chunks; nothing of the job is left behind in Valkey."""
        parts = fold.outcomes(self.valkey, self.job)
        self.valkey.delete(fold.job_key(self.job))
        for chunk, part in sorted(parts.items()):
            if part.reason is not None:
                self._keep({"chunk": chunk, "lines": part.rejected, "reason": part.reason})
        return Folded(
            accepted=sum(part.accepted for part in parts.values()),
            duplicate=sum(part.duplicate for part in parts.values()),
            rejected=self.rejected + sum(part.rejected for part in parts.values()),
        )

    def _submit(self, task: str, index: str, documents: list[intake.Document]) -> None:
        inbox.submit(task, QUEUE, index=index, documents=documents, job=self.job, chunk=self.chunks)
        self.under_way[self.chunks] = len(documents)
        self.chunks += 1

    def _look(self) -> None:
        chunks = list(self.under_way)
        answers = self.valkey.hmget(fold.job_key(self.job), [str(chunk) for chunk in chunks])
        for chunk, answer in zip(chunks, answers, strict=True):
            if answer is not None:
                self.folded += self.under_way.pop(chunk)

    def _check_workers(self) -> None:
        if QUEUE not in inbox.listening((QUEUE,)):
            raise StackFailed(
                f"no worker takes events ({len(self.under_way)} chunks wait in the broker and will "
                "be folded once one does): `hitweave status` shows what is up"
            )

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

    def _keep_rejected(self, rejected: list[intake.Rejected], sources: dict[int, bytes]) -> None:
        self.rejected += len(rejected)
        for it in rejected:
            source = sources[it.line][:SOURCE_BYTES_KEPT].decode("utf-8", "replace")
            self._keep({"line": it.line, "reason": it.reason, "source": source})

    def _keep(self, entry: dict[str, object]) -> None:
        self.rejected_file.parent.mkdir(parents=True, exist_ok=True)
        with self.rejected_file.open("ab") as file:
            file.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
