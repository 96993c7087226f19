"""What the two legs found, joined; and the decoding of Elasticsearch's answer. Pure.

A leg that failed is absent, never empty by mistake: the caller learns why and answers with the
other one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.retrieval.query import CODE_NAME, ID_COLUMN, KEYWORD_NAME, MARK_NAME

TRACKED_TOTAL = 10_000  # Elasticsearch counts this far unless told otherwise


class NoIdColumn(Exception):
    """A document that somebody else wrote does not carry its id as a column: ask for `_id`."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The union of both legs, keyword order first, then what only the vectors found.

    Arrays are float32 [n]. `knn` is the cosine; ranks count from 1; NaN: not in that leg.
    """

    ids: list[str]
    bm25: NDArray[np.float32]
    bm25_rank: NDArray[np.float32]
    knn: NDArray[np.float32]
    knn_rank: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.intp]) -> "Candidates":
        """The candidates at `rows`, in that order."""
        return Candidates(
            [self.ids[row] for row in rows],
            self.bm25[rows],
            self.bm25_rank[rows],
            self.knn[rows],
            self.knn_rank[rows],
        )


@dataclass(frozen=True, slots=True)
class Total:
    """How many documents match; `exact` is Elasticsearch's relation `eq`."""

    value: int
    exact: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Retrieved:
    """One retrieval, decoded.

    `groups` has each candidate's value of the collapse field, None where nothing is collapsed;
    `marks` which of the marks each matches, by their numbers, empty where none were asked for.
    `pinned` are the documents found by id or code, with their value of the collapse field, `named`
    those whose code is the query; `legs` are the hits of each leg. `terminated_early` is what the
    keyword leg says of `terminate_after`, None where that was not asked for.
    """

    candidates: Candidates
    total: Total | None
    shards: Mapping[str, Any]
    timed_out: bool
    aggregations: Mapping[str, Any] | None = None
    suggest: Mapping[str, Any] | None = None
    groups: Sequence[str | None] | None = None
    degraded: str | None = None
    marks: Sequence[frozenset[int]] = ()
    pinned: Mapping[str, str | None] = field(default_factory=dict)
    named: Sequence[str] = ()
    legs: Sequence[Sequence[Mapping[str, Any]]] = ()
    terminated_early: bool | None = None

    def marked(self, reason: str) -> "Retrieved":
        """The same retrieval, degraded for `reason`."""
        return replace(self, degraded=reason)


def decode(
    responses: Mapping[str, Mapping[str, Any]],
    *,
    keyword_only: bool,
    collapse_field: str | None = None,
) -> Retrieved:
    """Join the answers of legs `keyword`, `knn`, `facets` and `pinned`, those that there are.

    `keyword_only` keeps what the keyword leg holds, as a client's `min_score` demands.
    """
    keyword, knn = named_hits(responses.get("keyword")), named_hits(responses.get("knn"))
    if keyword_only:
        known = {hit["_id"] for hit in keyword}
        knn = [hit for hit in knn if hit["_id"] in known]
    pinned = named_hits(responses.get("pinned"))
    candidates = join(keyword, knn, goes_on=collapse_field is None)
    first = responses.get("keyword") or responses["knn"]
    facets = responses.get("facets") or responses.get("keyword") or {}
    return Retrieved(
        candidates=candidates,
        groups=_groups(candidates, (*knn, *keyword), collapse_field),
        total=_total(responses, [*knn, *_beside(pinned, knn)]),
        shards=first["_shards"],
        timed_out=any(answer.get("timed_out") for answer in responses.values()),
        aggregations=facets.get("aggregations"),
        suggest=first.get("suggest"),
        degraded=_partial(responses),
        marks=marks_of(candidates.ids, (*knn, *keyword)),
        pinned={hit["_id"]: _group(hit, collapse_field) for hit in pinned},
        named=[hit["_id"] for hit in pinned if CODE_NAME in hit.get("matched_queries", ())],
        legs=(keyword, knn, pinned),
        terminated_early=responses.get("keyword", {}).get("terminated_early"),
    )


