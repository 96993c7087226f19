"""Searches with the retriever, and what is expected of its fallback."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch, ElasticsearchWarning

from reranker.settings import Settings

FIELDS = ["title^2", "description"]
FLOOR = 0.35
WINDOW = 100


@dataclass(frozen=True)
class Said:
    """A search's answer and the warnings that came with it."""

    answer: Any
    warnings: list[str]

    @property
    def ids(self) -> list[str]:
        """Ids of the hits."""
        return [hit["_id"] for hit in self.answer["hits"]["hits"]]


def keyword(text: str) -> dict[str, Any]:
    """The query of the words."""
    return {"multi_match": {"query": text, "fields": FIELDS}}


def knn(vector: Sequence[float]) -> dict[str, Any]:
    """The vector child as the gateway's own leg searches."""
    return {
        "knn": {
            "field": "embedding",
            "query_vector": list(vector),
            "k": WINDOW,
            "num_candidates": max(WINDOW, Settings().num_candidates),
            "similarity": FLOOR,
        }
    }


def fusion(text: str, vector: Sequence[float], **more: Any) -> dict[str, Any]:
    """The retriever over a standard and a knn child."""
    children = [{"standard": {"query": keyword(text)}}, knn(vector)]
    return {"attention_fusion": {"retrievers": children, "rank_window_size": WINDOW, **more}}


def search(es: Elasticsearch, **body: Any) -> Said:
    """One search of plain elasticsearch-py."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer = es.search(**body)
    kept = [str(one.message) for one in caught if one.category is ElasticsearchWarning]
    return Said(answer, [text for text in kept if "attention_fusion" in text])


def set_node(es: Elasticsearch, **settings: str | list[str] | None) -> None:
    """Change the plugin's node settings while the node runs; None takes a setting back."""
    named: Mapping[str, Any] = {f"attention_fusion.{name}": it for name, it in settings.items()}
    es.cluster.put_settings(persistent=named)


def reciprocal_rank_order(es: Elasticsearch, index: str, legs: Sequence[Any]) -> list[str]:
    """The order of reciprocal rank fusion over each child searched alone; ties: found first."""
    scores: dict[str, float] = {}
    for leg in legs:
        answer = es.search(index=index, retriever=leg, size=WINDOW, source=False)
        for rank, hit in enumerate(answer["hits"]["hits"], start=1):
            scores[hit["_id"]] = scores.get(hit["_id"], 0.0) + 1.0 / (60 + rank)
    return sorted(scores, key=lambda name: -round(scores[name], 7))
