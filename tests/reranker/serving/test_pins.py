"""A pin holds exactly what decides an order, and is found again only by the same search."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalogue.generation import Generation
from indexer.catalogue.mapping import IndexConfig
from indexer.embedding.recipe import Recipe
from reranker.retrieval.candidates import Total
from reranker.retrieval.request import Defaults, RankedRequest, parse
from reranker.serving import pins
from reranker.serving.call import Call
from reranker.serving.deadline import Deadline
from reranker.serving.pins import Pin

GENERATION = Generation("shop", "shop-000001", IndexConfig(), Recipe(encoder="hashed:8", dims=8))
BODY: dict[str, Any] = {"query": {"match": {"title": "lamp"}}}


def call(body: dict[str, Any], **changes: Any) -> Call:
    asked = parse(body, {}, {}, Defaults())
    assert isinstance(asked, RankedRequest)
    made = Call(asked, GENERATION, "shop", {}, "somebody", "q", Deadline(0.0, 1.0))
    return dataclasses.replace(made, **changes)


@given(
    st.lists(st.text(max_size=5), unique=True, max_size=5),
    st.none() | st.builds(Total, st.integers(0, 10**9), st.booleans()),
    st.booleans(),
)
def test_a_pin_is_read_as_it_was_written(
    ids: list[str], total: Total | None, complete: bool
) -> None:
    pin = Pin(
        ids=ids,
        scores=[1.0 / (1 + at) for at in range(len(ids))],
        total=total,
        model="v1",
        degraded=None,
        aggregations={"brands": {"buckets": []}},
        complete=complete,
    )
    assert pins.decode(pins.encode(pin)) == pin


@pytest.mark.parametrize(
    "body",
    [
        {**BODY, "from": 20, "size": 5},
        {**BODY, "_source": False},
        {**BODY, "highlight": {"fields": {"title": {}}}},
        {**BODY, "ext": {"hitweave": {"record": False, "explain": True}}},
    ],
)
def test_the_page_and_how_it_is_shown_do_not_decide_the_order(body: dict[str, Any]) -> None:
    assert pins.key_of(call(body)) == pins.key_of(call(BODY))


@pytest.mark.parametrize(
    "body",
    [
        {"query": {"match": {"title": "lamps"}}},
        {**BODY, "post_filter": {"term": {"brand": "acme"}}},
        {**BODY, "ext": {"hitweave": {"mode": "rrf"}}},
        {**BODY, "ext": {"hitweave": {"rank_window_size": 50}}},
        {**BODY, "ext": {"hitweave": {"context": {"device": "mobile"}}}},
        {**BODY, "ext": {"ubi": {"query_id": "q1"}}},
        {**BODY, "ext": {"ubi": {"user_query": "light"}}},
    ],
)
def test_whatever_decides_the_order_makes_another_pin(body: dict[str, Any]) -> None:
    assert pins.key_of(call(body)) != pins.key_of(call(BODY))


def test_nobody_reads_the_order_of_somebody_else() -> None:
    own = pins.key_of(call(BODY))
    assert pins.key_of(call(BODY, shopper="another")) != own
    proxy = {"Authorization": "ApiKey x"}
    assert pins.key_of(call(BODY, headers=proxy)) != own
    as_another = {**proxy, "es-security-runas-user": "somebody"}
    assert pins.key_of(call(BODY, headers=as_another)) != pins.key_of(call(BODY, headers=proxy))
    moved = dataclasses.replace(GENERATION, concrete="shop-000002")
    assert pins.key_of(call(BODY, generation=moved)) != own


def test_first_sort_values_tell_where_the_next_page_begins() -> None:
    pin = Pin(
        ids=list("abcde"), scores=[3.0, 2.0, 2.0, 2.0, -1.5], total=None, model=None, degraded=None
    )
    names = [*"abcde", "f", "g", "h"]
    cursors = pin.cursors(0, names)
    values = [*cursors.values()]
    assert values == sorted(set(values), reverse=True)
    assert (cursors["a"], cursors["b"]) == (3.0, 2.0)
    assert [pin.place_after(cursors[name]) for name in names] == [*range(1, 9)]
    assert pin.cursors(4, names[4:]) == {name: cursors[name] for name in names[4:]}
    assert pin.place_after(float(np.float32(cursors["e"]))) == 5
    nothing = Pin(ids=[], scores=[], total=None, model=None, degraded=None)
    assert nothing.place_after(1.0) == 0