def join(
    keyword: Sequence[Mapping[str, Any]],
    knn: Sequence[Mapping[str, Any]],
    *,
    goes_on: bool = True,
) -> Candidates:
    """Candidates of two ranked hit lists.

    What the keywords match behind the end of their list, and the vectors found, goes on with it:
    many a word has more matches than a window has places, and those of equal scores are cut off by
    chance. Not where the list `goes_on` no further, as where others of its groups stand for hits.
    """
    rows = {hit["_id"]: row for row, hit in enumerate(keyword)}
    count = len(keyword)
    at = [rows.setdefault(hit["_id"], len(rows)) for hit in knn]
    bm25, bm25_rank, cosine, knn_rank = np.full((4, len(rows)), np.nan, dtype=np.float32)
    bm25[:count] = [hit["_score"] for hit in keyword]
    bm25_rank[:count] = np.arange(1, count + 1)
    if goes_on and keyword and len(rows) > count:
        last = keyword[-1]["_score"]
        behind = [(score_of_keywords(hit), row) for hit, row in zip(knn, at, strict=True)]
        further = sorted((-it, row) for it, row in behind if it is not None and row >= count)
        for rank, (negated, row) in enumerate(further, count + 1):
            bm25[row], bm25_rank[row] = min(-negated, last), rank
    if knn:
        # Elasticsearch scores a cosine c as (1 + c) / 2.
        cosine[at] = np.array([hit["_score"] for hit in knn], dtype=np.float32) * 2.0 - 1.0
        knn_rank[at] = np.arange(1, len(knn) + 1)
    return Candidates(list(rows), bm25, bm25_rank, cosine, knn_rank)


def marks_of(ids: Sequence[str], hits: Iterable[Mapping[str, Any]]) -> list[frozenset[int]]:
    """Which marks each of `ids` matches, by any of its hits; empty where no hit matches any."""
    found: dict[str, frozenset[int]] = {}
    for hit in hits:
        matched = hit.get("matched_queries")
        if matched and (names := [it for it in matched if it.startswith(MARK_NAME)]):
            found[hit["_id"]] = frozenset(int(it.removeprefix(MARK_NAME)) for it in names)
    return [found.get(name, frozenset()) for name in ids] if found else []


def matches_keywords(hit: Mapping[str, Any]) -> bool:
    """Whether the client's own query matches a hit of the kNN leg."""
    return KEYWORD_NAME in hit.get("matched_queries", ())


def score_of_keywords(hit: Mapping[str, Any]) -> float | None:
    """How well the client's own query matches a hit of the kNN leg; None where it does not, or
    where that is not told.
    """
    matched = hit.get("matched_queries")
    return matched.get(KEYWORD_NAME) if isinstance(matched, Mapping) else None


def named_hits(response: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A leg's hits, each with its `_id`, read from the column where the leg asked for that; raises
    NoIdColumn where a document has none.
    """
    hits = _hits(response)
    try:
        for hit in hits:
            if "_id" not in hit:
                hit["_id"] = hit["fields"][ID_COLUMN][0]
    except (KeyError, IndexError):
        raise NoIdColumn from None
    return hits


def _hits(response: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    hits: list[dict[str, Any]] = [] if response is None else response["hits"]["hits"]
    return hits


def _total(
    responses: Mapping[str, Mapping[str, Any]], knn: Sequence[Mapping[str, Any]]
) -> Total | None:
    """Keyword matches and the vector matches beside them; None when totals are switched off."""
    if "keyword" not in responses:
        return Total(len(knn))
    counted = responses["keyword"]["hits"].get("total")
    if counted is None:
        return None
    exact = counted["relation"] == "eq"
    in_window = {hit["_id"] for hit in _hits(responses["keyword"])}
    beside = sum(1 for hit in knn if hit["_id"] not in in_window and not matches_keywords(hit))
    return Total(int(counted["value"]) + (beside if exact else 0), exact)


def _partial(responses: Mapping[str, Mapping[str, Any]]) -> str | None:
    failed = any(answer["_shards"].get("failed") for answer in responses.values())
    late = any(answer.get("timed_out") for answer in responses.values())
    return "elasticsearch_partial" if failed or late else None


def _groups(
    candidates: Candidates, hits: Iterable[Mapping[str, Any]], field: str | None
) -> list[str | None] | None:
    if field is None:
        return None
    values = {hit["_id"]: _group(hit, field) for hit in hits}
    return [values[name] for name in candidates.ids]


def _group(hit: Mapping[str, Any], field: str | None) -> str | None:
    value = None if field is None else hit.get("fields", {}).get(field)
    return None if value is None else repr(value)


def _beside(
    pinned: Sequence[Mapping[str, Any]], knn: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The documents found by id that the vectors did not find too."""
    found = {hit["_id"] for hit in knn}
    return [hit for hit in pinned if hit["_id"] not in found]
