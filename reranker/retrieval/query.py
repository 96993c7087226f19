"""The bodies that go to Elasticsearch for one ranked request. Pure.

Candidate legs carry no document unless told to; filters hold in both; whatever describes the match
set (total, facets, suggestions) is asked in a way that covers keyword matches and vector matches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from reranker.retrieval import clause
from reranker.retrieval.request import RankedRequest

KEYWORD_NAME = "hitweave_keyword"
MARK_NAME = "hitweave_mark:"
CODE_NAME = "hitweave_code"
SAME_CODE_MAX = 10
LEG_KEYS = ("runtime_mappings", "timeout", "stats")
BY_SCORE = {"top_hits", "sampler", "diversified_sampler"}  # aggregations
PAGE_KEYS = (
    *("_source", "fields", "docvalue_fields", "stored_fields", "script_fields", "version"),
    *("seq_no_primary_term", "highlight"),
)
TELLING = ("_name", "inner_hits")  # in a clause: each hit tells of it
ID_COLUMN = "hitweave.id"
CODE_COLUMN = "hitweave.codes"
ARRIVAL_COLUMN = "hitweave.received_at"
IDS_BY_COLUMN = {"_source": False, "stored_fields": "_none_", "docvalue_fields": [ID_COLUMN]}
VERSIONS = {"seq_no_primary_term": True, "docvalue_fields": [ID_COLUMN, ARRIVAL_COLUMN]}


@dataclass(frozen=True, slots=True)
class VectorSearch:
    """How the kNN leg searches; `similarity_floor` is a cosine, None for none."""

    field: str
    num_candidates: int
    similarity_floor: float | None = None


@dataclass(frozen=True, slots=True)
class Legs:
    """Bodies of one multi-search; a leg that is not needed is None."""

    keyword: Mapping[str, Any] | None
    knn: Mapping[str, Any] | None
    facets: Mapping[str, Any] | None = None
    pinned: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """What is asked beside candidates: which of `marks` each hit matches, documents by id, and
    those that have `code`, folded; empty: none.
    """

    marks: Sequence[Mapping[str, Any]] = ()
    pinned: Sequence[str] = ()
    code: str = ""

    @property
    def documents(self) -> list[dict[str, Any]]:
        """Queries for the documents, the one by code named; empty where none are asked for."""
        asked: list[dict[str, Any]] = []
        if self.pinned:
            asked.append({"ids": {"values": list(self.pinned)}})
        if self.code:
            asked.append({"term": {CODE_COLUMN: {"value": self.code, "_name": CODE_NAME}}})
        return asked


NOTHING_BESIDE = Beside()


def keyword_query(request: RankedRequest, search_fields: Sequence[str]) -> Mapping[str, Any]:
    """The client's scoring query; where it asks no text, its filter with the text searched in."""
    if clause.text_of(request.query):
        return request.query
    words = {"multi_match": {"query": request.text, "fields": list(search_fields)}}
    if not request.filters:
        return words
    return {"bool": {"must": [words], "filter": [request.query]}}


def own_search(request: RankedRequest, search_fields: Sequence[str]) -> dict[str, Any]:
    """The client's own search; where its query asks no text, with the text searched in it."""
    if clause.text_of(request.query):
        return dict(request.body)
    rest = {name: part for name, part in request.body.items() if name not in ("query", "retriever")}
    return rest | {"query": keyword_query(request, search_fields)}


def legs(
    request: RankedRequest,
    vector: NDArray[np.float32] | None,
    search: VectorSearch,
    search_fields: Sequence[str],
    *,
    id_column: bool,
    versions: bool = False,
    beside: Beside = NOTHING_BESIDE,
) -> Legs:
    """Both candidate legs and, where facets are asked, the one that counts over their union.

    Without a vector there is no kNN leg, and the keyword leg answers the facets itself. With
    `id_column` hits carry their id from a column: reading `_id` means reading documents from disk,
    which takes longer than the search itself. With `versions` besides, of which version they are.
    """
    query = clause.without_inner_hits(keyword_query(request, search_fields))
    filters = clause.without_inner_hits(list(request.filters))
    shared = {name: request.body[name] for name in LEG_KEYS if name in request.body}
    shared |= IDS_BY_COLUMN if id_column else {"_source": False}
    shared |= VERSIONS if id_column and versions else {}
    if collapse := request.body.get("collapse"):
        shared["collapse"] = collapse
    post = clause.without_inner_hits(clause.clauses(request.body.get("post_filter")))
    narrowed = (*filters, *post)
    pinned = _pinned_leg(request, query, shared, narrowed, beside)
    too = [_any_of(beside.documents, filters)] if pinned else []
    nearest = _nearest(request, vector, search, narrowed)
    if nearest is None:
        keyword = _keyword_leg(request, _marked(query, beside), shared, facets=not too)
        facets = _facets_leg(request, [query, *too], shared) if too else None
        return Legs(keyword, None, facets, pinned)
    knn = shared | {
        "query": _marked(_with_keyword_named(nearest, query), beside),
        "size": request.options.window,
        "track_total_hits": False,
    }
    counted = _nearest(request, vector, search, filters) or nearest
    if request.options.mode == "knn":
        return Legs(None, knn, _facets_leg(request, [counted, *too], shared), pinned)
    if "min_score" in request.body:  # what vectors alone find is no hit: no facet counts it
        return Legs(_keyword_leg(request, _marked(query, beside), shared, facets=True), knn)
    keyword = _keyword_leg(request, _marked(query, beside), shared, facets=False)
    return Legs(keyword, knn, _facets_leg(request, [query, counted, *too], shared), pinned)


