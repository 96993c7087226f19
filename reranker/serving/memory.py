"""What ranking remembers of items and shoppers, read from Valkey in few round trips.

Values are kept in the process for as long as the index's revisions say that nothing changed: the
counters are read with each request, so nothing stale is ever used. A server that fails rests for a
moment, so that not every request waits for it.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple, cast

import numpy as np
import redis
from numpy.typing import NDArray
from redis.exceptions import RedisError

from indexer.connections import valkey_advice
from indexer.errors import ValkeyUnavailable
from indexer.telemetry import log
from reranker.serving.line import Lines, Ticket

REST_AFTER_FAILURE_SECONDS = 1.0
BEHAVIOUR, CARDS = "revision", "cards-revision"

Blobs = list[bytes | None]
Revisions = tuple[bytes | None, bytes | None]  # of behaviour and of cards


class Values(NamedTuple):
    """What was read of one index."""

    revisions: Revisions
    blobs: Blobs


class Memory:
    """Reads keys `hw:{index}:…`; every method raises ValkeyUnavailable when the server fails."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        entries_max: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self._lines = Lines(client)
        self._clock = clock
        self._rests_until = 0.0
        self._kept = {kind: _Kept(kind, entries_max) for kind in ("card", "pop", "co", "name")}

    def ask(
        self, index: str, suffixes: Sequence[str], beside: Mapping[str, Sequence[str]] | None = None
    ) -> "Reading":
        """Send for values and the index's revisions; `Reading.finish` waits for them.

        `beside` are suffixes of other indices, read in the same command.
        """
        self._check_rest()
        asked = {index: suffixes, **(beside or {})}
        keys = [
            f"hw:{name}:{suffix}"
            for name, wanted in asked.items()
            for suffix in (BEHAVIOUR, CARDS, *wanted)
        ]
        try:
            ticket = self._lines.send("MGET", *keys)
            return Reading(self, ticket, {name: len(wanted) for name, wanted in asked.items()})
        except (RedisError, OSError) as error:
            raise self._failed(error) from error

    def put(self, key: str, value: bytes, *, ttl_seconds: int) -> None:
        """Send a value without waiting; a failure is logged, not raised."""
        with suppress(ValkeyUnavailable):
            self._check_rest()
            try:
                self._lines.send("SET", key, value, "EX", str(ttl_seconds))
            except (RedisError, OSError) as error:
                raise self._failed(error) from error

    def get_and_keep(self, key: str, *, ttl_seconds: int) -> bytes | None:
        """One value by its whole key, kept for `ttl_seconds` from now."""
        return cast("bytes | None", self._command("GETEX", key, "EX", str(ttl_seconds)))

    def put_first(self, key: str, value: bytes, *, ttl_seconds: int) -> bool:
        """Set a value unless there is one; whether it was set."""
        done = self._command("SET", key, value, "EX", str(ttl_seconds), "NX")
        return done is not None

    def items(self, index: str, ids: Sequence[str]) -> tuple[Blobs, Blobs]:
        """Card and popularity of each item, None where absent, in one round trip at the most."""
        cards = self._kept["card"].look_up(index, ids)
        counts = self._kept["pop"].look_up(index, ids)
        self._complete(index, cards, counts)
        return cards.values, counts.values

    def cards(self, index: str, ids: Sequence[str]) -> Blobs:
        """The card of each item, None where absent."""
        cards = self._kept["card"].look_up(index, ids)
        self._complete(index, cards)
        return cards.values

    def history(self, index: str, ids: Sequence[str]) -> tuple[Blobs, Blobs]:
        """Card and partners of each item of a shopper's history."""
        cards = self._kept["card"].look_up(index, ids)
        partners = self._kept["co"].look_up(index, ids)
        self._complete(index, cards, partners)
        return cards.values, partners.values

    def names(self, index: str, items: NDArray[np.uint64]) -> list[str | None]:
        """The id behind each hash [n], None for one that the catalogue does not have."""
        names = self._kept["name"].look_up(index, [f"{item:016x}" for item in items.tolist()])
        self._complete(index, names)
        return [None if name is None else name.decode() for name in names.values]

    def _complete(self, index: str, *looked_up: "_LookUp") -> None:
        missing = [suffix for part in looked_up for suffix in part.missing()]
        if missing:
            read = iter(self._read(index, missing))
            for part in looked_up:
                part.fill(read)

    def revised(self, index: str, behaviour: bytes | None, cards: bytes | None) -> None:
        """Drop what was kept under other revisions of this index."""
        self._kept["card"].revise(index, cards)
        self._kept["name"].revise(index, cards)
        self._kept["pop"].revise(index, behaviour)
        self._kept["co"].revise(index, behaviour)

    def _read(self, index: str, suffixes: Sequence[str]) -> Blobs:
        return cast(Blobs, self._command("MGET", *[f"hw:{index}:{name}" for name in suffixes]))

    def _command(self, *words: str | bytes) -> Any:
        self._check_rest()
        try:
            return self._lines.ask(*words)
        except (RedisError, OSError) as error:
            raise self._failed(error) from error

    def _check_rest(self) -> None:
        if self._clock() < self._rests_until:
            raise ValkeyUnavailable("Valkey failed a moment ago and is left alone")

    def _failed(self, error: Exception) -> ValkeyUnavailable:
        self._rests_until = self._clock() + REST_AFTER_FAILURE_SECONDS
        log("memory").warning("valkey_failed", error=type(error).__name__)
        return ValkeyUnavailable(
            f"Valkey does not answer ({type(error).__name__}): {valkey_advice(error)}"
        )

    def finish(self, ticket: Ticket, asked: Mapping[str, int]) -> dict[str, Values]:
        """What `ask` sent for, by index: so many values each, with the index's revisions."""
        try:
            read = iter(self._lines.receive(ticket))
        except (RedisError, OSError) as error:
            raise self._failed(error) from error
        found = {}
        for index, count in asked.items():
            revisions = (next(read), next(read))
            self.revised(index, *revisions)
            found[index] = Values(revisions, list(islice(read, count)))
        return found


