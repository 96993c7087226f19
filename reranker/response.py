"""Answers in Elasticsearch's shape. Pure.

Hits keep what the node sent for them; only `_score` is ours. Nothing of our own machinery (named
queries, helper fields) is left in a hit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reranker.retrieval.candidates import Total
from reranker.retrieval.query import KEYWORD_NAME
from reranker.retrieval.request import RankedRequest

# What a page of a kept order says of shards: it was not searched anew.
ONE_SHARD = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds of a request's parts."""

    elasticsearch: float
    fusion: float
    total: float


@dataclass(frozen=True, slots=True)
class Page:
    """What is shown: hits in order with their scores, and what is said about the match set."""

    hits: Sequence[Mapping[str, Any]]
    scores: Sequence[float]
    max_score: float | None
    total: Total | None
    shards: Mapping[str, Any]
    timed_out: bool
    window: int
    model: str | None
    degraded: str | None
    query_id: str
    took: Took
    aggregations: Mapping[str, Any] | None = None
    suggest: Mapping[str, Any] | None = None
    explanations: Sequence[Mapping[str, Any] | None] = field(default_factory=tuple)
    explained: Mapping[str, Any] = field(default_factory=dict)  # by id, beside Elasticsearch's form
    told: Mapping[str, Any] = field(default_factory=dict)  # further keys of `hitweave`
    terminated_early: bool | None = None
    cursors: Mapping[str, float] = field(default_factory=dict)  # by id: the first sort value


def search_answer(page: Page) -> dict[str, Any]:
    """The body of a ranked answer."""
    hits: dict[str, Any] = {"max_score": page.max_score, "hits": _hits(page)}
    if page.total is not None:
        relation = "eq" if page.total.exact else "gte"
        hits = {"total": {"value": page.total.value, "relation": relation}} | hits
    answer: dict[str, Any] = {
        "took": round(page.took.total),
        "timed_out": page.timed_out,
        "_shards": page.shards,
        "hits": hits,
    }
    if page.terminated_early is not None:
        answer["terminated_early"] = page.terminated_early
    if page.aggregations is not None:
        answer["aggregations"] = page.aggregations
    if page.suggest is not None:
        answer["suggest"] = page.suggest
    own = own_sections(page.query_id, page.model, page.degraded, page.window, page.took)
    own["hitweave"].update(page.told)
    if page.explained:
        own["hitweave"]["explained"] = page.explained
    return answer | own


def own_sections(
    query_id: str, model: str | None, degraded: str | None, window: int, took: Took
) -> dict[str, Any]:
    """What a ranked answer carries beside Elasticsearch's own."""
    return {
        "ext": {"ubi": {"query_id": query_id}},
        "hitweave": {
            "model": model,
            "degraded": degraded,
            "window": window,
            "took": {
                "elasticsearch": round(took.elasticsearch, 2),
                "fusion": round(took.fusion, 2),
                "total": round(took.total, 2),
            },
        },
    }


def bare_hit(concrete_index: str, document_id: str) -> dict[str, Any]:
    """A hit of which nothing but its identity was asked for."""
    return {"_index": concrete_index, "_id": document_id}


def _hits(page: Page) -> list[dict[str, Any]]:
    shown = []
    for row, (hit, score) in enumerate(zip(page.hits, page.scores, strict=True)):
        own = {"_index": hit.get("_index"), "_id": hit["_id"], "_score": score}
        own |= {name: part for name, part in hit.items() if name not in own}
        if page.cursors:
            own["sort"] = [page.cursors[hit["_id"]], *hit.get("sort", ())]
        if "matched_queries" in own:
            _without_our_name(own)
        if page.explanations and page.explanations[row] is not None:
            own["_explanation"] = page.explanations[row]
        shown.append(own)
    return shown


def _without_our_name(hit: dict[str, Any]) -> None:
    names = hit["matched_queries"]
    kept = [name for name in names if name != KEYWORD_NAME]
    if kept:
        hit["matched_queries"] = kept
    else:
        del hit["matched_queries"]


def without_ids(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with hits that do not tell their ids, where nothing stored was asked for."""
    shown = [
        {name: part for name, part in hit.items() if name != "_id"}
        for hit in answer["hits"]["hits"]
    ]
    return answer | {"hits": answer["hits"] | {"hits": shown}}


def total_as_integer(answer: dict[str, Any]) -> dict[str, Any]:
    """The old form of the total, as `rest_total_hits_as_int` asks for."""
    total = answer["hits"].get("total")
    if not isinstance(total, Mapping):
        return answer
    return answer | {"hits": answer["hits"] | {"total": total["value"]}}


def recorded_query(
    request: RankedRequest,
    *,
    application: str,
    query_id: str,
    ids: Sequence[str],
    timestamp: str,
    context: Mapping[str, Any] | None = None,
    rules: Sequence[str] = (),
    experiment: Mapping[str, Any] | None = None,
    exploration: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The UBI query document of a search, with the ids it showed, what of its context is learned
    from, the rules it was under, the experiment it was in and with which chances its hits came to
    stand there.
    """
    attributes = dict(request.ubi.query_attributes) | {"from": request.start}
    if context:
        attributes["context"] = dict(context)
    if rules:
        attributes["rules"] = list(rules)
    for name, part in (("experiment", experiment), ("exploration", exploration)):
        attributes.pop(name, None)
        if part:
            attributes[name] = dict(part)
    document: dict[str, Any] = {
        "application": request.ubi.application or application,
        "query_id": query_id,
        "user_query": request.text,
        "client_id": request.shopper.client_id,
        "user_id": request.shopper.user_id,
        "session_id": request.shopper.session_id,
        "query_attributes": attributes,
        "object_id_field": request.ubi.object_id_field,
        "query_response_hit_ids": list(ids),
        "timestamp": timestamp,
    }
    return {name: part for name, part in document.items() if part is not None}
