"""Behavioural item vectors in an index of their own, so that neighbours are found by Elasticsearch.

One document an item, by the item's id; a new index is built beside the old one and the alias moves.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk
from numpy.typing import NDArray

from reranker.recommend.taste_index import VECTOR, alias

CHUNK = 1000


def write(
    es: Elasticsearch, index: str, version: str, ids: Sequence[str], vectors: NDArray[np.float32]
) -> str:
    """Build the index of a model's vectors [items, width], let it serve, drop the others.

    Items of which nothing is known (a zero vector) are left out. Safe to do again.
    """
    name = f"{alias(index)}-{version.lower()}"
    es.options(ignore_status=404).indices.delete(index=name)
    es.indices.create(
        index=name,
        settings={"number_of_shards": 1, "auto_expand_replicas": "0-1", "refresh_interval": -1},
        mappings={"dynamic": False, "properties": {VECTOR: _mapping(vectors.shape[1])}},
    )
    bulk(es, _documents(name, ids, vectors), chunk_size=CHUNK)
    es.indices.refresh(index=name)
    answer = es.options(ignore_status=404).indices.get_alias(name=alias(index)).body
    old = [it for it in answer if it != name] if "error" not in answer else []
    add: list[dict[str, Any]] = [{"add": {"index": name, "alias": alias(index)}}]
    es.indices.update_aliases(actions=[*add, *({"remove_index": {"index": it}} for it in old)])
    return name


def _mapping(width: int) -> dict[str, Any]:
    return {
        "type": "dense_vector",
        "dims": width,
        "index": True,
        "similarity": "cosine",
        "index_options": {"type": "int8_hnsw"},
    }


def _documents(
    name: str, ids: Sequence[str], vectors: NDArray[np.float32]
) -> Iterator[dict[str, Any]]:
    known = np.linalg.norm(vectors, axis=1) > 0
    for row in np.flatnonzero(known).tolist():
        yield {"_index": name, "_id": ids[row], VECTOR: vectors[row].tolist()}
