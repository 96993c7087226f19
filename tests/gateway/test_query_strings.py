"""What operators of a query string leave out comes back by no leg; plain words stay open."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.gateway.conftest import Shop
from tests.gateway.exchange import Exchange

AGGS = {"brands": {"terms": {"field": "brand", "size": 100}}}
DEMANDS: list[tuple[str, dict[str, Any]]] = [
    ("query_string", {"query": "lamp NOT red"}),
    ("query_string", {"query": "lamp -red !blue"}),
    ("query_string", {"query": "lamp AND price:[0 TO 40]"}),
    ("query_string", {"query": "lamp AND price:<=40"}),
    ("query_string", {"query": "lamp AND brand:acme"}),
    ("query_string", {"query": "+glass +desk lamp"}),
    ("query_string", {"query": "(glass OR steel) AND (desk OR wall)"}),
    ("query_string", {"query": '"red glass" OR "blue glass"'}),
    ("query_string", {"query": "red OR blue", "default_operator": "and"}),
    ("query_string", {"query": "title:glass brand:zeta", "minimum_should_match": 2}),
    ("query_string", {"query": "gla*"}),
    ("query_string", {"query": "/gl[ab]ss/ AND lamp"}),
    ("simple_query_string", {"query": "lamp -red", "default_operator": "and"}),
    ("simple_query_string", {"query": "glass + (desk | wall)"}),
    ("simple_query_string", {"query": '"red glass"'}),
    ("simple_query_string", {"query": "gla*"}),
]
OPEN = [
    ("query_string", {"query": "earbuds"}),
    ("query_string", {"query": "ear-buds"}),
    ("query_string", {"query": r"earbuds\: new"}),
    ("simple_query_string", {"query": "earbuds: new", "default_operator": "and"}),
    ("simple_query_string", {"query": "earbuds -old", "flags": "OR"}),
]


def found(answer: Any) -> tuple[set[str], int, dict[str, int]]:
    """Ids, total and facets of an answer that holds all of them."""
    said = answer.json()
    brands = {it["key"]: it["doc_count"] for it in said["aggregations"]["brands"]["buckets"]}
    hits = said["hits"]
    return {hit["_id"] for hit in hits["hits"]}, hits["total"]["value"], brands


@pytest.mark.parametrize("mode", ["fused", "rrf", "knn"])
@pytest.mark.parametrize(("kind", "clause"), DEMANDS)
def test_what_operators_leave_out_no_leg_brings_back(
    node: Exchange, gateway: Exchange, shop: Shop, kind: str, clause: dict[str, Any], mode: str
) -> None:
    body = {"query": {kind: {"fields": ["title"], **clause}}, "size": 400, "aggs": AGGS}
    wanted, total, brands = found(node.search(shop.index, body))
    ours = body | {"ext": {"hitweave": {"mode": mode, "record": False}}}
    answer = gateway.search(shop.index, ours)
    assert answer.json()["hitweave"]["degraded"] is None
    assert wanted
    if mode == "knn":
        assert found(answer)[0] <= wanted
    else:
        assert found(answer) == (wanted, total, brands)


@pytest.mark.parametrize(("kind", "clause"), OPEN)
def test_words_without_operators_are_found_by_meaning(
    gateway: Exchange, shop: Shop, kind: str, clause: dict[str, Any]
) -> None:
    body = {"query": {kind: {"fields": ["title"], **clause}}, "aggs": AGGS}
    ids, _, _ = found(gateway.search(shop.index, body))
    assert "other-0" in ids


def test_a_query_in_the_url_keeps_its_operators(
    node: Exchange, gateway: Exchange, shop: Shop
) -> None:
    for text in ("title:lamp AND brand:zeta", "title:lamp -title:red AND price:[10 TO 60]"):
        path = f"/{shop.index}/_search?q={quote(text)}&size=400"
        wanted, answer = (json.loads(it.ask("GET", path).body) for it in (node, gateway))
        assert answer["hitweave"]["degraded"] is None
        ids, theirs = ({hit["_id"] for hit in it["hits"]["hits"]} for it in (answer, wanted))
        assert ids == theirs
        assert answer["hits"]["total"] == wanted["hits"]["total"]
