"""Nobody is shown by the sidecar what the node would not show."""

from typing import Any

import pytest

from tests.compose.waiting import until
from tests.conftest import free_port
from tests.secured.conftest import HITWEAVE, Shop, is_ready, running

MUGS: dict[str, Any] = {"query": {"match": {"title": "red mug"}}}
LIST = {"query": "mug", "candidates": [{"id": "1", "bm25": 1.0}, {"id": "2", "bm25": 2.0}]}
ROUTES: list[tuple[str, Any]] = [
    ("/shop/_search", MUGS),
    ("/recommend", {"index": "shop"}),
    ("/recommend", {"index": "shop", "item_ids": ["1"]}),
    ("/rerank", {"index": "shop", **LIST}),
    ("/rerank", LIST),
    ("/embed", {"index": "shop", "texts": ["mug"]}),
    ("/shop/_suggest?q=red", None),
    ("/shop/_rules", None),
    ("/shop/_rules/_preview", MUGS),
    ("/shop/_experiments", None),
    ("/hitweave_rules/_search", MUGS),
    ("/ubi_events/_search", None),
]


@pytest.mark.parametrize(("route", "body"), ROUTES)
def test_nobody_without_credentials_is_answered(shop: Shop, route: str, body: Any) -> None:
    answer = shop.ask(None, route, body)
    assert answer.status == 401, answer.data
    assert answer.json()["error"]["type"] == "security_exception"
    assert "Basic" in answer.headers["www-authenticate"]


@pytest.mark.parametrize(("route", "body"), ROUTES)
def test_wrong_credentials_are_refused(shop: Shop, route: str, body: Any) -> None:
    wrong = {"Authorization": "ApiKey bm9ib2R5Om5vbmU="}
    assert shop.ask(None, route, body, wrong).status == 401


@pytest.mark.parametrize(("route", "body"), ROUTES)
def test_who_may_not_read_the_index_is_shown_nothing_of_it(
    shop: Shop, route: str, body: Any
) -> None:
    answer = shop.ask("stranger", route, body)
    assert answer.status == 403, answer.data
    as_another = {"es-security-runas-user": "stranger"}
    assert shop.ask("proxy", route, body, as_another).status == 403


@pytest.mark.parametrize(("route", "body"), ROUTES[:10])
def test_who_may_read_the_index_is_answered(shop: Shop, route: str, body: Any) -> None:
    assert shop.ask("reader", route, body).status == 200


def test_it_is_not_told_whether_an_index_is_there(shop: Shop) -> None:
    for route, body in [("/nowhere/_suggest", None), ("/recommend", {"index": "nowhere"})]:
        assert shop.ask(None, route, body).status == 401
        assert shop.ask("stranger", route, body).status == 403


def test_an_alias_with_a_filter_shows_no_more_anywhere(shop: Shop) -> None:
    def brands(found: list[str]) -> set[str]:
        return {("acme", "bolt")[int(name) % 2] for name in found}

    hits = shop.ask("part", "/shop_acme/_search", MUGS | {"size": 40}).json()["hits"]
    assert (hits["total"]["value"], brands([it["_id"] for it in hits["hits"]])) == (20, {"acme"})
    alike = {"index": "shop_acme", "item_ids": ["1"], "size": 40}
    items = shop.ask("part", "/recommend", alike).json()["items"]
    assert items
    assert brands([it["id"] for it in items]) == {"acme"}
    both = shop.ask("reader", "/recommend", alike | {"index": "shop"}).json()["items"]
    assert brands([it["id"] for it in both]) == {"acme", "bolt"}
    assert shop.ask("part", "/rerank", {"index": "shop_acme", **LIST}).status == 403


def test_a_kept_page_is_of_whom_it_was_made_for(shop: Shop) -> None:
    facets = {**MUGS, "aggs": {"brands": {"terms": {"field": "brand"}}}}
    asked = {**facets, "ext": {"ubi": {"query_id": "kept"}}, "size": 2}
    reader, stranger = ({"es-security-runas-user": who} for who in ("reader", "stranger"))
    assert shop.ask("proxy", "/shop/_search", asked, reader).json()["aggregations"]
    for page in ({"size": 0}, {"from": 2}, {"from": 2, "size": 0}):
        answer = shop.ask("proxy", "/shop/_search", asked | page, stranger)
        assert answer.status == 403, answer.data


def test_who_lost_the_right_is_not_told_the_facets_of_a_kept_page(shop: Shop) -> None:
    asked = {**MUGS, "aggs": {"brands": {"terms": {"field": "brand"}}}, "size": 2}
    asked["ext"] = {"ubi": {"query_id": "lost"}}
    alias = {"index": "shop-000001", "name": "shop_acme"}
    with shop.boss() as es:
        assert shop.ask("part", "/shop_acme/_search", asked).json()["aggregations"]
        es.indices.delete_alias(**alias)
        try:
            for page in ({"size": 0}, {"from": 2, "size": 0}):
                answer = shop.ask("part", "/shop_acme/_search", asked | page)
                assert "aggregations" not in answer.json(), answer.data
        finally:
            es.indices.put_alias(**alias, filter={"term": {"brand": "acme"}})


def test_nobody_becomes_another_by_the_sidecars_own_rights(shop: Shop) -> None:
    answer = shop.ask(None, "/shop/_search", MUGS, {"es-security-runas-user": "reader"})
    assert answer.status == 401


def test_an_index_that_the_sidecar_may_not_read_is_the_clients_own_to_ask(shop: Shop) -> None:
    answer = shop.ask("stranger", "/elsewhere/_search", {"query": {"match_all": {}}})
    assert (answer.status, answer.json()["hits"]["total"]["value"]) == (200, 0)
    assert shop.ask("reader", "/elsewhere/_search", MUGS).status == 403


def test_a_multi_search_of_nobody_is_refused_as_a_whole(shop: Shop) -> None:
    answer = shop.ask(None, "/shop/_msearch?q=x")
    assert answer.status == 401


def test_rights_are_lent_and_a_plugins_node_is_known_where_settings_say_so(shop: Shop) -> None:
    for changes, search, ranked in [
        ({"HITWEAVE_GATEWAY_ANONYMOUS": "true"}, 200, 200),
        ({"HITWEAVE_TRUSTED_ADDRESSES": "127.0.0.1"}, 401, 200),
    ]:
        port = free_port()
        other = Shop(shop.es_url, shop.valkey_url, f"http://127.0.0.1:{port}", shop.folder)
        command = [str(HITWEAVE), "serve", "--port", str(port), "--processes", "1"]
        with running(other, command, shop.folder / "other.log", **changes):
            until(lambda url=other.sidecar_url: is_ready(url), "another sidecar is ready", 120)
            assert other.ask(None, "/shop/_search", MUGS).status == search
            assert other.ask(None, "/rerank", {"index": "shop", **LIST}).status == ranked
            handed_on = {"X-Forwarded-For": "203.0.113.9"}
            behind = other.ask(None, "/rerank", {"index": "shop", **LIST}, handed_on)
            assert behind.status == search
            assert other.ask("stranger", "/shop/_search", MUGS).status == 403
