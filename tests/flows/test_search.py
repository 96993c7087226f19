"""Searches through the real sidecar: any client's body, answered as Elasticsearch would."""

import dataclasses
import http.client
import io
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from elasticsearch import BadRequestError, Elasticsearch, NotFoundError
from rich.console import Console

from compose.local.commands import search
from indexer.behaviour import applications
from indexer.behaviour.journal_index import QUERIES
from indexer.catalogue.context_keys import USUAL
from indexer.catalogue.mapping import IndexConfig
from reranker.learning.cases import LoggedSearch
from reranker.learning.material import read_searches
from reranker.signals import declared, definition
from tests.conftest import Stack
from tests.flows import commands
from tests.flows.commands import created
from tests.flows.worker_process import wait_until

LAMPS = 260
MATCH = {"match": {"title": "lamp"}}


def products() -> Iterator[dict[str, Any]]:
    """Lamps enough for many pages, a few other things, some sold out."""
    for number in range(LAMPS):
        yield {
            "id": f"lamp-{number}",
            "title": f"Desk lamp model {number}",
            "description": "Warm light for a table" if number % 2 else "Cold light for a shelf",
            "brand": "acme" if number % 3 else "zeta",
            "price": 10 + number,
            "available": number % 10 != 0,
        }
    for number, title in enumerate(
        ["Wireless earphones", "Bluetooth headphones", "Running shoes", "Steel water bottle"]
    ):
        yield {"id": f"other-{number}", "title": title, "brand": "omni", "price": 5.0}