def among(
    ids: Sequence[str], beside: Beside, filters: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Which of `ids` satisfy the filters, and which of the marks they match; ids only."""
    return {
        "query": _marked(_any_of([{"ids": {"values": list(ids)}}], filters), beside),
        "size": len(ids),
        "_source": False,
        "track_total_hits": False,
    }


def page(
    request: RankedRequest, ids: Sequence[str], search_fields: Sequence[str]
) -> dict[str, Any]:
    """Documents of one page; the client's query stands beside the ids for highlight and names.

    Where hits are collapsed, each tells the value that it stands for, as Elasticsearch has it.
    """
    body = {name: request.body[name] for name in PAGE_KEYS if name in request.body}
    body |= {name: request.body[name] for name in LEG_KEYS if name in request.body}
    if request.ties:
        body["sort"] = list(request.ties)
    if (field := request.collapse_field) is not None:
        body["docvalue_fields"] = [*_without(field, body.get("docvalue_fields")), field]
    chosen: dict[str, Any] = {"bool": {"filter": [{"ids": {"values": list(ids)}}]}}
    if needs_query(request):
        chosen["bool"]["should"] = [keyword_query(request, search_fields)]
    if clause.has_key(request.body.get("post_filter"), TELLING):
        body["post_filter"] = request.body["post_filter"]  # not beside the query: no highlights
    return body | {"query": chosen, "size": len(ids)}


def beyond(
    request: RankedRequest,
    shown: Sequence[str],
    start: int,
    size: int,
    search_fields: Sequence[str],
) -> dict[str, Any]:
    """Elasticsearch's own order without the ids already placed; ids only."""
    kept = {name: request.body[name] for name in LEG_KEYS if name in request.body}
    for name in ("post_filter", "min_score", "collapse", *(["sort"] if request.ties else [])):
        if name in request.body:
            kept[name] = request.body[name]
    query = {
        "bool": {
            "must": [keyword_query(request, search_fields)],
            "must_not": [{"ids": {"values": list(shown)}}],
        }
    }
    rest = {"_source": False, "track_total_hits": False, "from": start, "size": size}
    return kept | {"query": query} | rest


def needs_query(request: RankedRequest) -> bool:
    """Whether a page's hits depend on the client's query, not on the document alone."""
    told = [request.query, request.body.get("post_filter")]
    return "highlight" in request.body or clause.has_key(told, TELLING)


def needs_documents(request: RankedRequest) -> bool:
    """Whether anything of a hit but its id and score is asked for."""
    body = request.body
    if body.get("_source", True) is not False or needs_query(request) or request.collapse_field:
        return True
    if request.ties:
        return True
    return any(name in body for name in PAGE_KEYS if name != "_source")


def _without(field: str, asked: object) -> list[Any]:
    """Columns that are asked for but this one."""
    return [it for it in clause.clauses(asked) if it not in (field, {"field": field})]


def ndjson(target: str, params: Mapping[str, str], bodies: Sequence[Mapping[str, Any]]) -> bytes:
    """A multi-search body: every search on `target` with the same header parameters."""
    header = orjson.dumps({"index": target, **params})
    lines = []
    for body in bodies:
        lines += [header, orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)]
    return b"\n".join(lines) + b"\n"


