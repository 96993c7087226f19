"""`filter_path` as Elasticsearch means it."""

from typing import Any

import pytest

from reranker.routes import filter_path

ANSWER: dict[str, Any] = {
    "took": 3,
    "_shards": {"total": 1, "failed": 0},
    "hits": {
        "total": {"value": 2, "relation": "eq"},
        "hits": [
            {"_id": "a", "_source": {"title": "x", "price": 1}},
            {"_id": "b", "_source": {"title": "y", "price": 2}},
        ],
    },
}


@pytest.mark.parametrize(
    ("paths", "kept"),
    [
        ("took", {"took": 3}),
        ("took,_shards.total", {"took": 3, "_shards": {"total": 1}}),
        ("hits.hits._id", {"hits": {"hits": [{"_id": "a"}, {"_id": "b"}]}}),
        ("hits.t*.value", {"hits": {"total": {"value": 2}}}),
        (
            "hits.**.price",
            {"hits": {"hits": [{"_source": {"price": 1}}, {"_source": {"price": 2}}]}},
        ),
        ("nothing.here", {}),
        ("-hits,-_shards", {"took": 3}),
        ("hits.total,-**.relation", {"hits": {"total": {"value": 2}}}),
    ],
)
def test_paths_keep_and_leave_out(paths: str, kept: dict[str, Any]) -> None:
    assert filter_path.apply(ANSWER, paths) == kept