@pytest.fixture(scope="module")
def shop(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A catalogue that came in through the workers."""
    index = f"t{uuid.uuid4().hex[:12]}"
    file = tmp_path_factory.mktemp("shop") / "products.jsonl"
    file.write_text("\n".join(json.dumps(product) for product in products()), encoding="utf-8")
    stack.run("create", index)
    report = stack.run_json("catalogue", index, str(file))
    assert report["embedded"] == LAMPS + 4, report
    return index


def own(mode: str, **options: Any) -> dict[str, Any]:
    """`ext` of a search that leaves no trace."""
    ubi = {name: options.pop(name) for name in ("query_id", "user_query") if name in options}
    return {"hitweave": {"mode": mode, "record": False, **options}, "ubi": ubi}


def ids(answer: Any) -> list[str]:
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def raw(
    stack: Stack, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], Any]:
    """One request without a client in between."""
    parts = urlsplit(stack.sidecar_url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    text = body if isinstance(body, str | None) else json.dumps(body)
    data = None if text is None else text.encode()
    connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    found = {name.lower(): value for name, value in answer.getheaders()}
    return (
        answer.status,
        found,
        json.loads(content) if content[:1] in b"{[" and content else content,
    )


@pytest.mark.parametrize(
    "form",
    [
        {"size": "3"},
        {"size": "3.7"},
        {"from": "0", "size": 3},
        {"size": 3, "sort": []},
        {"size": 3, "explain": "false", "version": ""},
        {"size": 3.0, "track_total_hits": "true"},
    ],
    ids=str,
)
def test_forms_that_elasticsearch_takes_are_ranked_too(
    stack: Stack, shop: str, form: dict[str, Any]
) -> None:
    bare = dataclasses.replace(stack, sidecar_url=stack.es_url)
    assert len(ids(raw(bare, "POST", f"/{shop}/_search", {"query": MATCH, **form})[2])) == 3
    usual = raw(stack, "POST", f"/{shop}/_search", {"query": MATCH, "size": 3, "ext": own("fused")})
    found = raw(stack, "POST", f"/{shop}/_search", {"query": MATCH, **form, "ext": own("fused")})
    assert found[0] == 200
    assert found[2]["hitweave"]["degraded"] is None
    assert ids(found[2]) == ids(usual[2])


@pytest.mark.parametrize(
    "form", [{"size": "-1"}, {"from": "x"}, {"explain": "no"}, {"sort": [[]]}], ids=str
)
def test_forms_that_elasticsearch_refuses_are_refused_in_its_own_words(
    stack: Stack, shop: str, form: dict[str, Any]
) -> None:
    bare = dataclasses.replace(stack, sidecar_url=stack.es_url)
    asked = {"query": MATCH, **form}
    status, _, answer = raw(stack, "POST", f"/{shop}/_search", asked)
    assert (status, answer) == (400, raw(bare, "POST", f"/{shop}/_search", asked)[2])


@pytest.mark.parametrize("mode", ["fused", "rrf", "knn", "bm25"])
def test_every_mode_answers_in_elasticsearchs_shape(
    gateway: Elasticsearch, shop: str, mode: str
) -> None:
    answer = gateway.search(index=shop, query=MATCH, size=7, ext=own(mode)).body
    assert answer["timed_out"] is False
    assert answer["_shards"]["failed"] == 0
    assert len(answer["hits"]["hits"]) == 7
    assert answer["hits"]["max_score"] == answer["hits"]["hits"][0]["_score"]
    scores = [hit["_score"] for hit in answer["hits"]["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert all(hit["_source"]["title"] for hit in answer["hits"]["hits"])
    assert answer["hitweave"]["degraded"] is None
    assert set(answer["hitweave"]["took"]) == {"elasticsearch", "fusion", "total"}
    assert answer["ext"]["ubi"]["query_id"]


def test_a_search_that_says_nothing_of_us_is_fused(gateway: Elasticsearch, shop: str) -> None:
    answer = gateway.search(index=shop, query=MATCH)
    assert answer["hitweave"]["window"] > 100


def test_words_that_no_document_has_are_found_by_meaning(gateway: Elasticsearch, shop: str) -> None:
    query = {"match": {"title": "earbuds"}}
    assert gateway.search(index=shop, query=query, ext=own("bm25"))["hits"]["total"]["value"] == 0
    found = ids(gateway.search(index=shop, query=query, ext=own("fused")))
    assert set(found[:2]) == {"other-0", "other-1"}


def test_a_nonsense_query_finds_nothing(gateway: Elasticsearch, shop: str) -> None:
    answer = gateway.search(index=shop, query={"match": {"title": "qxzv"}}, ext=own("fused"))
    assert (answer["hits"]["total"]["value"], ids(answer)) == (0, [])
    assert answer["hits"]["max_score"] is None


def test_bm25_is_the_clients_own_order(
    gateway: Elasticsearch, es: Elasticsearch, shop: str
) -> None:
    body = {"query": {"match": {"description": "warm table"}}, "size": 30}
    asked, wanted = (
        gateway.search(index=shop, **body, ext=own("bm25")),
        es.search(index=shop, **body),
    )
    assert asked["hits"] == wanted["hits"]


def test_off_is_the_nodes_own_answer(gateway: Elasticsearch, es: Elasticsearch, shop: str) -> None:
    body = {
        "query": {"bool": {"must": MATCH, "filter": {"range": {"price": {"gt": 40}}}}},
        "aggs": {"brands": {"terms": {"field": "brand"}}},
        "highlight": {"fields": {"title": {}}},
        "size": 5,
    }
    asked = gateway.search(index=shop, **body, ext=own("off")).body
    wanted = es.search(index=shop, **body).body
    assert asked | {"took": 0} == wanted | {"took": 0}


def test_filters_hold_for_what_the_vectors_find(gateway: Elasticsearch, shop: str) -> None:
    query = {
        "bool": {
            "must": {"match": {"title": "headphones lamp"}},
            "filter": [{"term": {"brand": "omni"}}, {"range": {"price": {"lt": 100}}}],
        }
    }
    answer = gateway.search(index=shop, query=query, size=100, ext=own("fused"))
    assert ids(answer)
    assert {hit["_source"]["brand"] for hit in answer["hits"]["hits"]} == {"omni"}


def test_post_filter_narrows_hits_and_total_but_not_facets(
    gateway: Elasticsearch, shop: str
) -> None:
    answer = gateway.search(
        index=shop,
        query=MATCH,
        post_filter={"term": {"brand": "zeta"}},
        aggs={"brands": {"terms": {"field": "brand"}}},
        size=100,
        ext=own("fused"),
    )
    assert {hit["_source"]["brand"] for hit in answer["hits"]["hits"]} == {"zeta"}
    counts = {b["key"]: b["doc_count"] for b in answer["aggregations"]["brands"]["buckets"]}
    assert counts["zeta"] == answer["hits"]["total"]["value"] == 87
    assert counts["acme"] == 173


def test_total_and_facets_describe_the_whole_match_set_whatever_the_page(
    gateway: Elasticsearch, shop: str
) -> None:
    aggs = {"brands": {"terms": {"field": "brand"}}}
    seen = []
    for size in (1, 10, 50):
        answer = gateway.search(index=shop, query=MATCH, aggs=aggs, size=size, ext=own("fused"))
        buckets = answer["aggregations"]["brands"]["buckets"]
        seen.append((answer["hits"]["total"], buckets))
        assert sum(b["doc_count"] for b in buckets) == answer["hits"]["total"]["value"]
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][0]["value"] >= LAMPS


def test_the_best_hits_of_a_facet_are_the_best_by_the_clients_own_query(
    gateway: Elasticsearch, es: Elasticsearch, shop: str
) -> None:
    best = {"best": {"top_hits": {"size": 2, "_source": False}}}
    for aggs in (best, {"few": {"sampler": {"shard_size": 5}, "aggs": best}}):
        found, wanted = (
            client.search(index=shop, query=MATCH, aggs=aggs, size=0).body["aggregations"]
            for client in (gateway, es)
        )
        found, wanted = (it.get("few", it)["best"]["hits"] for it in (found, wanted))
        assert [hit["_score"] for hit in found["hits"]] == pytest.approx(
            [hit["_score"] for hit in wanted["hits"]]
        )
        assert found["max_score"] == pytest.approx(wanted["max_score"])


def test_what_is_shown_of_a_hit_is_what_was_asked_for(gateway: Elasticsearch, shop: str) -> None:
    answer = gateway.search(
        index=shop,
        query={"match": {"title": {"query": "lamp", "_name": "in_title"}}},
        source=["price"],
        fields=["brand"],
        highlight={"fields": {"title": {}}},
        size=3,
        ext=own("fused"),
    )
    for hit in answer["hits"]["hits"]:
        assert list(hit["_source"]) == ["price"]
        assert hit["fields"]["brand"]
        assert "<em>lamp</em>" in hit["highlight"]["title"][0]
        assert hit["matched_queries"] == ["in_title"]


def test_nothing_of_the_document_comes_where_nothing_is_asked_for(
    gateway: Elasticsearch, shop: str
) -> None:
    answer = gateway.search(index=shop, query=MATCH, source=False, size=3, ext=own("fused"))
    for hit in answer["hits"]["hits"]:
        assert set(hit) == {"_index", "_id", "_score"}


def test_collapsing_shows_the_best_of_each_group(gateway: Elasticsearch, shop: str) -> None:
    answer = gateway.search(
        index=shop, query=MATCH, collapse={"field": "brand"}, size=10, ext=own("fused")
    )
    brands = [hit["_source"]["brand"] for hit in answer["hits"]["hits"]]
    assert sorted(brands) == sorted(set(brands))
    assert {"acme", "zeta"} <= set(brands)
    assert [hit["fields"] for hit in answer["hits"]["hits"]] == [{"brand": [it]} for it in brands]


@pytest.mark.parametrize("shown", [{}, {"source": False}, {"docvalue_fields": ["price", "brand"]}])
def test_a_collapsed_hit_tells_its_value_as_the_node_does(
    gateway: Elasticsearch, es: Elasticsearch, shop: str, shown: dict[str, Any]
) -> None:
    asked = {"index": shop, "query": MATCH, "collapse": {"field": "brand"}, **shown}
    wanted = es.search(**asked)["hits"]["hits"]
    forms = {hit["fields"]["brand"][0]: set(hit) | set(hit["fields"]) for hit in wanted}
    for _ in range(2):  # read, and kept
        found = gateway.search(**asked, ext=own("fused"))["hits"]["hits"]
        told = {hit["fields"]["brand"][0]: set(hit) | set(hit["fields"]) for hit in found}
        assert told.items() >= forms.items()
    later = gateway.search(**asked, from_=1, size=1, ext=own("fused"))["hits"]["hits"]
    assert [hit["fields"]["brand"] for hit in later] == [found[1]["fields"]["brand"]]


def test_a_minimum_score_is_that_of_the_clients_own_query(
    gateway: Elasticsearch, es: Elasticsearch, shop: str
) -> None:
    query = {"match": {"description": "warm table"}}
    floor = es.search(index=shop, query=query, size=1)["hits"]["max_score"] - 0.01
    wanted = es.search(index=shop, query=query, min_score=floor, size=300)
    answer = gateway.search(index=shop, query=query, min_score=floor, size=300, ext=own("fused"))
    assert answer["hits"]["total"] == wanted["hits"]["total"]
    assert set(ids(answer)) <= set(ids(wanted))


@pytest.mark.parametrize("mode", ["fused", "rrf", "knn"])
def test_what_sold_out_ranks_last_unless_asked_for(
    gateway: Elasticsearch, shop: str, mode: str
) -> None:
    answer = gateway.search(index=shop, query=MATCH, size=60, ext=own(mode, rank_window_size=300))
    available = [hit["_source"]["available"] for hit in answer["hits"]["hits"]]
    assert available[0]
    assert available == sorted(available, reverse=True)
    query = {"bool": {"must": MATCH, "filter": {"term": {"available": False}}}}
    asked_for = gateway.search(index=shop, query=query, size=60, ext=own(mode))
    assert ids(asked_for)
    assert not any(hit["_source"]["available"] for hit in asked_for["hits"]["hits"])


@pytest.mark.parametrize("query_id", [None, "q-pages"])
def test_pages_repeat_nothing_skip_nothing_and_agree_on_the_total(
    gateway: Elasticsearch, shop: str, query_id: str | None
) -> None:
    ext = own("fused", **({"query_id": query_id} if query_id else {}))
    seen: list[str] = []
    totals = set()
    for start in range(0, 300, 30):
        answer = gateway.search(
            index=shop, query=MATCH, from_=start, size=30, source=False, ext=ext
        )
        seen += ids(answer)
        totals.add(answer["hits"]["total"]["value"])
    assert len(seen) == len(set(seen))
    assert totals == {len(seen)}
    assert {f"lamp-{number}" for number in range(LAMPS)} <= set(seen)


def test_pages_stay_while_the_catalogue_changes(
    stack: Stack, gateway: Elasticsearch, es: Elasticsearch, shop: str, tmp_path: Path
) -> None:
    ext = own("fused", query_id="q-changing")
    query = {"match": {"title": "desk"}}

    def page(start: int) -> Any:
        return gateway.search(index=shop, query=query, from_=start, size=50, source=False, ext=ext)

    first = ids(page(0)) + ids(page(50))
    new = tmp_path / "new.jsonl"
    new.write_text(json.dumps({"id": "new", "title": "Desk desk desk"}), encoding="utf-8")
    stack.run("catalogue", shop, str(new))
    try:
        assert ids(page(0)) + ids(page(50)) == first
        rest = [name for start in range(100, 300, 50) for name in ids(page(start))]
        assert not set(rest) & set(first)
        assert "new" in ids(gateway.search(index=shop, query=query, size=50, ext=own("fused")))
    finally:
        new.write_text(json.dumps({"id": "new", "deleted": True}), encoding="utf-8")
        stack.run("catalogue", shop, str(new))


def test_a_page_before_its_first_page_is_still_a_page(gateway: Elasticsearch, shop: str) -> None:
    ext = own("fused", query_id=uuid.uuid4().hex)
    third = ids(gateway.search(index=shop, query=MATCH, from_=20, size=10, ext=ext))
    first = ids(gateway.search(index=shop, query=MATCH, from_=0, size=20, ext=ext))
    assert len(third) == 10
    assert not set(third) & set(first)


def test_errors_are_elasticsearchs_own(
    gateway: Elasticsearch, es: Elasticsearch, shop: str
) -> None:
    broken = {"bool": {"must": [MATCH, {"no_such_query": {}}]}}
    with pytest.raises(BadRequestError) as wanted:
        es.search(index=shop, query=broken)
    with pytest.raises(BadRequestError) as asked:
        gateway.search(index=shop, query=broken, ext=own("fused"))
    assert asked.value.error == wanted.value.error
    for aggs in ({"by": {"terms": {"field": "title"}}}, {"by": {"no_such_aggregation": {}}}):
        with pytest.raises(BadRequestError) as wanted:
            es.search(index=shop, query=MATCH, aggs=aggs)
        with pytest.raises(BadRequestError) as asked:
            gateway.search(index=shop, query=MATCH, aggs=aggs, ext=own("fused"))
        assert asked.value.error == wanted.value.error
    with pytest.raises(NotFoundError) as absent:
        gateway.search(index="no-such-index", query=MATCH)
    assert absent.value.error == "index_not_found_exception"


def test_what_hitweave_cannot_do_is_an_error_in_elasticsearchs_shape(
    gateway: Elasticsearch, shop: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        gateway.search(index=shop, query=MATCH, ext=own("best"))
    assert refused.value.error == "illegal_argument_exception"
    assert "mode" in str(refused.value.body)


def test_a_multi_search_answers_each_by_itself(gateway: Elasticsearch, shop: str) -> None:
    answer = gateway.msearch(
        searches=[
            {"index": shop},
            {"query": MATCH, "size": 2, "ext": own("fused")},
            {"index": shop},
            {"query": {"match_all": {}}, "size": 1, "sort": ["price"]},
            {"index": "no-such-index"},
            {"query": MATCH},
            {"index": shop},
            {"query": MATCH, "ext": {"hitweave": {"mode": "best"}}},
        ]
    )
    fused, sorted_, absent, wrong = answer["responses"]
    assert (fused["status"], len(fused["hits"]["hits"])) == (200, 2)
    assert "hitweave" in fused
    assert sorted_["hits"]["hits"][0]["_source"]["price"] == 5.0
    assert (absent["status"], absent["error"]["type"]) == (404, "index_not_found_exception")
    assert wrong["status"] == 400


def test_headers_and_forms_are_those_of_elasticsearch(stack: Stack, shop: str) -> None:
    vendor = "application/vnd.elasticsearch+json; compatible-with=9"
    status, headers, answer = raw(
        stack,
        "POST",
        f"/{shop}/_search?filter_path=hits.hits._id,hits.total&rest_total_hits_as_int=true",
        {"query": MATCH, "size": 1},
        {"X-Opaque-Id": "me", "Accept": vendor, "Content-Type": vendor},
    )
    assert status == 200
    assert headers["x-elastic-product"] == "Elasticsearch"
    assert headers["x-opaque-id"] == "me"
    assert headers["content-type"] == "application/vnd.elasticsearch+json;compatible-with=9"
    assert set(answer) == {"hits"}
    assert isinstance(answer["hits"]["total"], int)


def test_a_search_in_the_url_is_ranked_too(stack: Stack, shop: str) -> None:
    status, _, answer = raw(stack, "GET", f"/{shop}/_search?q=title:lamp&size=3&_source=false")
    assert status == 200
    assert len(answer["hits"]["hits"]) == 3
    assert answer["hitweave"]["window"] > 3


def test_explanations_add_up_to_the_score(gateway: Elasticsearch, shop: str) -> None:
    answer = gateway.search(index=shop, query=MATCH, size=20, ext=own("fused", explain=True))
    for hit in answer["hits"]["hits"]:
        explained = hit["_explanation"]
        assert explained["value"] == hit["_score"]
        parts = sum(detail["value"] for detail in explained["details"])
        assert parts == pytest.approx(hit["_score"], abs=1e-4)


def test_elasticsearchs_own_explain_explains(gateway: Elasticsearch, shop: str) -> None:
    answer = gateway.search(index=shop, query=MATCH, explain=True)
    assert all(hit["_explanation"]["value"] == hit["_score"] for hit in answer["hits"]["hits"])
    answer = gateway.search(index=shop, query=MATCH, explain=False)
    assert not any("_explanation" in hit for hit in answer["hits"]["hits"])


def test_what_only_the_vectors_found_has_its_score_by_the_words_too(
    gateway: Elasticsearch, es: Elasticsearch, shop: str
) -> None:
    whole = es.search(index=shop, query=MATCH, size=1000)["hits"]["hits"]
    by_words = {hit["_id"]: hit["_score"] for hit in whole}
    ext = own("rrf", rank_window_size=20)
    found = gateway.search(index=shop, query=MATCH, size=20, explain=True, ext=ext)
    ranks = []
    for hit in found["hits"]["hits"]:
        said = json.dumps(hit["_explanation"])
        place = re.search(r"keywords: rank (\d+) with ([\d.]+)", said)
        assert place, said  # every lamp matches, twenty at the most are in the list of the words
        assert float(place[2]) == pytest.approx(by_words[hit["_id"]], abs=1e-3)
        ranks.append(int(place[1]))
    assert max(ranks) > 20
    assert len(set(ranks)) == len(ranks)


def test_a_search_for_no_hits_has_no_best_score(
    gateway: Elasticsearch, es: Elasticsearch, shop: str
) -> None:
    for client in (gateway, es):
        answer = client.search(index=shop, query=MATCH, size=0).body
        assert answer["hits"]["max_score"] is None
        assert answer["hits"]["hits"] == []
        assert answer["hits"]["total"]["value"] > 0


def test_other_read_routes_pass_through_and_writes_do_not(
    stack: Stack, gateway: Elasticsearch, es: Elasticsearch, shop: str
) -> None:
    assert gateway.count(index=shop).body == es.count(index=shop).body
    assert gateway.get(index=shop, id="lamp-1").body == es.get(index=shop, id="lamp-1").body
    assert gateway.indices.get_mapping(index=shop).body == es.indices.get_mapping(index=shop).body
    assert gateway.info().body == es.info().body
    scrolled = gateway.search(index=shop, query=MATCH, scroll="1m", size=2)
    assert len(gateway.scroll(scroll_id=scrolled["_scroll_id"], scroll="1m")["hits"]["hits"]) == 2
    gateway.clear_scroll(scroll_id=scrolled["_scroll_id"])
    for method, path in (("PUT", f"/{shop}/_doc/x"), ("DELETE", f"/{shop}"), ("POST", "/_reindex")):
        status, _, answer = raw(stack, method, path, {})
        assert (status, answer["error"]["type"]) == (403, "security_exception")
    assert es.count(index=shop)["count"] == LAMPS + 4


def test_embed_gives_the_vectors_that_the_index_was_made_with(
    stack: Stack, gateway: Elasticsearch, shop: str
) -> None:
    status, _, answer = raw(
        stack, "POST", "/embed", {"index": shop, "texts": ["earbuds", "lamp"], "as": "query"}
    )
    assert status == 200
    assert len(answer["vectors"]) == 2
    knn = {"field": "embedding", "query_vector": answer["vectors"][0], "k": 2}
    found = gateway.search(index=shop, knn=knn, size=2)
    assert set(ids(found)) == {"other-0", "other-1"}
    status, _, answer = raw(stack, "POST", "/embed", {"index": "none", "texts": []})
    assert (status, answer["error"]["type"]) == (400, "illegal_argument_exception")


def test_reading_a_route_of_ours_is_reading_an_index_where_there_is_one(
    stack: Stack, es: Elasticsearch, shop: str
) -> None:
    status, headers, answer = raw(stack, "GET", "/embed")
    assert (status, headers["allow"], answer["status"]) == (405, "POST", 405)
    assert raw(stack, "HEAD", "/embed")[0] == 404
    (concrete,) = es.indices.get_alias(name=shop).body
    es.indices.put_alias(index=concrete, name="embed")
    try:
        status, _, answer = raw(stack, "GET", "/embed")
        assert (status, len(answer)) == (200, 1)
    finally:
        es.indices.delete_alias(index=concrete, name="embed")


@pytest.mark.parametrize("after", [1, 10_000])
def test_what_the_node_says_of_an_early_end_is_kept(
    gateway: Elasticsearch, es: Elasticsearch, shop: str, after: int
) -> None:
    asked = {"index": shop, "query": MATCH, "terminate_after": after}
    answer = gateway.search(**asked, ext=own("fused"))
    assert answer["terminated_early"] == es.search(**asked)["terminated_early"]
    assert "terminated_early" not in gateway.search(index=shop, query=MATCH, ext=own("fused"))


def test_rerank_orders_candidates_of_an_index(stack: Stack, shop: str) -> None:
    candidates = [{"id": "other-2", "bm25": 1.0}, {"id": "other-0"}, {"id": "lamp-1", "bm25": 0.5}]
    body = {"index": shop, "query": "earphones", "candidates": candidates, "explain": True}
    status, _, answer = raw(stack, "POST", "/rerank", body)
    assert status == 200
    assert {item["id"] for item in answer["items"]} == {"other-2", "other-0", "lamp-1"}
    scores = [item["score"] for item in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["items"][0]["explanation"]["value"] == scores[0]
    status, _, unseen = raw(stack, "POST", "/rerank", body | {"rank_window_size": 0})
    assert status == 200
    assert len(unseen["items"]) == len(body["candidates"])
    status, _, answer = raw(stack, "POST", "/rerank", body | {"size": 1})
    assert len(answer["items"]) == 1


def test_rerank_says_that_it_knows_no_index_where_several_could_be_meant(
    stack: Stack, shop: str, es: Elasticsearch, tmp_path: Path
) -> None:
    other = f"t{uuid.uuid4().hex[:12]}"
    created(other, "--config", commands.config(tmp_path, "encoder: hashed:64"))
    assert {shop, other} <= set(applications.read(es).named)
    candidates = [{"id": "lamp-1", "bm25": 0.5}, {"id": "other-2", "bm25": 1.0}]
    body = {"query": "earphones", "candidates": candidates}
    answers: list[Any] = []

    def knows_both() -> bool:
        answers.append(raw(stack, "POST", "/rerank", body))
        return bool(answers[-1][2]["degraded"] == "no_index")

    wait_until(knows_both, 30)  # which indices there are is believed for a few seconds
    assert (answers[-1][0], answers[-1][2]["model"]) == (200, None)
    assert [item["id"] for item in answers[-1][2]["items"]] == ["other-2", "lamp-1"]


@pytest.mark.parametrize(
    "body",
    [
        "{",
        [],
        {"candidates": []},
        {"query": "x"},
        {"query": "x", "candidates": [{"bm25": 1}]},
        {"query": "x", "candidates": [{"id": "a"}, {"id": ""}]},
        {"query": "x", "candidates": [{"id": "a"}, {"id": "a"}]},
        {"query": "x", "candidates": [{"id": "a", "bm25": "high"}]},
        {"query": "x", "candidates": [{"id": "a", "bm25": [1.0]}, {"id": "b", "bm25": [2.0]}]},
        {"query": "x", "candidates": [{"id": "a"}, {"id": 1}]},
        {"query": "x", "candidates": [{"id": "a"}, "b"]},
        {"query": "x", "candidates": [{"id": "a", "bm25": 1e39}]},
        {"query": "x", "candidates": [{"id": "a", "knn_rank": -60}]},
        {"query": "x", "candidates": [], "index": "no-such-index"},
    ],
)
def test_a_wrong_rerank_is_refused_with_what_is_wrong(stack: Stack, shop: str, body: Any) -> None:
    status, _, answer = raw(stack, "POST", "/rerank", body)
    assert status == 400
    assert answer["error"]["reason"]


def test_health_and_metrics_tell_of_the_whole_sidecar(
    stack: Stack, gateway: Elasticsearch, shop: str
) -> None:
    assert raw(stack, "GET", "/health/live")[0] == 200
    status, _, ready = raw(stack, "GET", "/health/ready")
    assert (status, ready["status"]) == (200, "ready")
    assert shop in ready["indices"]
    gateway.search(index=shop, query=MATCH, ext=own("fused"))
    status, _, metrics = raw(stack, "GET", "/metrics")
    assert status == 200
    assert b'hitweave_searches_total{degraded="no",mode="fused"}' in metrics


def test_a_long_title_takes_a_few_lines_of_a_terminal() -> None:
    hit = {"_id": "a", "_score": 1.0, "_source": {"title": "真无线[b]耳机\n" * 500}}
    shown = io.StringIO()
    console = Console(file=shown, width=80)
    console.print(search.table({"hits": {"hits": [hit]}}, IndexConfig()))
    lines = shown.getvalue().splitlines()
    assert len(lines) < 10
    assert "…" in lines[-1]
    assert "[b]" in shown.getvalue()


@pytest.mark.parametrize("path", ["/{}/_search", "/no-such-index/_search", "/_search"])
def test_an_option_that_there_is_not_is_refused_by_its_name(
    stack: Stack, shop: str, path: str
) -> None:
    misspelt = {"query": MATCH, "ext": {"hitweave": {"diversty": 0.2}, "ubi": {"colour": "red"}}}
    status, _, answer = raw(stack, "POST", path.format(shop), misspelt)
    assert status == 400
    assert "ext.hitweave.diversty is no option" in answer["error"]["reason"]
    assert "diversity" in answer["error"]["reason"]
    lines = f'{{"index": "{shop}"}}\n{json.dumps(misspelt)}\n'
    _, _, many = raw(stack, "POST", "/_msearch", lines)
    assert many["responses"][0]["status"] == 400
    known = misspelt | {"ext": {"hitweave": {"diversity": 0.2}, "ubi": {"colour": "red"}}}
    assert raw(stack, "POST", f"/{shop}/_search", known)[0] == 200


def test_a_field_that_rerank_has_not_is_refused_and_what_candidates_bring_is_not(
    stack: Stack, shop: str
) -> None:
    body = {"index": shop, "query": "lamp", "candidates": [{"id": "lamp-1", "shelf": 3}]}
    assert raw(stack, "POST", "/rerank", body)[0] == 200
    status, _, answer = raw(stack, "POST", "/rerank", body | {"diversty": 0.2})
    assert status == 400
    assert "unknown field 'diversty'" in answer["error"]["reason"]


def test_a_terminal_shows_hits_as_a_table(stack: Stack, shop: str) -> None:
    shown = stack.run("search", shop, "earbuds", "--size", "3", "--explain").stdout
    assert "Wireless earphones" in shown
    assert "prior" in shown
    failed = stack.run("search", "no-such-index", "lamp", check=False)
    assert failed.returncode == 2
    assert "no-such-index" in failed.stderr


def test_what_a_search_showed_is_learned_from_as_it_was_served(
    stack: Stack, gateway: Elasticsearch, es: Elasticsearch, shop: str
) -> None:
    query_id = uuid.uuid4().hex
    forged = {"served": {"signals": "AAAA"}, "hitweave": {"served": {"signals": "AAAA"}}}
    ubi = {"query_id": query_id, "query_attributes": forged}
    context = {"device": "phone", "weather": "rain", "trace": "not declared"}
    ext = {"ubi": ubi, "hitweave": {"context": context}}
    answer = gateway.search(index=shop, query=MATCH, size=12, ext=ext)
    found: list[LoggedSearch] = []

    def journalled() -> bool:
        if es.indices.exists(index=QUERIES):
            es.indices.refresh(index=QUERIES)
            found[:] = [s for s in read_searches(es, shop, None) if s.query_id == query_id]
        return bool(found)

    wait_until(journalled, seconds=30)
    (logged,) = found
    assert logged.shown == tuple(ids(answer))
    assert logged.served is not None
    assert logged.served.seen.tolist() == [True] * 12
    assert logged.context == {"device": "phone", "weather": "rain"}
    code = logged.served.signals[0, [definition.INDEX[name] for name in declared.NAMES]]
    assert code.tolist() == declared.codes(context, USUAL).tolist()
    covered = logged.served.signals[:, definition.INDEX["query_covered"]]
    assert covered.tolist() == [1.0] * 12
