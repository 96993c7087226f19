import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.evaluation import columns
from reranker.evaluation.columns import EVENTS, MOMENT, TEXTS, converted

STAMP = {
    "id": "7",
    "version": 5,
    "received_at": 1000,
    "recipe": "r1",
    "text_hash": "x",
    "codes": ["7"],
}


def same(ours: str) -> str:
    return ours


def test_a_product_becomes_a_row_and_its_unknown_fields_are_kept() -> None:
    table = columns.catalogue(same)
    source = {
        "id": "7",
        "title": "Bag",
        "price": 2.5,
        "categories": ["bags", "sale"],
        "attributes": {"colour": "red"},
        "available": True,
        "updated_at": "2026-01-02T03:04:05.678Z",
        "colour_code": 17,
        "hitweave": STAMP,
    }
    row = table.row("7", source)
    assert (row["id"], row["title"], row["price"], row["available"]) == ("7", "Bag", 2.5, True)
    assert row["categories"] == ["bags", "sale"]
    assert json.loads(row["attributes"]) == {"colour": "red"}
    assert row["updated_at"] == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    assert row["received_at"] == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert json.loads(row["other"]) == {"colour_code": 17}
    assert row["brand"] is None
    assert set(row) == set(table.schema.names)


def test_a_foreign_mapping_is_read_under_its_own_names() -> None:
    names = {"title": "texts.name", "price": "cost", "id": "sku"}
    table = columns.catalogue(lambda ours: names.get(ours, ours))
    row = table.row("9", {"sku": "9", "texts": {"name": "Cup", "more": "x"}, "cost": "3.20"})
    assert (row["title"], row["price"]) == ("Cup", 3.2)
    assert json.loads(row["other"]) == {"texts": {"more": "x"}}


def test_what_a_column_cannot_hold_is_kept_beside_it() -> None:
    row = columns.catalogue(same).row("1", {"title": "Cup", "price": "on request"})
    assert row["price"] is None
    assert json.loads(row["other"]) == {"price": "on request"}


def test_a_vector_of_the_right_length_is_a_column_and_no_other() -> None:
    table = columns.catalogue(same, "embedding", 3)
    row = table.row("1", {"title": "Cup", "embedding": [0.5, 0.25, 1.0]})
    np.testing.assert_array_equal(row["vector"], np.array([0.5, 0.25, 1.0], np.float32))
    assert row["other"] is None
    assert table.row("1", {"title": "Cup", "embedding": [0.5]})["vector"] is None
    batch = pa.RecordBatch.from_pylist([row, table.row("2", {})], schema=table.schema)
    assert batch.column("vector").to_pylist() == [[0.5, 0.25, 1.0], None]


def test_the_free_parts_of_an_event_stay_together() -> None:
    event = {
        "event_id": "e1",
        "action_name": "purchase",
        "timestamp": "2011-01-01T00:00:00Z",
        "event_attributes": {
            "object": {"object_id": "22"},
            "position": {"ordinal": 3},
            "quantity": 6,
        },
        "hitweave": {"index": "shop", "received_at": "2026-01-01T00:00:00.000Z"},
    }
    row = EVENTS.row("shop/e1", event)
    assert (row["object_id"], row["position"]) == ("22", 3)
    assert json.loads(row["event_attributes"]) == {"quantity": 6}
    assert row["other"] is None


def test_a_document_is_not_changed_by_reading_it() -> None:
    event = {"event_attributes": {"object": {"object_id": "22"}}}
    EVENTS.row("e", event)
    assert event == {"event_attributes": {"object": {"object_id": "22"}}}


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (3, pa.string(), "3"),
        ("x", TEXTS, ["x"]),
        (["x", 2], TEXTS, ["x", "2"]),
        ("true", pa.bool_(), True),
        ("yes", pa.bool_(), None),
        ("1.5", pa.float64(), 1.5),
        (True, pa.float64(), None),
        (float("nan"), pa.float64(), None),
        (2.5, pa.int32(), None),
        ("1000", MOMENT, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("2011-01-01", MOMENT, datetime(2011, 1, 1, tzinfo=UTC)),
        ("yesterday", MOMENT, None),
        (10**30, MOMENT, None),
        (None, pa.string(), None),
    ],
)
def test_a_value_fits_its_column_or_is_null(value: Any, kind: pa.DataType, expected: Any) -> None:
    assert converted(value, kind) == expected


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["title", "price", "available", "categories", "x"]), ANYTHING)
)
def test_any_document_becomes_a_row_that_parquet_takes(source: dict[str, Any]) -> None:
    table = columns.catalogue(same)
    batch = pa.RecordBatch.from_pylist([table.row("1", source)], schema=table.schema)
    batch.validate(full=True)
