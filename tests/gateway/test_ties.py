"""A search by score with others to break ties: ranked, its hits as the node shows them."""

from typing import Any

import pytest

from tests.gateway.conftest import Shop
from tests.gateway.exchange import Exchange

BODY: dict[str, Any] = {
    "query": {"match": {"title": "red lamp"}},
    "sort": [{"_score": {"order": "desc"}}, {"price": {"order": "asc"}}, "id"],
    "_source": ["price"],
    "ext": {"hitweave": {"mode": "fused", "record": False}},
}


def test_hits_tell_what_they_are_sorted_by(gateway: Exchange, node: Exchange, shop: Shop) -> None:
    answer = gateway.search(shop.index, BODY).json()
    plain = {name: part for name, part in BODY.items() if name != "ext"}
    wanted = node.search(shop.index, plain).json()
    assert answer["hitweave"]["degraded"] is None
    assert answer["hits"]["max_score"] is wanted["hits"]["max_score"] is None
    cursors = [hit["sort"][0] for hit in answer["hits"]["hits"]]
    assert cursors == sorted(set(cursors), reverse=True)
    for hit in answer["hits"]["hits"]:
        assert set(hit) == set(wanted["hits"]["hits"][0])
        assert hit["sort"] == [
            pytest.approx(hit["_score"], abs=0.1),
            hit["_source"]["price"],
            hit["_id"],
        ]
    tracked = gateway.search(shop.index, BODY | {"track_scores": True}).json()
    assert tracked["hits"]["max_score"] == tracked["hits"]["hits"][0]["_score"]


@pytest.mark.parametrize("mode", ["fused", "bm25"])
def test_pages_that_come_after_a_hit_repeat_and_skip_nothing(
    gateway: Exchange, shop: Shop, mode: str
) -> None:
    body = BODY | {"size": 23, "ext": {"hitweave": {"mode": mode, "record": False}}}
    body |= {"query": {"match": {"title": "lamp"}}}
    page = gateway.search(shop.index, body).json()["hits"]
    seen, total = [], page["total"]["value"]
    while page["hits"] and len(seen) <= total:
        seen += [hit["_id"] for hit in page["hits"]]
        after = body | {"search_after": page["hits"][-1]["sort"]}
        page = gateway.search(shop.index, after).json()["hits"]
    assert len(seen) == len(set(seen)) == total > 100
    whole = gateway.search(shop.index, body | {"size": total}).json()["hits"]["hits"]
    assert seen[:100] == [hit["_id"] for hit in whole][:100]


def test_hits_without_anything_stored_have_no_ids_but_their_columns(
    gateway: Exchange, node: Exchange, shop: Shop
) -> None:
    body = {"stored_fields": "_none_", "docvalue_fields": ["brand"], "size": 3}
    body |= {"query": {"match": {"title": "red lamp"}}, "from": 0}
    wanted = node.search(shop.index, body).json()["hits"]["hits"]
    answer = gateway.search(shop.index, body).json()
    assert answer["hitweave"]["degraded"] is None
    assert [set(hit) for hit in answer["hits"]["hits"]] == [set(hit) for hit in wanted]
