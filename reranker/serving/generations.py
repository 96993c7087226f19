"""Which generation an index name means, believed for a short time.

Names that Hitweave does not know are remembered too, so that pass-through requests stay cheap.
"""

import time
from collections.abc import Callable

from elasticsearch import ApiError, Elasticsearch, TransportError

from indexer.catalogue.generation import Generation, resolve
from indexer.errors import ElasticsearchUnavailable, UnknownIndex

# An index that was just created or attached is ranked this soon.
ABSENT_TTL_SECONDS = 1.0


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

    def forget(self, name: str) -> None:
        """Look again next time, as when the generation turned out to be gone."""
        self._known.pop(name, None)

    def names(self) -> list[str]:
        """Indices seen so far that Hitweave knows."""
        return sorted({found.index for _, found in list(self._known.values()) if found})

    def _resolve(self, name: str) -> Generation | None:
        try:
            return resolve(self._client, name)
        except UnknownIndex:
            return None
        except (ApiError, TransportError) as error:
            raise ElasticsearchUnavailable(
                f"the configuration of the index cannot be read ({type(error).__name__}): "
                "see whether Elasticsearch is up and lets the sidecar read mappings"
            ) from error
