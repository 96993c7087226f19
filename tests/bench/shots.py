"""What is measured: the same search bare and fused, and what lies around it."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from indexer.catalogue.generation import resolve
from tests.bench.load import Shot

SHOWN = ["title", "price"]
CART = 3  # items of one


@dataclass(frozen=True)
class Question:
    """One search: words, their vector, who asks."""

    words: str
    vector: list[float]
    user: str


@dataclass(frozen=True)
class Bench:
    """Where and over what."""

    es_url: str
    sidecar_url: str
    index: str
    window: int
    size: int
    field: str
    num_candidates: int
    has_plugin: bool


def questions(
    bench: Bench, titles: Sequence[str], users: Sequence[str], count: int, seed: int
) -> list[Question]:
    """The last two words of distinct titles, with the vectors that the index's encoder gives."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    ends = list(dict.fromkeys(" ".join(title.split()[-2:]) for title in titles))
    words = chance.sample(ends, min(count, len(ends)))
    with Elasticsearch(bench.sidecar_url, request_timeout=60) as sidecar:
        vectors: list[list[float]] = []
        for first in range(0, len(words), 100):
            body = {"index": bench.index, "texts": words[first : first + 100], "as": "query"}
            headers = {"content-type": "application/json", "accept": "application/json"}
            answer = sidecar.perform_request("POST", "/embed", body=body, headers=headers)
            vectors += answer.body["vectors"]
    return [
        Question(text, vector, chance.choice(users))
        for text, vector in zip(words, vectors, strict=True)
    ]


def bare(bench: Bench, question: Question, shown: Any) -> Shot:
    """Query + kNN in Elasticsearch itself, the vector given."""
    body = {
        "query": _words(question),
        "knn": _knn(bench, question),
        "size": bench.size,
        "_source": shown,
    }
    return Shot(bench.es_url, f"/{bench.index}/_search", json.dumps(body).encode())


def _words(question: Question) -> dict[str, Any]:
    return {"match": {"title": question.words}}


def _knn(bench: Bench, question: Question) -> dict[str, Any]:
    return {
        "field": bench.field,
        "query_vector": question.vector,
        "k": bench.window,
        "num_candidates": max(bench.num_candidates, bench.window),
    }


def fused(bench: Bench, question: Question, shown: Any) -> Shot:
    """The same search through the sidecar, which makes the vector and ranks for the shopper."""
    body = {
        "query": {"match": {"title": question.words}},
        "size": bench.size,
        "_source": shown,
        "ext": {
            "ubi": {"user_query": question.words, "user_id": question.user},
            "hitweave": {"mode": "fused", "rank_window_size": bench.window, "record": False},
        },
    }
    return Shot(bench.sidecar_url, f"/{bench.index}/_search", json.dumps(body).encode())


def by_plugin(bench: Bench, question: Question, shown: Any) -> Shot:
    """The same search by the retriever in Elasticsearch, the vector given."""
    asked = {
        "retrievers": [{"standard": {"query": _words(question)}}, {"knn": _knn(bench, question)}],
        "rank_window_size": bench.window,
        "query": question.words,
        "user_id": question.user,
    }
    body = {"retriever": {"attention_fusion": asked}, "size": bench.size, "_source": shown}
    return Shot(bench.es_url, f"/{bench.index}/_search", json.dumps(body).encode())


def reranked(bench: Bench, question: Question, ids: Sequence[str]) -> Shot:
    """Candidates that a client found itself."""
    candidates = [
        {"id": name, "bm25": 10.0 - row / 20, "knn": 0.9 - row / 200}
        for row, name in enumerate(ids[: bench.window])
    ]
    body = {
        "index": bench.index,
        "query": question.words,
        "user_id": question.user,
        "candidates": candidates,
        "size": bench.size,
    }
    return Shot(bench.sidecar_url, "/rerank", json.dumps(body).encode())


def recommended(bench: Bench, user: str | None, items: Sequence[str]) -> Shot:
    """Goods for a shopper, an item's page or a cart, computed afresh."""
    body = {"index": bench.index, "size": bench.size, "item_ids": list(items)}
    if user is not None:
        body["user_id"] = user
    return Shot(bench.sidecar_url, "/recommend", json.dumps(body).encode())


def sorted_search(url: str, bench: Bench, question: Question) -> Shot:
    """A search that is not ranked, at the node or passed through."""
    body = {
        "query": {"match": {"title": question.words}},
        "sort": [{"price": "asc"}],
        "size": bench.size,
        "_source": SHOWN,
    }
    return Shot(url, f"/{bench.index}/_search", json.dumps(body).encode())


def kinds(
    bench: Bench, asked: Sequence[Question], fresh: Callable[[], Question]
) -> dict[str, Callable[[int], Shot]]:
    """Name → the shot number n of that kind."""
    with Elasticsearch(bench.es_url, request_timeout=60) as es:
        concrete = resolve(es, bench.index).concrete
        lists = {
            question.words: [
                hit["_id"]
                for hit in es.search(
                    index=concrete,
                    query={"match": {"title": question.words}},
                    size=bench.window,
                    source=False,
                )["hits"]["hits"]
            ]
            for question in asked
        }

    def at(number: int) -> Question:
        return asked[number % len(asked)]

    def some(number: int, count: int) -> Sequence[str]:
        return lists[at(number).words][:count]

    named: dict[str, Callable[[int], Shot]] = {
        "bare query + knn": lambda n: bare(bench, at(n), SHOWN),
        "fused": lambda n: fused(bench, at(n), SHOWN),
        "bare query + knn, ids only": lambda n: bare(bench, at(n), False),
        "fused, ids only": lambda n: fused(bench, at(n), False),
        "fused, words never asked before": lambda _: fused(bench, fresh(), SHOWN),
        "/rerank": lambda n: reranked(bench, at(n), lists[at(n).words]),
        "/recommend, for you": lambda n: recommended(bench, at(n).user, ()),
        "/recommend, similar": lambda n: recommended(bench, None, some(n, 1)),
        "/recommend, cart": lambda n: recommended(bench, at(n).user, some(n, CART)),
        "sorted search, node": lambda n: sorted_search(bench.es_url, bench, at(n)),
        "sorted search, passed through": lambda n: sorted_search(bench.sidecar_url, bench, at(n)),
    }
    if bench.has_plugin:
        named["plugin"] = lambda n: by_plugin(bench, at(n), SHOWN)
        named["plugin, ids only"] = lambda n: by_plugin(bench, at(n), False)
    return named
