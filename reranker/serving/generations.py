"""Which generation an index name means, believed for a short time.

Names that Hitweave does not know are remembered too, so that pass-through requests stay cheap.
While Elasticsearch is away or late, what was known last is believed, and a request waits for news
no longer than it can spare.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from elasticsearch import ApiError, AuthorizationException, Elasticsearch, TransportError

from indexer.catalogue.generation import NAMES_PATH, Generation, names_of, resolve_any
from indexer.errors import ElasticsearchUnavailable, IncompatibleIndex, UnknownIndex
from indexer.telemetry import log
from reranker.serving.lookouts import Lookouts

Kept = TypeVar("Kept")
EVERYTHING = "*"  # no index is called so
# An index that was just created or attached is ranked this soon.
ABSENT_TTL_SECONDS = 1.0
WITHOUT_IDS_SECONDS = 60.0
# Share of what may be waited for something unknown, where something older is known.
NEWS_SHARE = 0.2


class Generations:
    """A cache over `generation.resolve_any`; `wait_seconds` for what is unknown."""

    def __init__(
        self,
        client: Elasticsearch,
        *,
        ttl_seconds: float,
        wait_seconds: float,
        names_max: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._ttl_seconds = ttl_seconds
        self._wait_seconds = wait_seconds
        self._names_max = names_max
        self._clock = clock
        self._without_ids: dict[str, float] = {}
        self._names: tuple[float, list[str]] | None = None
        self._known: dict[str, tuple[float, Generation | None]] = {}
        self._lookouts: Lookouts[Generation | None] = Lookouts()
        self._lookouts_for_all: Lookouts[list[str]] = Lookouts()

    def find(self, name: str) -> Generation | None:
        """The generation behind `name`; None where Hitweave did not make or attach it.

        Raises ElasticsearchUnavailable where it was never known and is not told in time.
        """
        known = self._known.get(name)
        if known is not None and known[0] > self._clock():
            return known[1]
        try:
            return self._lookouts.look(name, lambda: self._resolved(name), self._wait(known))
        except ElasticsearchUnavailable:
            if known is None:
                raise
            return known[1]

    def lenders(self, generation: Generation) -> tuple[str, ...]:
        """Indices whose histories count in this one too: named by it, and of the same encoder."""
        lending = []
        for name in generation.config.history_from:
            with suppress(ElasticsearchUnavailable):  # what is not known lends nothing
                lending.append(self.find(name))
        return tuple(
            it.index
            for it in lending
            if it is not None and it.index != generation.index and it.recipe == generation.recipe
        )

    def has_id_column(self, generation: Generation) -> bool:
        """Whether every document seen lately carries its id as a column."""
        return self._without_ids.get(generation.concrete, 0.0) <= self._clock()

    def note_without_ids(self, generation: Generation) -> None:
        """Remember for a while that somebody else writes into this index too."""
        self._without_ids[generation.concrete] = self._clock() + WITHOUT_IDS_SECONDS

    def names(self) -> list[str]:
        """Indices with our stamp as far as they are known; asks again after the usual time."""
        known = self._names
        if known is not None and known[0] > self._clock():
            return known[1]
        try:
            return self._all_names(self._wait(known))
        except ElasticsearchUnavailable:
            return [] if known is None else known[1]

    def only(self) -> Generation | None:
        """The generation that a request without an index means: the only one, else none."""
        names = self.names()
        return self.find(names[0]) if len(names) == 1 else None

    def forget(self, name: str) -> None:
        """Look again next time, as when the generation turned out to be gone."""
        self._known.pop(name, None)
        self._lookouts.forget(name)

    def close(self) -> None:
        """End the threads."""
        self._lookouts.close()
        self._lookouts_for_all.close()

    def find_all(self, wait_seconds: float | None = None) -> list[Generation]:
        """The serving generation of every index that carries our stamp, as it is now.

        Raises ElasticsearchUnavailable, by default after the usual time.
        """
        found = (self.find(name) for name in self._all_names(wait_seconds or self._wait_seconds))
        return [it for it in found if it is not None]

    def _wait(self, known: object) -> float:
        return self._wait_seconds * (1.0 if known is None else NEWS_SHARE)

    def _all_names(self, wait_seconds: float) -> list[str]:
        return self._lookouts_for_all.look(EVERYTHING, self._read_names, wait_seconds)

    def _read_names(self) -> list[str]:
        """Names whose serving index is ours; kept."""
        try:
            found = self._client.indices.get_mapping(index=EVERYTHING, filter_path=NAMES_PATH).body
        except (ApiError, TransportError) as error:
            self._names = self._again(self._names)
            raise _unreadable(error) from error
        serving = [it.index for name in names_of(found) if (it := self._now(name)) is not None]
        self._names = (self._until(), serving)
        return serving

    def _now(self, name: str) -> Generation | None:
        """The generation as it is believed, else asked for; raises ElasticsearchUnavailable."""
        known = self._known.get(name)
        fresh = known is not None and known[0] > self._clock()
        return known[1] if known and fresh else self._resolved(name)

    def _resolved(self, name: str) -> Generation | None:
        """The generation, asked for now and kept; raises ElasticsearchUnavailable."""
        try:
            found = self._resolve(name)
        except ElasticsearchUnavailable:
            if (known := self._again(self._known.get(name))) is not None:
                self._known[name] = known
            raise
        if len(self._known) >= self._names_max:
            self._known.clear()
        self._known[name] = (self._until(known=found is not None), found)
        return found

    def _until(self, *, known: bool = True) -> float:
        ttl_seconds = self._ttl_seconds if known else min(self._ttl_seconds, ABSENT_TTL_SECONDS)
        return self._clock() + ttl_seconds

    def _again(self, known: tuple[float, Kept] | None) -> tuple[float, Kept] | None:
        """What is known, believed for another while."""
        return None if known is None else (self._until(known=known[1] is not None), known[1])

    def _resolve(self, name: str) -> Generation | None:
        try:
            return resolve_any(self._client, name)
        except (UnknownIndex, IncompatibleIndex):
            return None
        except AuthorizationException as error:
            if error.error != "security_exception" or self._was_ours(name):
                raise _unreadable(error) from error
            log("generations").warning("not_readable", index=name)
            return None  # somebody else's, by all that we may know of it
        except (ApiError, TransportError) as error:
            raise _unreadable(error) from error

    def _was_ours(self, name: str) -> bool:
        known = self._known.get(name)
        return known is not None and known[1] is not None


def _unreadable(error: Exception) -> ElasticsearchUnavailable:
    return ElasticsearchUnavailable(
        f"the configuration of the index cannot be read ({type(error).__name__}): "
        "see whether Elasticsearch is up and lets the sidecar read mappings"
    )
