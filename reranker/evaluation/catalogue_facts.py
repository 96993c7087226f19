"""What the answers do not say and variety needs: item vectors and past behaviour, read in bulk.

Reads only, and only for the items that were shown. A sidecar can be measured from a machine that
sees neither Valkey nor Elasticsearch: then these raise, and the caller leaves those numbers out.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import redis
from elasticsearch import Elasticsearch
from numpy.typing import NDArray

from indexer.behaviour.journal_index import EVENTS
from indexer.catalogue import card, card_store
from reranker.evaluation.variety import Behaviour

CARDS_AT_ONCE = 1000
ITEMS_AT_ONCE = 5000
ITEM_FIELD = "event_attributes.object.object_id"


def vectors(
    valkey: redis.Redis, index: str, ids: Collection[str]
) -> dict[str, NDArray[np.float32]]:
    """The vectors of the items that have a card."""
    found: dict[str, NDArray[np.float32]] = {}
    for some in _chunks(ids, CARDS_AT_ONCE):
        blobs: Any = valkey.mget([card_store.key(index, item) for item in some])
        found |= _decoded(some, blobs)
    return found


def _decoded(ids: Sequence[str], blobs: Sequence[bytes | None]) -> dict[str, NDArray[np.float32]]:
    sizes = [len(blob) for blob in blobs if blob]
    if not sizes:
        return {}
    records, present = card.unpack_many(blobs, max(sizes) - card.card_dtype(0).itemsize)
    floats = card.vectors(records)
    return {item: floats[at] for at, item in enumerate(ids) if present[at]}


def behaviour(
    es: Elasticsearch, index: str, ids: Collection[str], until: str | None = None
) -> Behaviour:
    """Journalled events of an index up to an ISO time, in all and of each of `ids`."""
    asked: list[dict[str, Any]] = [
        {"term": {"hitweave.index": index}},
        {"exists": {"field": ITEM_FIELD}},
    ]
    if until:
        asked.append({"range": {"timestamp": {"lte": until}}})
    if not es.indices.exists(index=EVENTS):
        return Behaviour(0, {})
    counted = es.count(index=EVENTS, query={"bool": {"filter": asked}})
    return Behaviour(int(counted["count"]), dict(_counts(es, asked, ids)))


def _counts(
    es: Elasticsearch, asked: Sequence[dict[str, Any]], ids: Collection[str]
) -> Iterator[tuple[str, int]]:
    for some in _chunks(ids, ITEMS_AT_ONCE):
        answer = es.search(
            index=EVENTS,
            size=0,
            query={"bool": {"filter": [*asked, {"terms": {ITEM_FIELD: some}}]}},
            aggregations={"items": {"terms": {"field": ITEM_FIELD, "size": len(some)}}},
        )
        for bucket in answer["aggregations"]["items"]["buckets"]:
            yield str(bucket["key"]), int(bucket["doc_count"])


def _chunks(ids: Collection[str], size: int) -> Iterator[list[str]]:
    ordered = sorted(ids)
    yield from (ordered[at : at + size] for at in range(0, len(ordered), size))
