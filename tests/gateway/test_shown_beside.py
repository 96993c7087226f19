"""Beside a ranked list, facets and inner hits are what the node shows beside its own."""

from typing import Any

import pytest

from tests.gateway.conftest import Shop
from tests.gateway.exchange import Exchange

WORDS = {"match": {"title": "red lamp"}}
BRANDS = {"brands": {"terms": {"field": "brand"}}, "prices": {"stats": {"field": "price"}}}


def sold_by(seller: str) -> dict[str, Any]:
    """A filter that tells which of the offers matched."""
    only = {"term": {"offers.seller": seller}}
    return {"nested": {"path": "offers", "query": only, "inner_hits": {"_source": ["offers"]}}}


def ranked(gateway: Exchange, shop: Shop, body: dict[str, Any]) -> Any:
    answer = gateway.search(shop.index, body | {"ext": {"hitweave": {"record": False}}}).json()
    assert answer["hitweave"]["degraded"] is None
    return answer


@pytest.mark.parametrize("least", [0.01, 1.0, 1000.0])
def test_facets_count_what_reaches_the_least_score(
    node: Exchange, gateway: Exchange, shop: Shop, least: float
) -> None:
    body = {"query": WORDS, "min_score": least, "aggs": BRANDS, "track_total_hits": True}
    own, answer = node.search(shop.index, body).json(), ranked(gateway, shop, body)
    assert answer["aggregations"] == own["aggregations"]
    assert answer["hits"]["total"] == own["hits"]["total"]


@pytest.mark.parametrize("place", ["filter", "post_filter", "must"])
def test_hits_tell_what_matched_within_them(
    node: Exchange, gateway: Exchange, shop: Shop, place: str
) -> None:
    within = sold_by("s3")
    query = {"bool": {"must": [WORDS]}}
    body: dict[str, Any] = {"query": query, "aggs": BRANDS, "size": 400, "from": 0}
    if place == "post_filter":
        body[place] = within
    else:
        query["bool"][place] = [*query["bool"].get(place, []), within]
    own, answer = node.search(shop.index, body).json(), ranked(gateway, shop, body)
    shown = [{hit["_id"]: hit["inner_hits"] for hit in it["hits"]["hits"]} for it in (own, answer)]
    assert set(shown[0]) == set(shown[1])
    for name, offers in shown[0].items():
        there, here = offers["offers"]["hits"], shown[1][name]["offers"]["hits"]
        assert here["total"] == there["total"]
        assert [hit["_source"] for hit in here["hits"]] == [hit["_source"] for hit in there["hits"]]
    assert answer["aggregations"] == own["aggregations"]