def _keyword_leg(
    request: RankedRequest, query: Mapping[str, Any], shared: Mapping[str, Any], *, facets: bool
) -> dict[str, Any]:
    leg = dict(shared)
    for name in ("min_score", "suggest", "rescore", "terminate_after"):
        if name in request.body:
            leg[name] = request.body[name]
    if "post_filter" in request.body:
        leg["post_filter"] = clause.without_inner_hits(request.body["post_filter"])
    if request.ties:
        leg["sort"] = request.body["sort"]
    if "track_total_hits" in request.body:
        leg["track_total_hits"] = request.body["track_total_hits"]
    if facets and request.facets:
        leg["aggs"] = request.facets
    return leg | {"query": query, "size": request.options.window}


def _facets_leg(
    request: RankedRequest, matching: Sequence[Mapping[str, Any]], shared: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Counts over all that matches; `post_filter` narrows hits and total, but never facets.

    Nothing is scored unless an aggregation goes by scores: these are the client's own query's.
    """
    if not request.facets:
        return None
    leg = {name: part for name, part in shared.items() if name in LEG_KEYS}
    union: dict[str, Any] = {"bool": {"filter": [{"bool": {"should": list(matching)}}]}}
    if _go_by_score(request.facets):
        union["bool"]["should"] = [matching[0]]
    return leg | {"query": union, "size": 0, "track_total_hits": False, "aggs": request.facets}


def _go_by_score(aggregations: object) -> bool:
    """Whether one of the aggregations, or of those within them, looks at the best hits."""
    named = aggregations.values() if isinstance(aggregations, Mapping) else ()
    return any(
        not BY_SCORE.isdisjoint(one) or _go_by_score(one.get("aggs") or one.get("aggregations"))
        for one in named
        if isinstance(one, Mapping)
    )


def _nearest(
    request: RankedRequest,
    vector: NDArray[np.float32] | None,
    search: VectorSearch,
    filters: Sequence[Mapping[str, Any]],
) -> dict[str, Any] | None:
    """The kNN clause: the client's own where the body has one, else over the index's vectors."""
    window = request.options.window
    if given := clause.clauses(request.body.get("knn")):
        own = [{"knn": _filtered(part, filters)} for part in given]
        return own[0] if len(own) == 1 else {"dis_max": {"queries": own}}
    if vector is None:
        return None
    asked: dict[str, Any] = {
        "field": search.field,
        "query_vector": vector,
        "k": window,
        "num_candidates": max(window, search.num_candidates),
    }
    if search.similarity_floor is not None:
        asked["similarity"] = search.similarity_floor
    return {"knn": _filtered(asked, filters)}


def _filtered(knn: Mapping[str, Any], filters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    own = clause.clauses(knn.get("filter"))
    both = [*own, *filters]
    asked = {name: part for name, part in knn.items() if name not in ("filter", "inner_hits")}
    return asked | {"filter": both} if both else asked


def _with_keyword_named(nearest: Mapping[str, Any], query: Mapping[str, Any]) -> dict[str, Any]:
    """The kNN clause alone scores; how well the keywords match too is told by name."""
    named = {"bool": {"must": [query], "_name": KEYWORD_NAME}}
    silent = {"constant_score": {"filter": named, "boost": 0}}
    return {"bool": {"must": [nearest], "should": [silent]}}


def _marked(query: Mapping[str, Any], beside: Beside) -> Mapping[str, Any]:
    """The query scoring as before, each hit telling by name which of the marks it matches."""
    if not beside.marks:
        return query
    silent = [
        {"constant_score": {"filter": mark, "boost": 0, "_name": f"{MARK_NAME}{number}"}}
        for number, mark in enumerate(beside.marks)
    ]
    return {"bool": {"must": [query], "should": silent}}


def _pinned_leg(
    request: RankedRequest,
    query: Mapping[str, Any],
    shared: Mapping[str, Any],
    narrowed: Sequence[Mapping[str, Any]],
    beside: Beside,
) -> dict[str, Any] | None:
    """Documents by id and by code, under the client's own filters; a least score asks for matches
    alone.
    """
    documents = beside.documents
    if not documents or "min_score" in request.body:
        return None
    leg = {name: part for name, part in shared.items() if name != "collapse"}
    if field := request.collapse_field:
        leg["docvalue_fields"] = [*leg.get("docvalue_fields", ()), field]
    named = _with_keyword_named(_any_of(documents, narrowed), query)
    size = len(beside.pinned) + (SAME_CODE_MAX if beside.code else 0)
    return leg | {"query": named, "size": size, "track_total_hits": False}


def _any_of(
    queries: Sequence[Mapping[str, Any]], filters: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    one = queries[0] if len(queries) == 1 else {"bool": {"should": list(queries)}}
    return {"bool": {"filter": [one, *filters]}}
