"""The plugin and the gateway give one order to the same request."""

import itertools
import json
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from tests.conftest import Stack
from tests.flows import behaviour
from tests.gateway.conftest import Shop
from tests.gateway.exchange import Exchange
from tests.gateway.shop import COLOURS, KINDS, MATERIALS
from tests.plugin.asking import fusion, keyword, search

pytestmark = pytest.mark.usefixtures("patient")
SIZE = 50


def texts() -> list[str]:
    """A hundred different queries."""
    looks = itertools.product(COLOURS, MATERIALS, KINDS)
    named = [f"{colour} {material} {kind}" for colour, material, kind in looks]
    shorter = [f"{colour} {kind} lamp" for colour, kind in itertools.product(COLOURS, KINDS)]
    others = [f"warm {material} light" for material in MATERIALS]
    others += ["wireless", "headphones", "蓝牙", "running", "shoes for running", "table", "shelf"]
    others += [f"lamp {number}" for number in range(10)]
    return [*named, *shorter, *others]


@pytest.fixture(scope="module")
def vectors(gateway: Exchange, shop: Shop) -> dict[str, list[float]]:
    """Each query's vector by the recipe of the index."""
    asked = {"index": shop.index, "texts": texts(), "as": "query"}
    found = gateway.ask("POST", "/embed", json.dumps(asked).encode()).json()["vectors"]
    return dict(zip(texts(), found, strict=True))


@pytest.fixture(scope="module")
def shopper(stack: Stack, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Somebody who clicked at a few things."""
    lines = [
        behaviour.clicked(shop.index, f"lamp-{number}", user_id="plugin-shopper")
        for number in (3, 7, 12, 60)
    ]
    file = behaviour.ndjson(tmp_path_factory.mktemp("clicks") / "events.ndjson", *lines)
    stack.run("events", str(file))
    return "plugin-shopper"


def test_two_hundred_requests_have_the_gateways_order(
    es: Elasticsearch, gateway: Exchange, shop: Shop, vectors: Any, shopper: str
) -> None:
    compared = 0
    for text, user in itertools.product(texts(), (None, shopper)):
        who = {} if user is None else {"user_id": user}
        ext = {"hitweave": {"record": False}} | ({"ubi": who} if who else {})
        body = {"query": keyword(text), "size": SIZE, "_source": False, "ext": ext}
        expected = gateway.search(shop.index, body).json()
        assert expected["hitweave"]["degraded"] is None
        said = search(
            es,
            index=shop.index,
            retriever=fusion(text, vectors[text], **who),
            size=SIZE,
            source=False,
        )
        assert said.warnings == []
        assert said.ids == [hit["_id"] for hit in expected["hits"]["hits"]], (text, user)
        compared += 1
    assert compared >= 200


@pytest.mark.parametrize("where", ["retriever", "ext"])
def test_the_dial_gives_the_gateways_order(
    es: Elasticsearch, gateway: Exchange, shop: Shop, vectors: Any, where: str
) -> None:
    moved = 0
    for text in texts()[:20]:
        ext = {"hitweave": {"record": False, "diversity": 0.6}}
        body = {"query": keyword(text), "size": SIZE, "_source": False, "ext": ext}
        expected = gateway.search(shop.index, body).json()
        ext["hitweave"]["diversity"] = 0
        plain = gateway.search(shop.index, body).json()
        asked = {"diversity": 0.6}
        said = search(
            es,
            index=shop.index,
            retriever=fusion(text, vectors[text], **(asked if where == "retriever" else {})),
            size=SIZE,
            source=False,
            **({"ext": {"hitweave": asked}} if where == "ext" else {}),
        )
        assert said.warnings == []
        assert said.ids == [hit["_id"] for hit in expected["hits"]["hits"]], text
        moved += said.ids != [hit["_id"] for hit in plain["hits"]["hits"]]
    assert moved


@pytest.fixture(scope="module")
def three_shards(stack: Stack, shop: Shop) -> str:
    """The same documents in three shards."""
    name = f"{shop.index}-three"
    with Elasticsearch(stack.es_url, request_timeout=30) as es:
        (made,) = es.indices.get(index=shop.index).body.values()
        mappings = {key: part for key, part in made["mappings"].items() if key != "_meta"}
        analysis = made["settings"]["index"].get("analysis", {})
        settings = {"number_of_shards": 3, "number_of_replicas": 0, "analysis": analysis}
        es.indices.create(index=name, mappings=mappings, settings=settings)
        hits = es.search(index=shop.index, size=1000, source_exclude_vectors=False)["hits"]["hits"]
        lines = [part for hit in hits for part in ({"index": {"_id": hit["_id"]}}, hit["_source"])]
        assert not es.bulk(index=name, operations=lines, refresh=True)["errors"]
    return name


def test_three_shards_merge_as_one_and_pages_hold(
    es: Elasticsearch, three_shards: str, vectors: Any
) -> None:
    text = "red glass desk"
    asked = {"index": three_shards, "retriever": fusion(text, vectors[text])}
    whole = search(es, **asked, size=100, search_type="dfs_query_then_fetch")
    pages = [
        search(es, **asked, size=20, from_=at, search_type="dfs_query_then_fetch").ids
        for at in range(0, 100, 20)
    ]
    assert [name for page in pages for name in page] == whole.ids
    assert len(set(whole.ids)) == 100
