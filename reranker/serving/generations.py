"""Which generation an index name means, believed for a short time.

Names that Hitweave does not know are remembered too, so that pass-through requests stay cheap.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from elasticsearch import ApiError, Elasticsearch, TransportError

from indexer.catalogue.generation import NUMBER, Generation, resolve
from indexer.errors import ElasticsearchUnavailable, IncompatibleIndex, UnknownIndex

# An index that was just created or attached is ranked this soon.
ABSENT_TTL_SECONDS = 1.0
WITHOUT_IDS_SECONDS = 60.0


class Generations:
    """A cache over `indexer.catalogue.generation.resolve`."""

    def __init__(
        self,
        client: Elasticsearch,
        *,
        ttl_seconds: float,
        names_max: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._ttl_seconds = ttl_seconds
        self._names_max = names_max
        self._clock = clock
        self._without_ids: dict[str, float] = {}
        self._names: tuple[float, list[str]] = (0.0, [])
        self._known: dict[str, tuple[float, Generation | None]] = {}

    def find(self, name: str) -> Generation | None:
        """The generation behind `name`; None where Hitweave did not make or attach it.

        When Elasticsearch does not answer, what was known last is still believed.
        """
        now = self._clock()
        known = self._known.get(name)
        if known is not None and known[0] > now:
            return known[1]
        try:
            found = self._resolve(name)
        except ElasticsearchUnavailable:
            if known is None:
                raise
            found = known[1]
        if len(self._known) >= self._names_max:
            self._known.clear()
        ttl_seconds = self._ttl_seconds if found else min(self._ttl_seconds, ABSENT_TTL_SECONDS)
        self._known[name] = (now + ttl_seconds, found)
        return found

    def lenders(self, generation: Generation) -> tuple[str, ...]:
        """Indices whose histories count in this one too: named by it, and of the same encoder."""
        named = (self.find(name) for name in generation.config.history_from)
        return tuple(
            it.index
            for it in named
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
        now = self._clock()
        if self._names[0] <= now:
            try:
                found = [it.index for it in self.find_all()]
            except ElasticsearchUnavailable:
                found = self._names[1]
            self._names = (now + self._ttl_seconds, found)
        return self._names[1]

    def only(self) -> Generation | None:
        """The generation that a request without an index means: the only one, else none."""
        names = self.names()
        return self.find(names[0]) if len(names) == 1 else None

    def forget(self, name: str) -> None:
        """Look again next time, as when the generation turned out to be gone."""
        self._known.pop(name, None)

    def find_all(self) -> list[Generation]:
        """The serving generation of every index that carries our stamp."""
        try:
            found = self._client.indices.get_mapping(
                index="*", filter_path="*.mappings._meta.hitweave.recipe_digest"
            ).body
        except (ApiError, TransportError) as error:
            raise _unreadable(error) from error
        names = sorted({NUMBER.sub("", concrete) for concrete in found})
        return [known for name in names if (known := self.find(name)) is not None]

    def _resolve(self, name: str) -> Generation | None:
        try:
            found = resolve(self._client, name)
        except (UnknownIndex, IncompatibleIndex):
            return None
        except (ApiError, TransportError) as error:
            raise _unreadable(error) from error
        # Another alias, or the concrete name, means the same index in Valkey and in the registry.
        return replace(found, index=NUMBER.sub("", found.concrete))


def _unreadable(error: Exception) -> ElasticsearchUnavailable:
    return ElasticsearchUnavailable(
        f"the configuration of the index cannot be read ({type(error).__name__}): "
        "see whether Elasticsearch is up and lets the sidecar read mappings"
    )
