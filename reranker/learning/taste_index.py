"""Behavioural item vectors in an index of their own, so that neighbours are found by Elasticsearch.

One document an item, by the item's id; each version of the model has its own index, so that a
sidecar reads what its model was made with, also after a rollback.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk
from numpy.typing import NDArray

from reranker.recommend.taste_index import ID, VECTOR, name

CHUNK = 1000
VERSION = re.compile(r"\d{8}t\d{6}(-\d+)?")  # of no index whose name only begins alike
KEPT = 3  # versions whose vectors stay, so that a rollback finds them


def write(
    es: Elasticsearch, index: str, version: str, ids: Sequence[str], vectors: NDArray[np.float32]
) -> str:
    """Build the index of a version's vectors [items, width], found by inner product; safe to do
    again.

    Items of which nothing is known (a zero vector) are left out.
    """
    target = name(index, version)
    es.options(ignore_status=404).indices.delete(index=target)
    es.indices.create(
        index=target,
        settings={
            "number_of_shards": 1,
            "auto_expand_replicas": "0-1",
            "refresh_interval": -1,
            "hidden": True,
        },
        mappings={"dynamic": False, "properties": _properties(vectors.shape[1])},
    )
    bulk(es, _documents(target, ids, vectors), chunk_size=CHUNK)
    es.indices.refresh(index=target)
    return target


def tidy(es: Elasticsearch, index: str, versions: Sequence[str]) -> list[str]:
    """Delete the indices of all versions but these; returns what was deleted."""
    there = es.indices.get(
        index=name(index, "*"), expand_wildcards="all", filter_path="*.aliases"
    ).body
    own = [it for it in there if VERSION.fullmatch(it.removeprefix(name(index, "")))]
    gone = sorted(set(own) - {name(index, version) for version in versions})
    if gone:
        es.indices.delete(index=gone)
    return gone


def _properties(width: int) -> dict[str, Any]:
    vector = {
        "type": "dense_vector",
        "dims": width,
        "index": True,
        "similarity": "max_inner_product",
        "index_options": {"type": "int8_hnsw"},
    }
    return {VECTOR: vector, ID: {"type": "keyword", "index": False}}


def _documents(
    name: str, ids: Sequence[str], vectors: NDArray[np.float32]
) -> Iterator[dict[str, Any]]:
    known = np.linalg.norm(vectors, axis=1) > 0
    for row in np.flatnonzero(known).tolist():
        own = {ID: ids[row], VECTOR: vectors[row].tolist()}
        yield {"_index": name, "_id": ids[row], **own}
