"""Progress of a job in Valkey: the first result of each chunk counts, whoever repeats it.

Keys `hw:job:{id}:written|embedded|failed|rejected|attempts` are hashes by chunk (rejected: by
line); they expire by themselves.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson
import redis

from indexer.catalogue.tally import Counts, Rejection, Tally

TTL_SECONDS = 7 * 86_400
ATTEMPTS_MAX = 10


def new_id(index: str, now: datetime) -> str:
    """Names a job so that people recognise it."""
    return f"{index}-{now:%Y%m%dT%H%M%S}-{os.urandom(3).hex()}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far some chunks are."""

    finished: dict[int, Counts]
    waiting_to_embed: int
    failure: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """One job, seen by the command that runs it and by the workers that do it."""

    valkey: redis.Redis
    id: str

    def key(self, part: str) -> str:
        """Where one part of the progress lies."""
        return f"hw:job:{self.id}:{part}"

    def attempt(self, chunk: str) -> bool:
        """Note that a chunk is begun; False when it was begun so often that it must be at fault."""
        with self.valkey.pipeline() as pipe:
            pipe.hincrby(self.key("attempts"), chunk, 1)
            pipe.expire(self.key("attempts"), TTL_SECONDS)
            attempts: int = pipe.execute()[0]
        return attempts <= ATTEMPTS_MAX

    def record_written(self, chunk: int, tally: Tally, left: Sequence[int]) -> list[int]:
        """Note what was done without an encoder; positions that are still to be embedded.

        Of a repeated chunk these are the positions noted first, and none once they are embedded.
        """
        result = {"counts": tally.total().to_json(), "left": list(left)}
        first = self._record("written", chunk, orjson.dumps(result), tally.rejections)
        if self.valkey.hexists(self.key("embedded"), str(chunk)):
            return []
        positions: list[int] = orjson.loads(first)["left"]
        return positions

    def record_embedded(self, chunk: int, tally: Tally, before: Counts) -> None:
        """Note what was done with an encoder; `before` counts earlier parts of the chunk."""
        counts = orjson.dumps((before + tally.total()).to_json())
        self._record("embedded", chunk, counts, tally.rejections)

    def record_copied(self, chunk: int, counts: Counts, tally: Tally) -> None:
        """Note a chunk that is done in one task; `tally` for what its last part rejected."""
        result = orjson.dumps({"counts": counts.to_json(), "left": []})
        self._record("written", chunk, result, tally.rejections)

    def record_rejections(self, rejections: Iterable[Rejection]) -> None:
        """Note rejected lines; the same line once."""
        lines = {one.key: orjson.dumps(asdict(one)) for one in rejections}
        if lines:
            self.valkey.hset(self.key("rejected"), mapping=lines)  # type: ignore[arg-type]
            self.valkey.expire(self.key("rejected"), TTL_SECONDS)

    def record_failure(self, chunk: int, reason: str) -> None:
        """Note that a chunk is given up."""
        self._record("failed", chunk, reason.encode(), ())

    def _record(
        self, part: str, chunk: int, result: bytes, rejections: Iterable[Rejection]
    ) -> bytes:
        self.record_rejections(rejections)
        with self.valkey.pipeline() as pipe:
            pipe.hsetnx(self.key(part), str(chunk), result)
            pipe.expire(self.key(part), TTL_SECONDS)
            pipe.hget(self.key(part), str(chunk))
            first: bytes = pipe.execute()[2]
        return first

    def progress(self, chunks: Sequence[int]) -> Progress:
        """Which of these chunks are finished, with their counts; one that failed is neither."""
        if not chunks:
            return Progress({}, 0, None)
        names = [str(chunk) for chunk in chunks]
        with self.valkey.pipeline() as pipe:
            for part in ("written", "embedded", "failed"):
                pipe.hmget(self.key(part), names)
            written, embedded, failed = pipe.execute()
        finished: dict[int, Counts] = {}
        waiting = 0
        for chunk, one, two in zip(chunks, written, embedded, strict=True):
            result: dict[str, Any] = orjson.loads(one) if one else {}
            if not one or (result["left"] and not two):
                waiting += bool(one)
                continue
            rest = Counts(**orjson.loads(two)) if two else Counts()
            finished[chunk] = Counts(**result["counts"]) + rest
        failure = next((reason.decode() for reason in failed if reason), None)
        return Progress(finished, waiting, failure)

    def rejections(self) -> list[Rejection]:
        """Lines that workers rejected so far, in their order."""
        found = self.valkey.hvals(self.key("rejected"))
        lines = [Rejection(**orjson.loads(one)) for one in found]
        return sorted(lines, key=lambda one: (one.line is None, one.line))
