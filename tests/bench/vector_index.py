"""What each kind of vector index costs and finds, built in Elasticsearch of the same vectors."""

import random
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch, helpers
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
KINDS = ("hnsw", "int8_hnsw", "int4_hnsw", "bbq_hnsw")
NEIGHBOURS = 100
VECTOR_QUERIES = 300


def measured(es: Elasticsearch, vectors: Vectors, seed: int) -> list[dict[str, Any]]:
    """Vector indices built of the same vectors: bytes on disk a vector, recall, time."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    asked = chance.sample(range(len(vectors)), min(VECTOR_QUERIES, len(vectors)))
    exact = np.argsort(-(vectors[asked] @ vectors.T), axis=1)[:, :NEIGHBOURS]
    rows = []
    for kind in KINDS:
        name = f"bench-compression-{kind}"
        try:
            filled(es, name, kind, vectors)
            found, took = searched(es, name, vectors[asked])
            row = {"part": "vector index", "variant": kind, "p50_ms": took}
            size = searched_bytes(es, name, kind, len(vectors))
            rows.append(row | {"bytes": size, "recall@100": recall(found, exact)})
        finally:
            es.options(ignore_status=404).indices.delete(index=name)
    return rows


def recall(found: Sequence[Sequence[int]], exact: NDArray[np.intp]) -> float:
    """The share of the exact neighbours that was found, over all queries."""
    shares = [len(set(f) & set(e.tolist())) / len(e) for f, e in zip(found, exact, strict=True)]
    return round(statistics.mean(shares), 4)


def filled(es: Elasticsearch, name: str, kind: str, vectors: Vectors) -> None:
    """A new index of one field, one segment."""
    field = {
        "type": "dense_vector",
        "dims": vectors.shape[1],
        "index": True,
        "similarity": "cosine",
        "index_options": {"type": kind},
    }
    es.indices.create(
        index=name,
        settings={"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": -1},
        mappings={"dynamic": False, "properties": {"v": field}},
    )
    documents = ({"_index": name, "_id": str(n), "v": v.tolist()} for n, v in enumerate(vectors))
    helpers.bulk(es, documents, chunk_size=500)
    es.indices.forcemerge(index=name, max_num_segments=1)
    es.indices.refresh(index=name)


def searched(es: Elasticsearch, name: str, queries: Vectors) -> tuple[list[list[int]], float]:
    """Neighbours of each query, and the median milliseconds."""
    found, took = [], []
    for query in queries:
        knn = {
            "field": "v",
            "query_vector": query.tolist(),
            "k": NEIGHBOURS,
            "num_candidates": NEIGHBOURS,
        }
        started = time.perf_counter()
        answer = es.search(index=name, knn=knn, size=NEIGHBOURS, source=False)
        took.append(time.perf_counter() - started)
        found.append([int(hit["_id"]) for hit in answer["hits"]["hits"]])
    return found, round(statistics.median(took) * 1000, 2)


def searched_bytes(es: Elasticsearch, name: str, kind: str, count: int) -> int:
    """Bytes a vector of what a search reads (the graph and the vectors in the form it compares).

    The float vectors stay on disk beside a quantised form, for merges and exact scores.
    """
    stats = es.indices.stats(index=name, metric="dense_vector").body["_all"]["primaries"]
    off_heap = stats["dense_vector"]["off_heap"]
    whole = int(off_heap["total_size_bytes"])
    if kind != "hnsw":
        whole -= int(off_heap["total_vec_size_bytes"])
    return round(whole / count)
