"""Rules through the real sidecar: drafted, previewed, published, and kept on every page."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from elasticsearch import Elasticsearch

from reranker.rules.rule_store import RULES_INDEX
from tests.conftest import Stack
from tests.flows.editor import Editor, everywhere
from tests.flows.test_search import LAMPS, MATCH, ids, own, raw
from tests.flows.worker_process import wait_until
from tests.gateway.test_pages import replace_a_process

WHEN = {"query": {"words": "lamp"}}
Gateway = Elasticsearch


def nested(levels: int) -> dict[str, Any]:
    """A filter in filters."""
    query: dict[str, Any] = {"match_all": {}}
    for _ in range(levels):
        query = {"bool": {"filter": query}}
    return query


class Desk(Editor):
    """Whoever edits the rules of the shop."""

    route = "_rules"

    def draft(self, name: str, then: dict[str, Any], when: Any = WHEN) -> None:
        """Keep a draft."""
        status, answer = self.ask("PUT", f"/{name}", {"when": when, "then": then})
        assert status == 200, answer

    def publish(self) -> None:
        """Make the drafts live, and wait until every process of the sidecar has them."""
        status, answer = self.ask("POST", "/_publish", {})
        assert status == 200, answer
        wanted = list(answer["live"])

        def known() -> bool:
            said = raw(self.stack, "POST", f"/{self.index}/_search", {"query": MATCH, "size": 1})[2]
            return bool(said["hitweave"].get("rules", []) == wanted)

        everywhere(known)


@pytest.fixture
def desk(stack: Stack, index: str) -> Iterator[Desk]:
    """Rules to be edited; none are left behind."""
    made = Desk(stack, index)
    yield made
    _, answer = made.ask("GET")
    for rule in answer["rules"]:
        made.ask("DELETE", f"/{rule['id']}")
    made.publish()


def test_a_draft_is_seen_in_the_preview_and_nowhere_else(
    desk: Desk, gateway: Gateway, index: str
) -> None:
    before = gateway.search(index=index, query=MATCH, ext=own("fused"))
    first, second = ids(before)[:2]
    desk.draft("top", {"pin": [{"id": "other-0", "position": 2}], "hide": [first]})
    body = {"query": MATCH, "ext": own("fused", query_id="q-preview")}
    status, preview = desk.ask("POST", "/_preview", body)
    assert (status, preview["hitweave"]["rules"]) == (200, ["top"])
    assert ids(preview)[:2] == [second, "other-0"]
    assert first not in ids(preview)
    after = gateway.search(index=index, **body)
    assert ids(after) == ids(before)
    assert "rules" not in after["hitweave"]
    status, listed = desk.ask("GET")
    assert [(rule["id"], rule["state"]) for rule in listed["rules"]] == [("top", "draft")]
    assert listed["live"] == []


def test_publishing_makes_drafts_live_and_discarding_forgets_them(
    desk: Desk, gateway: Gateway, index: str
) -> None:
    desk.draft("one", {"pin": [{"id": "lamp-7", "position": 1}]})
    desk.publish()
    assert ids(gateway.search(index=index, query=MATCH, ext=own("fused")))[0] == "lamp-7"
    desk.draft("one", {"pin": [{"id": "lamp-8", "position": 1}]})
    assert desk.ask("GET", "/one")[1]["state"] == "changed"
    assert ids(gateway.search(index=index, query=MATCH, ext=own("fused")))[0] == "lamp-7"
    assert desk.ask("POST", "/_discard", {})[0] == 200
    answer = desk.ask("GET", "/one")[1]
    assert (answer["state"], answer["rule"]["then"]["pin"][0]["id"]) == ("live", "lamp-7")
    assert desk.ask("DELETE", "/one")[0] == 200
    assert desk.ask("GET", "/one")[1]["state"] == "deleted"
    desk.publish()
    assert desk.ask("GET", "/one")[0] == 404
    assert desk.ask("DELETE", "/one")[0] == 404


def test_a_rule_that_names_what_the_index_does_not_have_is_kept_with_a_warning(desk: Desk) -> None:
    then = {
        "pin": [{"id": "lamp-7", "position": 1}, {"id": "gone", "position": 2}],
        "hide": ["away"],
        "boost": [{"field": "colour", "value": "red", "by": 0.5}, {"ids": ["lamp-8"], "by": 0.1}],
        "bury": [{"field": "brand", "value": "acme", "by": 0.3}],
    }
    when = {"filters": {"": "x", "*": "x", "price": 3}}
    status, answer = desk.ask("PUT", "/odd", {"when": when, "then": then})
    assert status == 200, answer
    assert answer["warnings"] == [
        "the index has no product 'gone', 'away': they are passed over",
        "the index cannot be searched by '', '*', 'colour': no product has such a value",
    ]
    many = [{"ids": [f"x{at}-{name}" for name in range(1000)], "by": 0.01} for at in range(11)]
    status, answer = desk.ask("PUT", "/odd", {"when": WHEN, "then": {"bury": many}})
    assert status == 200
    assert answer["warnings"][0].endswith("'x0-9' and 10990 more: they are passed over")
    status, answer = desk.ask("PUT", "/odd", {"when": WHEN, "then": {"hide": ["lamp-7"]}})
    assert (status, answer["warnings"]) == (200, [])


def test_who_write_at_the_same_time_lose_nothing(desk: Desk) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: desk.draft(f"r{n}", {"hide": [f"x{n}"]}), range(8)))
    listed = desk.ask("GET")[1]["rules"]
    assert {rule["id"] for rule in listed} == {f"r{n}" for n in range(8)}


@pytest.mark.parametrize("query_id", [None, "q-ruled"])
@pytest.mark.parametrize("mode", ["fused", "rrf"])
def test_rules_hold_on_every_page(
    desk: Desk, gateway: Gateway, index: str, query_id: str | None, mode: str
) -> None:
    hidden = ["lamp-3", "lamp-250"]
    pins = {"other-0": 1, "lamp-249": 12, "other-1": 25, "no-such-product": 4}
    desk.draft("hide", {"hide": hidden})
    desk.draft("pin", {"pin": [{"id": name, "position": at} for name, at in pins.items()]})
    desk.draft("push", {"boost": [{"field": "brand", "value": "zeta", "by": 1}]})
    desk.publish()
    name = query_id and f"{query_id}-{mode}"
    ext = own(mode, rank_window_size=40, **({"query_id": name} if name else {}))
    seen: list[str] = []
    scores: list[float] = []
    totals = set()
    for start in range(0, 300, 10):
        answer = gateway.search(
            index=index, query=MATCH, from_=start, size=10, source=False, ext=ext
        )
        assert answer["hitweave"]["rules"] == ["hide", "pin", "push"]
        assert answer["hitweave"]["degraded"] is None
        seen += ids(answer)
        scores += [hit["_score"] for hit in answer["hits"]["hits"]]
        totals.add(answer["hits"]["total"]["value"])
    assert len(seen) == len(set(seen))
    assert totals == {len(seen)}
    lamps = {f"lamp-{number}" for number in range(LAMPS)}
    assert lamps - set(seen) == set(hidden)
    placed = {found: at for at, found in enumerate(seen, 1) if found in pins}
    assert placed == {"other-0": 1, "lamp-249": 12, "other-1": 25}
    assert scores == sorted(scores, reverse=True)


def test_what_is_hidden_later_is_gone_from_an_order_that_was_kept(
    desk: Desk, gateway: Gateway, index: str
) -> None:
    ext = own("fused", query_id=uuid.uuid4().hex)

    def page(start: int) -> Any:
        return gateway.search(index=index, query=MATCH, from_=start, size=10, source=False, ext=ext)

    first, second = page(0), page(10)
    hidden = ids(second)[4]
    desk.draft("recall", {"hide": [hidden]})
    desk.draft("late", {"pin": [{"id": "other-0", "position": 12}]})
    desk.publish()
    assert ids(page(0)) == ids(first)
    assert ids(page(10)) == [name for name in ids(second) if name != hidden]
    assert page(10)["hits"]["total"] == first["hits"]["total"]
    assert hidden not in [name for start in range(20, 300, 10) for name in ids(page(start))]


def test_a_process_that_takes_anothers_place_knows_the_rules_from_its_first_answer(
    desk: Desk, gateway: Gateway, stack: Stack, index: str
) -> None:
    desk.draft("pin", {"pin": [{"id": "other-0", "position": 2}], "hide": ["lamp-1"]})
    desk.publish()
    replace_a_process(stack)
    ext = own("fused", rank_window_size=300)
    for _ in range(40):
        answer = gateway.search(index=index, query=MATCH, size=300, source=False, ext=ext)
        assert answer["hitweave"]["rules"] == ["pin"]
        assert ids(answer)[1] == "other-0"
        assert "lamp-1" not in ids(answer)


def test_a_rule_that_elasticsearch_no_longer_takes_is_left_out_and_named(
    desk: Desk, gateway: Gateway, es: Elasticsearch, index: str
) -> None:
    desk.draft("hide", {"hide": ["lamp-1"]})
    desk.draft("odd", {"filter": {"term": {"brand": "acme"}}})
    desk.publish()
    found = es.get(index=RULES_INDEX, id=index)["_source"]
    for rule in found["live"]:
        if "filter" in rule["then"]:
            rule["then"]["filter"] = {"no_such_query": {}}
    es.index(index=RULES_INDEX, id=index, document=found, refresh=True)
    ext = own("fused", rank_window_size=300)
    answers: list[Any] = []

    def left_out() -> bool:
        answers.append(gateway.search(index=index, query=MATCH, size=300, source=False, ext=ext))
        return bool(answers[-1]["hitweave"]["degraded"] == "rules_refused")

    wait_until(left_out, seconds=30)
    assert answers[-1]["hitweave"]["rules"] == ["hide"]
    assert "lamp-1" not in ids(answers[-1])
    assert len(ids(answers[-1])) >= LAMPS - 1


def test_facets_count_what_is_pinned_too(desk: Desk, index: str) -> None:
    aggs = {"brands": {"terms": {"field": "brand"}}}
    desk.draft("pin", {"pin": [{"id": "other-0", "position": 1}]})
    body = {"query": {"match": {"title": "lamp 7"}}, "aggs": aggs, "ext": own("fused")}
    _, answer = desk.ask("POST", "/_preview", body)
    counted = sum(it["doc_count"] for it in answer["aggregations"]["brands"]["buckets"])
    assert ids(answer)[0] == "other-0"
    assert counted == answer["hits"]["total"]["value"]


HIDDEN = {"hide": ["lamp-7"], "filter": {"range": {"price": {"lt": 1e6}}}}
NOT_RANKED: list[dict[str, Any]] = [
    {"query": MATCH, "sort": ["price"]},
    {"query": MATCH, "sort": [{"price": "desc"}], "search_after": [1e9]},
    {"query": {"bool": {"must": MATCH, "filter": {"exists": {"field": "price"}}}}, "sort": "price"},
    {"query": {"term": {"brand": "acme"}}},
    {"query": {"match_all": {}}, "post_filter": {"term": {"brand": "acme"}}, "sort": ["price"]},
    {"query": MATCH, "sort": ["price"], "aggs": {"n": {"value_count": {"field": "price"}}}},
    {"sort": ["price"], "ext": {"ubi": {"user_query": "lamp"}}},
]


@pytest.mark.parametrize("body", NOT_RANKED)
def test_what_is_hidden_is_hidden_from_sorted_searches_and_lists_too(
    desk: Desk, stack: Stack, es: Elasticsearch, index: str, body: dict[str, Any]
) -> None:
    def asked(way: str) -> Any:
        if way == "_search":
            return raw(stack, "POST", f"/{index}/_search", {**body, "size": 1000})[2]
        lines = [{"index": index}, {**body, "size": 1000}]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        headers = {"Content-Type": "application/x-ndjson"}
        return raw(stack, "POST", "/_msearch", text, headers)[2]["responses"][0]

    before = asked("_search")
    assert "lamp-7" in ids(before)
    assert ids(asked("_msearch")) == ids(before)
    desk.draft("hidden", HIDDEN, {})
    desk.publish()
    for way in ("_search", "_msearch"):
        after = asked(way)
        assert ids(after) == [name for name in ids(before) if name != "lamp-7"]
        assert after["hits"]["total"]["value"] == before["hits"]["total"]["value"] - 1
        if "aggs" in body and "post_filter" not in body:
            counted = before["aggregations"]["n"]["value"] - 1
            assert after["aggregations"]["n"]["value"] == counted


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"query": MATCH, "sort": ["price"], "ext": {"hitweave": {"mode": "off"}}}, "_search"),
        ({"query": {"match_all": {}}, "sort": ["price"]}, "_search"),
        ({"query": MATCH, "sort": ["price"]}, "_search?scroll=1m"),
        ({"query": MATCH, "sort": ["price"], "from": "many"}, "_search"),
        ({"query": MATCH, "sort": ["price"], "knn": [7]}, "_search"),
        ({"query": MATCH, "sort": ["price"], "min_score": None}, "_search"),
        ({"query": ["lamp"], "sort": ["price"]}, "_search"),
    ],
)
def test_what_reads_an_index_reads_what_is_hidden(
    desk: Desk, stack: Stack, index: str, body: dict[str, Any], path: str
) -> None:
    def asked() -> Any:
        status, _, answer = raw(stack, "POST", f"/{index}/{path}", {"size": 1000, **body})
        return status, ids(answer) if status == 200 else answer["error"]

    before = asked()
    desk.draft("hidden", HIDDEN, {})
    desk.publish()
    assert asked() == before


def test_every_arm_of_an_experiment_is_under_the_same_rules(
    desk: Desk, gateway: Gateway, index: str
) -> None:
    desk.draft("pin", {"pin": [{"id": "lamp-77", "position": 3}], "hide": ["lamp-1"]})
    desk.publish()
    for mode in ("fused", "rrf", "knn"):
        for arm in ("a", "b"):
            ext = own(mode, experiment=arm)
            answer = gateway.search(index=index, query=MATCH, size=100, ext=ext)
            assert ids(answer)[2] == "lamp-77"
            assert "lamp-1" not in ids(answer)


def test_an_own_order_is_narrowed_and_off_is_left_alone(
    desk: Desk, gateway: Gateway, es: Elasticsearch, index: str
) -> None:
    wanted = ids(es.search(index=index, query=MATCH, size=20))
    desk.draft("hide", {"hide": [wanted[0]]})
    desk.draft("pin", {"pin": [{"id": "other-0", "position": 1}]})
    desk.publish()
    answer = gateway.search(index=index, query=MATCH, size=19, ext=own("bm25"))
    assert ids(answer) == wanted[1:]
    assert answer["hitweave"]["rules"] == ["hide"]
    assert ids(gateway.search(index=index, query=MATCH, size=20, ext=own("off"))) == wanted


def test_a_filter_narrows_hits_total_and_facets(desk: Desk, gateway: Gateway, index: str) -> None:
    aggs = {"brands": {"terms": {"field": "brand"}}}
    desk.draft("filter", {"filter": {"term": {"brand": "zeta"}}, "redirect": "/zeta"})
    desk.publish()
    answer = gateway.search(index=index, query=MATCH, size=100, aggs=aggs, ext=own("fused"))
    assert {hit["_source"]["brand"] for hit in answer["hits"]["hits"]} == {"zeta"}
    (bucket,) = answer["aggregations"]["brands"]["buckets"]
    assert bucket["key"] == "zeta"
    assert bucket["doc_count"] == answer["hits"]["total"]["value"] == len(range(0, LAMPS, 3))
    assert answer["hitweave"]["redirect"] == "/zeta"


def test_a_replaced_query_finds_what_it_says(desk: Desk, gateway: Gateway, index: str) -> None:
    asked = {"match": {"title": "earpods"}}
    desk.draft("words", {"replace_query": "wireless earphones"}, {"query": {"exact": "EarPods"}})
    status, answer = desk.ask("POST", "/_preview", {"query": asked})
    assert status == 200
    assert ids(answer)[0] == "other-0"


def test_synonyms_find_what_is_called_otherwise(desk: Desk, index: str) -> None:
    desk.draft("words", {"synonyms": {"耳机": "earphones"}}, {})
    body = {"query": {"match": {"title": "耳机"}}, "ext": own("bm25")}
    status, answer = desk.ask("POST", "/_preview", body)
    assert (status, ids(answer), answer["hitweave"]["rules"]) == (200, ["other-0"], ["words"])


def test_what_the_client_filters_by_holds_for_pinned_products_too(
    desk: Desk, gateway: Gateway, index: str
) -> None:
    desk.draft("pin", {"pin": [{"id": "lamp-1", "position": 1}, {"id": "lamp-3", "position": 2}]})
    query = {"bool": {"must": MATCH, "filter": {"term": {"brand": "zeta"}}}}
    _, answer = desk.ask("POST", "/_preview", {"query": query, "size": 1000})
    assert "lamp-1" not in ids(answer)
    assert ids(answer)[1] == "lamp-3"


def test_of_a_collapsed_group_the_pinned_product_is_shown(desk: Desk, index: str) -> None:
    desk.draft("pin", {"pin": [{"id": "lamp-250", "position": 2}, {"id": "lamp-1", "position": 1}]})
    body = {"query": MATCH, "collapse": {"field": "brand"}}
    _, answer = desk.ask("POST", "/_preview", body)
    assert ids(answer)[0] == "lamp-1"
    assert len(ids(answer)) == len({hit["_source"]["brand"] for hit in answer["hits"]["hits"]})


def test_a_boost_by_field_moves_what_has_the_value(
    desk: Desk, gateway: Gateway, index: str
) -> None:
    brands = {"acme": "bury", "zeta": "boost"}
    for brand, way in brands.items():
        desk.draft(brand, {way: [{"field": "brand", "value": brand, "by": 1}]})
    body = {"query": MATCH, "size": 20, "ext": own("fused", explain=True)}
    _, answer = desk.ask("POST", "/_preview", body)
    assert {hit["_source"]["brand"] for hit in answer["hits"]["hits"]} == {"zeta"}
    for hit in answer["hits"]["hits"]:
        assert hit["_explanation"]["value"] == pytest.approx(hit["_score"], abs=1e-5)


def test_context_category_and_time_decide(desk: Desk, index: str) -> None:
    pin = {"pin": [{"id": "lamp-99", "position": 1}]}
    over = {"starts": "2020-01-01T00:00:00Z", "ends": "2020-02-01T00:00:00Z"}
    desk.draft("over", {"hide": ["lamp-99"]}, {"query": {"words": "lamp"}, **over})
    desk.draft("here", pin, {"filters": {"brand": "ZETA"}, "context": {"device": "mobile"}})
    body = {
        "query": {"bool": {"must": MATCH, "filter": {"term": {"brand": "zeta"}}}},
        "ext": own("fused", context={"device": "Mobile"}),
    }
    _, answer = desk.ask("POST", "/_preview", body)
    assert (ids(answer)[0], answer["hitweave"]["rules"]) == ("lamp-99", ["here"])
    _, answer = desk.ask("POST", "/_preview", {"query": MATCH, "ext": body["ext"]})
    assert "rules" not in answer["hitweave"]


def test_a_given_list_is_under_the_rules_too(desk: Desk, stack: Stack, index: str) -> None:
    desk.draft(
        "list",
        {
            "pin": [{"id": "lamp-5", "position": 1}, {"id": "other-0", "position": 2}],
            "hide": ["lamp-2"],
            "filter": {"range": {"price": {"lt": 18}}},
            "bury": [{"field": "brand", "value": "zeta", "by": 1}],
        },
    )
    desk.publish()
    found = [{"id": f"lamp-{number}", "bm25": 9.0 - number} for number in range(1, 9)]
    body = {"index": index, "query": "desk lamp", "candidates": found}
    status, _, answer = raw(stack, "POST", "/rerank", body)
    assert (status, answer["rules"], answer["degraded"]) == (200, ["list"], None)
    names = [item["id"] for item in answer["items"]]
    assert set(names) == {f"lamp-{number}" for number in (1, 3, 4, 5, 6, 7)}
    assert names[0] == "lamp-5"
    assert set(names[-2:]) == {"lamp-3", "lamp-6"}
    scores = [item["score"] for item in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    status, _, answer = raw(stack, "POST", "/rerank", body | {"candidates": [{"id": "lamp-2"}]})
    assert (status, answer["items"]) == (200, [])


def test_what_is_hidden_everywhere_is_not_recommended(desk: Desk, stack: Stack, index: str) -> None:
    def recommended(**more: Any) -> list[str]:
        sent = {"index": index, "item_ids": ["lamp-1"], "strategy": "content", "size": 5, **more}
        status, _, answer = raw(stack, "POST", "/recommend", sent)
        assert status == 200, answer
        return [item["id"] for item in answer["items"]]

    first, second, third = recommended()[:3]
    desk.draft("everywhere", {"hide": [first]}, when={})
    desk.draft("on-phones", {"hide": [second]}, when={"context": {"device": "phone"}})
    desk.draft("for-a-search", {"hide": [third]}, when=WHEN)
    assert desk.ask("POST", "/_publish", {})[0] == 200
    everywhere(lambda: recommended()[:2] == [second, third])
    everywhere(lambda: recommended(context={"device": "phone"})[0] == third)


def test_what_a_rule_leaves_out_everywhere_is_not_recommended(
    desk: Desk, stack: Stack, index: str, es: Elasticsearch
) -> None:
    def recommended(**more: Any) -> tuple[list[str], Any]:
        sent = {"index": index, "item_ids": ["lamp-1"], "strategy": "content", "size": 5, **more}
        status, _, answer = raw(stack, "POST", "/recommend", sent)
        assert status == 200, answer
        return [item["id"] for item in answer["items"]], answer["degraded"]

    first, second, third = recommended()[0][:3]
    desk.draft("later", {"filter": {"bool": {"must_not": [{"ids": {"values": [first]}}]}}}, when={})
    desk.draft("for-a-search", {"filter": {"ids": {"values": ["lamp-1"]}}}, when=WHEN)
    desk.publish()
    everywhere(lambda: recommended()[0][:2] == [second, third])
    one = {"ids": {"values": [first, second]}}
    assert recommended(filter=one) == ([second], None)
    found = es.get(index=RULES_INDEX, id=index)["_source"]
    for rule in found["live"]:
        rule["then"]["filter"] = {"no_such_query": {}}
    es.index(index=RULES_INDEX, id=index, document=found, refresh=True)
    everywhere(lambda: recommended(filter=one) == ([first, second], "rules_refused"))


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ({"filter": {"no_such_query": {}}}, "no_such_query"),
        ({"filter": {"range": {"price": {"lt": "cheap"}}}}, "Elasticsearch refuses it"),
        ({"boost": [{"field": "price", "value": "cheap", "by": 1}]}, "Elasticsearch refuses it"),
        ({"paint": "red"}, "then.paint is no key of a rule"),
        ({"filter": nested(200)}, "100 levels at the most"),
        ({"filter": nested(40)}, "Elasticsearch refuses it"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_written(desk: Desk, then: Any, said: str) -> None:
    status, answer = desk.ask("PUT", "/wrong", {"then": then})
    assert (status, answer["error"]["type"]) == (400, "illegal_argument_exception")
    assert said in answer["error"]["reason"]


@pytest.mark.parametrize(
    ("body", "said"), [("{oops", "not JSON: unexpected"), ([], "must be a JSON object")]
)
def test_what_is_no_json_object_is_told_so(desk: Desk, body: Any, said: str) -> None:
    for method, rest in (("PUT", "/wrong"), ("POST", "/_preview")):
        status, answer = desk.ask(method, rest, body)
        assert status == 400
        assert said in answer["error"]["reason"]
        assert body == [] or "line 1 column 2" in answer["error"]["reason"]


@pytest.mark.parametrize("name", ["a/b", "a b", "置顶", "_x", "x" * 65])
def test_what_cannot_be_an_id_is_refused_with_what_can(desk: Desk, name: str) -> None:
    status, answer = desk.ask("PUT", f"/{quote(name, safe='')}", {"then": {"hide": ["x"]}})
    assert status == 400
    assert f"id: {name!r} cannot be one: use up to 64 of the letters" in answer["error"]["reason"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Forwarded_For": "10.0.0.1"},
        {"Origin": "https://elsewhere.example"},
        {"Host": "rebound.example"},
        {"Content_Type": "text/plain"},
    ],
)
def test_only_the_machine_itself_edits_where_there_is_no_token(
    desk: Desk, headers: dict[str, str]
) -> None:
    body = {"then": {"hide": ["x"]}}
    status, answer = desk.ask("PUT", "/mine", body, **headers)
    assert (status, answer["error"]["type"]) == (403, "security_exception")
    assert desk.ask("POST", "/_publish", {}, **headers)[0] == 403
    assert desk.ask("GET", "/mine")[0] == 404


def test_a_browser_gets_the_page_that_edits_them(stack: Stack, index: str) -> None:
    accept = {"Accept": "text/html"}
    status, headers, page = raw(stack, "GET", f"/{index}/_rules", None, accept)
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f'data-index="{index}"' in page.decode()
    status, _, page = raw(stack, "GET", "/%22%3E%3Cscript%3E/_rules", None, accept)
    assert b'"><script>' not in page


def test_synonyms_sets_are_elasticsearchs_own(stack: Stack, es: Elasticsearch) -> None:
    # The local node may lack synonyms sets: what it says is handed on, whatever it is.
    body = {"synonyms_set": [{"id": "1", "synonyms": "sofa, couch"}]}
    status, headers, _ = raw(stack, "PUT", "/_synonyms/shop", body)
    answer = es.options(ignore_status=(400, 404, 405, 500)).perform_request(
        "PUT",
        "/_synonyms/shop",
        headers={"content-type": "application/json", "accept": "application/json"},
        body=body,
    )
    assert (status < 300) == (answer.meta.status < 300)
    assert headers["x-elastic-product"] == "Elasticsearch"
    away = {"X-Forwarded-For": "10.0.0.1"}
    status, _, refused = raw(stack, "PUT", "/_synonyms/shop", body, away)
    assert (status, refused["error"]["type"]) == (403, "security_exception")


def test_an_index_without_rules_says_nothing_of_them(
    gateway: Gateway, index: str, tmp_path: Path
) -> None:
    answer = gateway.search(index=index, query=MATCH, ext=own("fused"))
    assert not {"rules", "redirect"} & set(answer["hitweave"])
