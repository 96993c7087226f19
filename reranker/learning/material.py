"""What a training run reads: the journal, the catalogue, and candidates from the real legs.

The only part of learning that asks servers. Everything after it works on what is read here.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np
import redis
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan
from numpy.typing import NDArray

from indexer.behaviour import journal
from indexer.behaviour.event import BehaviourEvent, query_key
from indexer.behaviour.journal_index import QUERIES
from indexer.behaviour.popularity import USUAL_HALF_LIFE_HOURS
from indexer.catalogue.context_keys import USUAL, ContextKeys
from indexer.catalogue.generation import Generation
from indexer.embedding.encoder import open_encoder
from reranker.learning import goods as catalogue
from reranker.learning.cases import LoggedSearch
from reranker.learning.goods import Goods
from reranker.learning.judged import Grades
from reranker.retrieval.candidates import Candidates
from reranker.retrieval.fetch import retrieve_many
from reranker.signals import served

QUERIES_AT_ONCE = 128
START_MAX = 1_000_000  # clients may say anything of where their page begins
_SEARCH_FIELDS = [
    *("query_id", "user_query", "user_id", "timestamp", "query_response_hit_ids"),
    *("query_attributes.from", "query_attributes.context", "hitweave.served"),
]

Vectors = NDArray[np.float32]
Find = Callable[[Sequence[str], int], tuple[list[Candidates], Vectors]]


@dataclass(frozen=True, eq=False)
class Material:
    """Events in time order, logged searches, goods, and how to find candidates for queries.

    `context_keys` are those that the index declares, `half_life_hours` that of what is trending in
    it; `judged` grades of items by query.
    """

    events: list[BehaviourEvent]
    searches: list[LoggedSearch]
    goods: Goods
    find: Find
    context_keys: ContextKeys = field(default_factory=lambda: USUAL)
    half_life_hours: float = USUAL_HALF_LIFE_HOURS
    judged: Grades = field(default_factory=dict)

    @cached_property
    def titles(self) -> dict[str, str]:
        """Id → title."""
        return dict(zip(self.goods.ids, self.goods.titles, strict=True))


def candidates(
    material: Material, queries: Sequence[str], window: int, told: Callable[[int], None]
) -> tuple[list[Candidates], Vectors]:
    """What is found for each query, and query vectors [queries, dims]; `told` how many at a time.

    Some are searched for while others are read.
    """
    firsts = range(0, len(queries), QUERIES_AT_ONCE)
    batches = [queries[first : first + QUERIES_AT_ONCE] for first in firsts]
    found, vectors = [], []
    with ThreadPoolExecutor(2) as asking:
        for some, encoded in asking.map(material.find, batches, repeat(window)):
            found += some
            vectors.append(encoded)
            told(len(some))
    return found, np.concatenate(vectors)


def before(material: Material, until: float) -> Material:
    """The material as it was at `until`, seconds since the epoch; the catalogue stays as it is."""
    return replace(
        material,
        events=[e for e in material.events if e.timestamp <= until],
        searches=[s for s in material.searches if s.time <= until],
    )


def detached(material: Material) -> Material:
    """The material without its servers: it pickles, and finds no candidates."""
    return replace(material, find=_find_nothing)


def read(
    es: Elasticsearch,
    valkey: redis.Redis,
    generation: Generation,
    until: float | None,
    judged: Grades | None = None,
) -> Material:
    """Everything up to `until` (seconds; None: all there is), beside the judgements."""
    return Material(
        events=list(journal.scan(es, generation.index, until)),
        searches=read_searches(es, generation.index, until),
        goods=catalogue.read(es, valkey, generation),
        find=lambda queries, window: _find(es, generation, queries, window),
        context_keys=generation.config.context,
        half_life_hours=generation.config.trending_half_life_hours,
        judged=judged or {},
    )


def read_searches(es: Elasticsearch, index: str, until: float | None) -> list[LoggedSearch]:
    """Logged searches of an index by time; those without a text or an id are left out.

    Where a client logs its searches as well, the sidecar's own record of the same hits stands.
    """
    query = {"bool": {"filter": [{"term": {"hitweave.index": index}}]}}
    hits = scan(es, index=QUERIES, query={"query": query}, source_includes=_SEARCH_FIELDS)
    found = [_search(hit["_source"]) for hit in hits]
    known = [s for s in found if s is not None and (until is None or s.time <= until)]
    return sorted(_once(known), key=lambda s: (s.time, s.query_id, s.start))


def _once(found: Sequence[LoggedSearch]) -> Iterable[LoggedSearch]:
    """Each search with the same hits once, the one with served signals where there is one."""
    kept: dict[tuple[str, tuple[str, ...]], LoggedSearch] = {}
    for search in found:
        key = (search.query_id, search.shown)
        if key not in kept or kept[key].served is None:
            kept[key] = search
    return kept.values()


def _search(source: dict[str, Any]) -> LoggedSearch | None:
    text, query_id = source.get("user_query"), source.get("query_id")
    if not text or not query_id:
        return None
    shown = source.get("query_response_hit_ids") or ()
    user = source.get("user_id")
    attributes = source.get("query_attributes") or {}
    start, context = attributes.get("from", 0), attributes.get("context")
    return LoggedSearch(
        query_id=str(query_id),
        time=datetime.fromisoformat(str(source["timestamp"])).timestamp(),
        user=None if user is None else str(user),
        text=query_key(str(text)),
        shown=tuple(map(str, shown)) if isinstance(shown, list | tuple) else (str(shown),),
        start=min(int(start), START_MAX) if str(start).isdecimal() else 0,
        served=served.decode((source.get("hitweave") or {}).get("served")),
        context=context if isinstance(context, dict) else {},
    )


def _find_nothing(_queries: Sequence[str], _window: int) -> tuple[list[Candidates], Vectors]:
    raise RuntimeError("the material was read in another process, whose servers find candidates")


def _find(
    es: Elasticsearch, generation: Generation, queries: Sequence[str], window: int
) -> tuple[list[Candidates], Vectors]:
    """Candidates and query vectors, by the bodies and the encoder that serve."""
    encoder = open_encoder(generation.recipe)
    vectors = encoder.encode(list(queries), role="query")
    return retrieve_many(es, generation, queries, window, vectors), vectors
