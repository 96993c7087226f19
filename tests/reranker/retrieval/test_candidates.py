"""Two legs joined: union, ranks, cosines, totals; failures by name."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.retrieval.candidates import NoIdColumn, Total, decode, join
from reranker.retrieval.query import ID_COLUMN, KEYWORD_NAME, MARK_NAME

SHARDS = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}


def leg(*hits: dict[str, Any], total: int | None = None, **extra: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"hits": list(hits)}
    if total is not None:
        found["total"] = {"value": total, "relation": "eq"}
    return {"took": 1, "timed_out": False, "_shards": SHARDS, "hits": found, **extra}


def hit(name: str, score: float, *, keyword: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"_index": "i", "_score": score, "fields": {ID_COLUMN: [name]}}
    return found | ({"matched_queries": {KEYWORD_NAME: 1.5}} if keyword else {})


def test_the_union_has_keyword_order_first_and_nan_where_a_leg_is_silent() -> None:
    found = decode(
        {
            "keyword": leg(hit("a", 3.0), hit("b", 2.0), total=2),
            "knn": leg(hit("b", 0.9), hit("c", 0.75)),
        },
        keyword_only=False,
    ).candidates
    assert found.ids == ["a", "b", "c"]
    np.testing.assert_allclose(found.bm25, [3, 2, np.nan])
    np.testing.assert_allclose(found.bm25_rank, [1, 2, np.nan])
    # Elasticsearch's score of a cosine c is (1 + c) / 2.
    np.testing.assert_allclose(found.knn, [np.nan, 0.8, 0.5], rtol=1e-6)
    np.testing.assert_allclose(found.knn_rank, [np.nan, 1, 2])


def test_what_the_words_match_behind_the_end_of_their_list_goes_on_with_it() -> None:
    keyword = [{"_id": "a", "_score": 9.0}, {"_id": "b", "_score": 8.0}]
    names = {"c": 7.0, "b": 8.0, "d": None, "e": 8.5, "f": 7.0}
    knn = [
        {"_id": name, "_score": 0.9} | ({"matched_queries": {KEYWORD_NAME: said}} if said else {})
        for name, said in names.items()
    ]
    found = join(keyword, knn)
    assert found.ids == ["a", "b", "c", "d", "e", "f"]
    np.testing.assert_allclose(found.bm25, [9, 8, 7, np.nan, 8, 7])
    np.testing.assert_allclose(found.bm25_rank, [1, 2, 4, np.nan, 3, 5])
    assert np.isfinite(join(keyword, knn, goes_on=False).bm25).sum() == len(keyword)
    assert not np.isfinite(join([], knn).bm25).any()


def test_the_total_counts_what_only_the_vectors_found_and_nothing_twice() -> None:
    # b is in both legs; c matches the keywords below their window; d does not match them.
    found = decode(
        {
            "keyword": leg(hit("a", 3.0), hit("b", 2.0), total=250),
            "knn": leg(hit("b", 0.9, keyword=True), hit("c", 0.8, keyword=True), hit("d", 0.7)),
        },
        keyword_only=False,
    )
    assert found.total == Total(251)


def test_a_total_that_is_a_lower_bound_stays_one() -> None:
    keyword = leg(hit("a", 3.0))
    keyword["hits"]["total"] = {"value": 10_000, "relation": "gte"}
    found = decode({"keyword": keyword, "knn": leg(hit("d", 0.7))}, keyword_only=False)
    assert found.total == Total(10_000, exact=False)


def test_without_totals_there_is_none() -> None:
    responses = {"keyword": leg(hit("a", 3.0)), "knn": leg(hit("d", 0.7))}
    assert decode(responses, keyword_only=False).total is None


def test_a_minimum_score_leaves_only_what_the_keyword_leg_holds() -> None:
    responses = {
        "keyword": leg(hit("a", 3.0), total=1),
        "knn": leg(hit("b", 0.9), hit("a", 0.8)),
    }
    found = decode(responses, keyword_only=True)
    assert found.candidates.ids == ["a"]
    assert found.total == Total(1)


def test_a_shard_that_failed_or_ran_out_of_time_is_named() -> None:
    failed = leg(hit("a", 3.0), total=1) | {"_shards": SHARDS | {"failed": 1}}
    assert decode({"keyword": failed}, keyword_only=False).degraded == "elasticsearch_partial"
    late = leg(hit("a", 3.0), total=1) | {"timed_out": True}
    assert decode({"keyword": late}, keyword_only=False).degraded == "elasticsearch_partial"


def test_a_document_without_an_id_column_is_never_dropped_silently() -> None:
    bare = {"_index": "i", "_score": 1.0}
    with pytest.raises(NoIdColumn):
        decode({"keyword": leg(bare, total=1)}, keyword_only=False)


def test_facets_come_from_the_leg_that_counts_the_union() -> None:
    responses = {
        "keyword": leg(hit("a", 3.0), total=1),
        "knn": leg(hit("b", 0.9)),
        "facets": leg(aggregations={"brands": {"buckets": []}}),
    }
    assert decode(responses, keyword_only=False).aggregations == {"brands": {"buckets": []}}


NAMES = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=8)


@given(NAMES, NAMES)
def test_joining_loses_and_repeats_nothing(keyword: list[str], knn: list[str]) -> None:
    found = join(
        [{"_id": name, "_score": 9.0 - at} for at, name in enumerate(keyword)],
        [{"_id": name, "_score": 0.9 - at / 100} for at, name in enumerate(knn)],
    )
    assert set(found.ids) == {*keyword, *knn}
    assert len(found.ids) == len(set(found.ids))
    for name, rank, knn_rank in zip(found.ids, found.bm25_rank, found.knn_rank, strict=True):
        assert np.isnan(rank) if name not in keyword else rank == keyword.index(name) + 1
        assert np.isnan(knn_rank) if name not in knn else knn_rank == knn.index(name) + 1


def test_pinned_documents_are_no_candidates_and_count_once() -> None:
    # p matches the keywords below their window, q only the pins ask for, b and d are known anyway.
    found = decode(
        {
            "keyword": leg(hit("a", 3.0), hit("b", 2.0), total=250),
            "knn": leg(hit("b", 0.9, keyword=True), hit("d", 0.7)),
            "pinned": leg(hit("p", 0.0, keyword=True), hit("q", 0.0), hit("b", 0.0), hit("d", 0.0)),
        },
        keyword_only=False,
    )
    assert found.candidates.ids == ["a", "b", "d"]
    assert found.total == Total(252)
    assert set(found.pinned) == {"p", "q", "b", "d"}


def test_marks_are_told_by_either_leg() -> None:
    first, second = hit("a", 3.0), hit("b", 0.9, keyword=True)
    first["matched_queries"] = [f"{MARK_NAME}1"]
    second["matched_queries"] |= {f"{MARK_NAME}0": 0.0, f"{MARK_NAME}2": 0.0}
    found = decode({"keyword": leg(first, total=1), "knn": leg(second)}, keyword_only=False)
    assert found.marks == [{1}, {0, 2}]
    unmarked = decode({"keyword": leg(hit("a", 3.0), total=1)}, keyword_only=False)
    assert unmarked.marks == []
