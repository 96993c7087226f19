"""Elasticsearch's own Python clients, unchanged, with the same assertions at node and gateway."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from elasticsearch import (
    ApiError,
    AsyncElasticsearch,
    BadRequestError,
    Elasticsearch,
    NotFoundError,
    helpers,
)
from elasticsearch.dsl import A, AsyncSearch, Document, MultiSearch, Q, Search

from tests.conftest import Stack
from tests.gateway.conftest import Shop
from tests.gateway.exchange import Exchange
from tests.gateway.shop import COLOURS

SORTED = {"query": {"term": {"brand": "acme"}}, "sort": ["price", "id"]}
RED = {"match": {"title": "red"}}
VENDOR = "application/vnd.elasticsearch+json;compatible-with=9"


@pytest.fixture(params=["node", "gateway"])
def url(request: pytest.FixtureRequest, stack: Stack) -> str:
    """Where the client points: the bare node, then the sidecar."""
    return stack.es_url if request.param == "node" else stack.sidecar_url


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def client(request: pytest.FixtureRequest, url: str) -> Iterator[Elasticsearch]:
    """The ordinary client, with and without compression."""
    with Elasticsearch(url, request_timeout=30, http_compress=request.param) as client:
        yield client


def ids(answer: Any) -> list[str]:
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def test_it_takes_the_server_for_elasticsearch(client: Elasticsearch) -> None:
    info = client.options(opaque_id="me").info()
    assert info["tagline"] == "You Know, for Search"
    assert info.meta.headers["x-elastic-product"] == "Elasticsearch"
    assert info.meta.headers["x-opaque-id"] == "me"
    assert client.ping()


def test_a_text_search_finds_all_that_matches(client: Elasticsearch, shop: Shop) -> None:
    answer = client.options(opaque_id="me").search(
        index=shop.index,
        query=RED,
        size=20,
        aggs={"brands": {"terms": {"field": "brand"}}},
        highlight={"fields": {"title": {}}},
        source=["title", "price"],
    )
    assert answer.meta.status == 200
    assert answer.meta.headers["content-type"] == VENDOR
    assert answer.meta.headers["x-elastic-product"] == "Elasticsearch"
    assert answer.meta.headers["x-opaque-id"] == "me"
    assert answer["hits"]["total"]["value"] >= 60
    assert len(ids(answer)) == len(set(ids(answer))) == 20
    assert answer["hits"]["max_score"] == answer["hits"]["hits"][0]["_score"]
    for hit in answer["hits"]["hits"]:
        assert set(hit["_source"]) == {"title", "price"}
        assert hit["highlight"]["title"][0].startswith("<em>red</em>")
    buckets = answer["aggregations"]["brands"]["buckets"]
    assert {bucket["key"] for bucket in buckets} >= {"acme", "zeta"}


def test_a_ranked_answer_is_packed_where_that_is_asked_for(gateway: Exchange, shop: Shop) -> None:
    body = json.dumps({"query": RED, "size": 20}).encode()
    packed = {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    path = f"/{shop.index}/_search"
    answer = gateway.ask("POST", path, gzip.compress(body), packed)
    assert answer.headers["content-encoding"] == "gzip"
    found = json.loads(gzip.decompress(answer.body))
    assert found["hitweave"]["degraded"] is None
    assert len(ids(found)) == 20
    plain = gateway.ask("POST", path, body, {"Accept-Encoding": "gzip;q=0, identity"})
    assert "content-encoding" not in plain.headers
    assert len(ids(plain.json())) == 20


def test_a_multi_search_of_both_kinds_is_shaped_once(gateway: Exchange, shop: Shop) -> None:
    asked = [{"index": shop.index}, {"query": RED, "size": 2}, {"index": shop.index}]
    asked += [{**SORTED, "size": 1}, {"index": shop.index}, {"query": {"match": {"title": {}}}}]
    path = "/_msearch?filter_path=responses.hits.hits._id,responses.status"
    sent = {"Content-Type": "application/x-ndjson"}
    two = "".join(json.dumps(line) + "\n" for line in asked[:4]).encode()
    found = gateway.ask("POST", path, two, sent).json()["responses"]
    assert [len(ids(answer)) for answer in found] == [2, 1]
    assert [set(answer) for answer in found] == [{"hits", "status"}] * 2
    three = "".join(json.dumps(line) + "\n" for line in asked).encode()
    assert gateway.ask("POST", path, three, sent).status == 400


def test_a_sorted_search_pages_by_search_after(client: Elasticsearch, shop: Shop) -> None:
    pit = client.open_point_in_time(index=shop.index, keep_alive="1m")["id"]
    seen: list[str] = []
    after: Any = None
    while True:
        page = client.search(
            pit={"id": pit, "keep_alive": "1m"}, **SORTED, size=50, search_after=after
        )
        pit = page["pit_id"]
        if not ids(page):
            break
        seen += ids(page)
        after = page["hits"]["hits"][-1]["sort"]
    assert client.close_point_in_time(id=pit)["succeeded"] is True
    assert len(seen) == len(set(seen))
    assert len(seen) == client.count(index=shop.index, query=SORTED["query"])["count"]


def test_it_scrolls(client: Elasticsearch, shop: Shop) -> None:
    found = helpers.scan(
        client, index=shop.index, query={"query": {"match": {"title": "lamp"}}}, size=40
    )
    seen = [hit["_id"] for hit in found]
    assert len(seen) == len(set(seen)) >= 300
    assert len(seen) == client.count(index=shop.index, query={"match": {"title": "lamp"}})["count"]


def test_many_searches_in_one_are_answered_in_their_order(
    client: Elasticsearch, shop: Shop
) -> None:
    answers = client.msearch(
        searches=[
            {"index": shop.index},
            {"query": RED, "size": 3},
            {"index": shop.index},
            {**SORTED, "size": 2},
            {"index": "absent-index"},
            {"query": RED},
            {},
            {"query": {"ids": {"values": ["lamp-1"]}}, "size": 1},
        ],
        index=shop.index,
        typed_keys=True,
    )["responses"]
    assert [answer["status"] for answer in answers] == [200, 200, 404, 200]
    assert len(ids(answers[0])) == 3
    assert answers[1]["hits"]["hits"][0]["sort"][0] <= answers[1]["hits"]["hits"][1]["sort"][0]
    assert answers[2]["error"]["type"] == "index_not_found_exception"
    assert ids(answers[3]) == ["lamp-1"]


def test_documents_are_read(client: Elasticsearch, shop: Shop) -> None:
    assert client.get(index=shop.index, id="lamp-1")["_source"]["id"] == "lamp-1"
    assert client.get_source(index=shop.index, id="lamp-1")["id"] == "lamp-1"
    many = client.mget(index=shop.index, ids=["lamp-1", "absent"])["docs"]
    assert [doc["found"] for doc in many] == [True, False]
    assert client.exists(index=shop.index, id="lamp-1")
    assert not client.exists(index=shop.index, id="absent")
    with pytest.raises(NotFoundError) as raised:
        client.get(index=shop.index, id="absent")
    assert raised.value.body["found"] is False


def test_the_index_and_the_cluster_are_looked_at(client: Elasticsearch, shop: Shop) -> None:
    fields = client.field_caps(index=shop.index, fields=["price", "title"])["fields"]
    assert fields["price"]["double"]["aggregatable"] is True
    (mapping,) = client.indices.get_mapping(index=shop.index).values()
    assert mapping["mappings"]["properties"]["offers"]["type"] == "nested"
    assert client.indices.exists(index=shop.index)
    assert not client.indices.exists(index="absent-index")
    (counted,) = client.cat.count(index=shop.index, format="json")
    assert int(counted["count"]) == client.count(index=shop.index)["count"]
    assert client.cluster.health(index=shop.index)["status"] in ("green", "yellow")
    tokens = client.indices.analyze(index=shop.index, field="title", text="Red LAMPS")["tokens"]
    assert [token["token"] for token in tokens] == ["red", "lamp"]
    explained = client.explain(index=shop.index, id="lamp-0", query=RED)
    assert explained["matched"] is True


def test_errors_are_the_clients_own_classes(client: Elasticsearch, shop: Shop) -> None:
    with pytest.raises(NotFoundError) as absent:
        client.search(index="absent-index", query=RED)
    assert absent.value.status_code == 404
    assert absent.value.error == "index_not_found_exception"
    for wrong in ({"query": {"absent": {}}}, {"query": {"match": {"title": {"absent": 1}}}}):
        with pytest.raises(BadRequestError) as refused:
            client.search(index=shop.index, **wrong)
        assert (refused.value.status_code, refused.value.error) == (400, "parsing_exception")
    with pytest.raises(BadRequestError) as refused:
        client.search(index=shop.index, query=RED, from_=9_995, size=10)
    assert "Result window is too large" in str(refused.value)
    with pytest.raises(ApiError) as many:
        client.msearch(searches=[{"index": shop.index}, {"query": {"absent": {}}}])
    assert many.value.status_code == 400


def test_aliases_patterns_and_lists_are_searched(client: Elasticsearch, shop: Shop) -> None:
    filtered = client.search(index=shop.acme, query={"match": {"title": "lamp"}}, size=50)
    assert {hit["_source"].get("brand") for hit in filtered["hits"]["hits"]} == {"acme"}
    for name in (f"{shop.index}*", [shop.index, shop.acme], f"{shop.index},absent-*"):
        answer = client.search(index=name, query=RED, size=5)
        assert len(ids(answer)) == 5


def test_forms_of_an_answer(client: Elasticsearch, shop: Shop) -> None:
    answer = client.search(
        index=shop.index,
        query=RED,
        aggs={"brands": {"terms": {"field": "brand"}}},
        typed_keys=True,
        rest_total_hits_as_int=True,
        filter_path=["hits.total", "hits.hits._id", "aggregations.*.buckets.key"],
    )
    assert set(answer) == {"hits", "aggregations"}
    assert set(answer["hits"]) == {"total", "hits"}
    assert isinstance(answer["hits"]["total"], int)
    assert set(answer["aggregations"]) == {"sterms#brands"}
    url = client.search(index=shop.index, q="title:red", size=2, source_includes="title")
    assert [set(hit["_source"]) for hit in url["hits"]["hits"]] == [{"title"}] * 2


class Lamp(Document):
    """What the object mapper makes of a hit."""


def test_the_query_builder_searches(client: Elasticsearch, shop: Shop) -> None:
    search = (
        Search(using=client, index=shop.index)
        .query(Q("match", title="red") | Q("match_phrase", title="glass"))
        .filter("range", price={"gte": 10})
        .exclude("term", brand="omni")
        .highlight("title")
        .source(["title"])
    )
    search.aggs.bucket("brands", A("terms", field="brand")).metric("dear", "max", field="price")
    answer = search[5:12].execute()
    assert answer.success()
    assert len(answer.hits) == 7
    assert all(hit.meta.highlight.title for hit in answer)
    assert {bucket.key for bucket in answer.aggregations.brands.buckets} >= {"acme", "zeta"}
    assert all(bucket.dear.value > 10 for bucket in answer.aggregations.brands.buckets)
    assert answer.hits.total.value >= search.count()
    assert len(list(search.params(size=50).scan())) == search.count()
    both = MultiSearch(using=client, index=shop.index).add(search).add(search.sort("price"))
    assert [len(one.hits) for one in both.execute()] == [10, 10]
    lamp = Lamp.get("lamp-1", using=client, index=shop.index)
    assert lamp is not None
    assert lamp.meta.id == "lamp-1"


@pytest.mark.parametrize("compressed", [False, True])
def test_the_asynchronous_client_searches_side_by_side(
    url: str, shop: Shop, compressed: bool
) -> None:
    async def all_at_once() -> None:
        async with AsyncElasticsearch(url, request_timeout=30, http_compress=compressed) as client:
            asked = [
                client.search(index=shop.index, query={"match": {"title": colour}}, size=5)
                for colour in COLOURS
            ]
            for colour, answer in zip(COLOURS, await asyncio.gather(*asked), strict=True):
                found = [hit["_source"]["title"] for hit in answer["hits"]["hits"]]
                assert len(found) == 5
                assert all(colour in title for title in found)
            assert (await client.count(index=shop.index))["count"] > 300
            assert (await client.get(index=shop.index, id="lamp-1"))["found"]
            many = await client.msearch(
                searches=[{}, {"query": RED, "size": 1}, {}, {**SORTED, "size": 1}],
                index=shop.index,
            )
            assert [len(ids(answer)) for answer in many["responses"]] == [1, 1]
            walked = helpers.async_scan(client, index=shop.index, query={"query": RED}, size=30)
            assert len({hit["_id"] async for hit in walked}) >= 60
            built = AsyncSearch(using=client, index=shop.index).query("match", title="red")
            assert len((await built.execute()).hits) == 10
            with pytest.raises(NotFoundError):
                await client.search(index="absent-index", query=RED)
            with pytest.raises(BadRequestError):
                await client.search(index=shop.index, query={"absent": {}})

    asyncio.run(all_at_once())