class Reading:
    """Values on their way to the thread that asked; `revisions` are known once it finished."""

    def __init__(self, memory: Memory, ticket: Ticket, asked: Mapping[str, int]) -> None:
        self.index = next(iter(asked))
        self.revisions: Revisions = (None, None)
        self.beside: Mapping[str, Values] = {}
        self._memory = memory
        self._ticket = ticket
        self._asked = asked

    def finish(self) -> Blobs:
        """The values asked for, those of other indices in `beside`; raises ValkeyUnavailable."""
        found = self._memory.finish(self._ticket, self._asked)
        own = found.pop(self.index)
        self.revisions, self.beside = own.revisions, found
        return own.blobs


class _Kept:
    """Values of one kind by index and item, all of one revision; full means empty again.

    Without a revision nobody would say when a value changes, so nothing is kept.
    """

    def __init__(self, kind: str, entries_max: int) -> None:
        self._kind = kind
        self._entries_max = entries_max
        self._values: dict[str, tuple[bytes | None, dict[str, bytes | None]]] = {}

    def revise(self, index: str, revision: bytes | None) -> None:
        kept = self._values.get(index)
        if kept is None or kept[0] != revision or len(kept[1]) > self._entries_max:
            self._values[index] = (revision, {})

    def look_up(self, index: str, ids: Sequence[str]) -> "_LookUp":
        revision, values = self._values.get(index, (None, {}))
        return _LookUp(self._kind, ids, values if revision is not None else {})


_MISSING: Any = object()


class _LookUp:
    """Values as far as they are kept.

    What is read later goes where it was missing: when the revision changed in between, that place
    is no longer used and the value is not kept.
    """

    def __init__(self, kind: str, ids: Sequence[str], kept: dict[str, bytes | None]) -> None:
        self._kind = kind
        self._ids = ids
        self._kept = kept
        try:
            self.values: Blobs = [*map(kept.__getitem__, ids)]
            self._complete = True
        except KeyError:
            self.values = [kept.get(name, _MISSING) for name in ids]
            self._complete = False

    def missing(self) -> list[str]:
        if self._complete:
            return []
        return [
            f"{self._kind}:{name}"
            for name, value in zip(self._ids, self.values, strict=True)
            if value is _MISSING
        ]

    def fill(self, read: Iterator[bytes | None]) -> None:
        if self._complete:
            return
        for row, (name, value) in enumerate(zip(self._ids, self.values, strict=True)):
            if value is _MISSING:
                self.values[row] = self._kept[name] = next(read)
