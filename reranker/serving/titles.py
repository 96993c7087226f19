"""Titles and languages of items, read from Elasticsearch for the sentences of an explanation.

They are read with the rights of whoever asked: what a client may not see is not named. A failure
leaves sentences without names, never a search without an answer.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from indexer.catalogue.generation import Generation
from indexer.catalogue.reading import text_at
from indexer.errors import ElasticsearchUnavailable
from indexer.telemetry import log
from reranker.retrieval.node import JSON, Nodes
from reranker.retrieval.request import Rights


@dataclass(frozen=True, slots=True)
class Named:
    """What an item is called, and in which language; None where the catalogue does not say."""

    title: str | None
    language: str | None


UNNAMED = Named(None, None)
SECONDS = 60.0  # how long a changed title may be said as it was
NAMES_MAX = 50_000
Names = dict[tuple[str, Rights], dict[str, Named]]


class NamesSeen:
    """Names that were read a moment ago, by index and by the rights they were read with.

    What was read in one half of `seconds` is forgotten together at the end of the next one, or as
    soon as half of `names_max` have come since.
    """

    def __init__(
        self,
        *,
        names_max: int = NAMES_MAX,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._half, self._half_of_names, self._clock = seconds / 2, names_max // 2, clock
        self._latest: Names = {}
        self._earlier: Names = {}
        self._count, self._until = 0, clock() + self._half
        self._lock = threading.Lock()

    def find(self, index: str, rights: Rights, ids: Iterable[str]) -> dict[str, Named]:
        """Those of `ids` that are known."""
        with self._lock:
            self._forget()
            kept = [names.get((index, rights), {}) for names in (self._latest, self._earlier)]
        latest, earlier = kept
        found = ((item_id, latest.get(item_id) or earlier.get(item_id)) for item_id in ids)
        return {item_id: named for item_id, named in found if named is not None}

    def keep(self, index: str, rights: Rights, names: Mapping[str, Named]) -> None:
        """Keep what was just read, an item that is not there as `UNNAMED`."""
        with self._lock:
            self._forget()
            self._latest.setdefault((index, rights), {}).update(names)
            self._count += len(names)

    def _forget(self) -> None:
        late = self._clock() - self._until
        if late < 0 and self._count < self._half_of_names:
            return
        self._earlier = {} if late >= self._half else self._latest
        self._latest, self._count = {}, 0
        if late >= 0:
            self._until += self._half * (1 + late // self._half)


def read(
    nodes: Nodes,
    generation: Generation,
    target: str,
    ids: Sequence[str],
    headers: Mapping[str, str],
    *,
    timeout_seconds: float,
) -> dict[str, Named]:
    """What is known of `ids`; empty where Elasticsearch does not say it in time."""
    if not ids:
        return {}
    try:
        answer = nodes.ask(
            "POST",
            f"/{target}/_search",
            orjson.dumps(body(generation, ids)),
            {"Content-Type": JSON, "Accept": JSON, **headers},
            timeout_seconds=timeout_seconds,
        )
    except ElasticsearchUnavailable as error:
        log("titles").warning("titles_not_read", error=type(error).__name__)
        return {}
    if answer.status != 200:
        return {}
    return named_in(generation, orjson.loads(answer.body))


def body(generation: Generation, ids: Sequence[str]) -> dict[str, Any]:
    """The search for what `ids` are called."""
    return {
        "query": {"ids": {"values": list(ids)}},
        "size": len(ids),
        "_source": [*_fields(generation)],
        "track_total_hits": False,
    }


def named_in(generation: Generation, response: Mapping[str, Any]) -> dict[str, Named]:
    """What a response to such a search says; nothing where it failed."""
    hits = response.get("hits", {}).get("hits", ())
    fields = _fields(generation)
    return {hit["_id"]: _named(hit.get("_source") or {}, *fields) for hit in hits}


def is_whole(response: Mapping[str, Any]) -> bool:
    """Whether a response leaves nothing out: what it does not name is not there."""
    shards = response.get("_shards", {})
    return "hits" in response and not response.get("timed_out") and not shards.get("failed")


def _fields(generation: Generation) -> tuple[str, str]:
    return generation.config.theirs("title"), generation.config.theirs("language")


def _named(source: Mapping[str, Any], title: str, language: str) -> Named:
    return Named(text_at(source, title), text_at(source, language))
