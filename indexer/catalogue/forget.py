"""Removes what an earlier index of the same name left behind, before a new one is made.

Without this, tombstones and confirmations of the old one would refuse products of the new one.
"""

import redis
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk

from indexer.catalogue import card_store, stored
from indexer.catalogue.generation import TOMBSTONES, ensure_companions

PAGE = 1000


def forget(es: Elasticsearch, valkey: redis.Redis, index: str) -> None:
    """Remove tombstones, confirmations and cards kept under a name."""
    ensure_companions(es)
    es.indices.refresh(index=TOMBSTONES)
    for ids in stored.scan_ids(es, TOMBSTONES, {"term": {"index": index}}, PAGE):
        bulk(es, ({"_op_type": "delete", "_index": TOMBSTONES, "_id": one} for one in ids))
    valkey.delete(stored.confirmed_key(index))
    for staged in (False, True):
        card_store.discard(valkey, index, staged=staged)
