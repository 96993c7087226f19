"""Searches of a shop that explores, as slates to judge and to learn from.

Left out are searches that a rule had a hand in, later pages, and what was logged under other
declarations of signals: of those nobody can tell what another order would have been.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from indexer.behaviour.event import BehaviourEvent
from indexer.behaviour.journal_index import QUERIES, ensure
from indexer.behaviour.popularity import KIND_OF_ACTION, PURCHASE, VIEW
from reranker.learning.policy_trial import Judged
from reranker.learning.shopper_env import CLICK, PLACES
from reranker.learning.shopper_env import PURCHASE as PURCHASE_REWARD
from reranker.signals import served

WORTH = {VIEW: CLICK, PURCHASE: PURCHASE_REWARD}
FIELDS = ["query_id", "query_response_hit_ids", "query_attributes", "hitweave.served"]
Earned = Mapping[tuple[str, str], float]


def read(es: Elasticsearch, index: str, events: Sequence[BehaviourEvent]) -> list[Judged]:
    """All of an index's that can be judged, by time."""
    ensure(es)
    es.indices.refresh(index=QUERIES)
    query = {"bool": {"filter": [{"term": {"hitweave.index": index}}]}}
    hits = scan(es, index=QUERIES, query={"query": query}, source_includes=[*FIELDS, "timestamp"])
    sources = sorted((hit["_source"] for hit in hits), key=lambda it: str(it["timestamp"]))
    gains = earned(events)
    return [it for source in sources for it in judged(source, gains)]


def earned(events: Sequence[BehaviourEvent]) -> dict[tuple[str, str], float]:
    """What each item of a search earned: a click and a purchase count once each."""
    deeds = {
        (event.query_id, event.item_id, kind)
        for event in events
        if event.query_id and (kind := KIND_OF_ACTION.get(event.action)) in WORTH
    }
    found: dict[tuple[str, str], float] = {}
    for search, item, kind in deeds:
        found[search, item] = found.get((search, item), 0.0) + WORTH[kind]
    return found


def judged(source: Mapping[str, Any], gains: Earned) -> Iterator[Judged]:
    """The search of a record, where it can be judged."""
    attributes = source.get("query_attributes") or {}
    told = attributes.get("exploration") or {}
    logged = served.decode((source.get("hitweave") or {}).get("served"))
    if logged is None or "scores" not in told or attributes.get("rules"):
        return
    shown = [str(name) for name in source.get("query_response_hit_ids") or ()]
    scores = [np.nan if it is None else float(it) for it in told["scores"]][: len(logged.signals)]
    there = logged.seen[: len(scores)] & np.isfinite(scores)
    places = min(len(shown), PLACES)
    chances = np.array([float(it or 0.0) for it in told["propensities"][:places]])
    if len(chances) < places or places < 2 or not there[:places].all() or not (chances > 0).all():
        return
    search = str(source["query_id"])
    yield Judged(
        signals=logged.signals[: len(scores)][there].astype(np.float32),
        scores=np.array(scores)[there],
        shown=np.arange(places),
        chances=chances,
        rewards=np.array([gains.get((search, name), 0.0) for name in shown[:places]]),
    )
