"""Recommendations with parts taken away: what is left is answered, with the reason."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson
import pytest
import redis
from elasticsearch import Elasticsearch
from flask.testing import FlaskClient

from indexer import settings as server_settings
from indexer.behaviour import popularity, trending
from indexer.catalogue.generation import Generation
from indexer.embedding.encoder import open_encoder
from reranker.app import create_app
from reranker.retrieval.node import Nodes
from reranker.rules import rule
from reranker.rules.matching import RuleSet
from reranker.serving import titles
from reranker.serving.process import Process
from reranker.serving.titles import NamesSeen
from tests.conftest import Stack, free_port
from tests.reranker.test_answer import process, shop

__all__ = ["process", "shop"]
NOW = 1_700_000_000.0


@pytest.fixture
def sold(request: pytest.FixtureRequest, stack: Stack, shop: Generation) -> Iterator[None]:
    """A mug that sells, or whatever a test says."""
    item = getattr(request, "param", "mug")
    counts = popularity.ItemEvents(
        row=np.zeros(3, dtype=np.intp),
        kind=np.full(3, popularity.PURCHASE),
        time=np.full(3, NOW),
        buyer=np.arange(3),
        sign=np.ones(3, dtype=np.float32),
    )
    board = trending.fold(None, {item: popularity.fold([None], counts)[0]})
    name = f"hw:{shop.index}:{trending.BOARD}"
    with redis.Redis.from_url(stack.valkey_url) as valkey:
        valkey.set(name, board)
        yield
        valkey.delete(name)


def away(process: Process) -> Process:
    """The same without Elasticsearch."""
    url = f"http://127.0.0.1:{free_port()}"
    nodes = Nodes(server_settings.load().model_copy(update={"elasticsearch_url": url}))
    return dataclasses.replace(process, nodes=nodes)


def asked(of: FlaskClient, index: Generation, **body: Any) -> Any:
    answer = of.post("/recommend", json={"index": index.index, **body})
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()


def ids(answer: Any) -> list[str]:
    return [item["id"] for item in answer["items"]]


@pytest.mark.usefixtures("sold")
def test_without_elasticsearch_what_valkey_knows_is_recommended(
    process: Process,
    shop: Generation,
) -> None:
    there = create_app(process).test_client()
    whole = asked(there, shop, item_ids=["lamp-b"])
    assert whole["degraded"] is None
    assert set(ids(whole)) == {"lamp-c", "mug"}
    left = asked(create_app(away(process)).test_client(), shop, item_ids=["lamp-b"])
    assert left["degraded"] == "elasticsearch_unavailable"
    assert ids(left) == ["mug"]


@pytest.mark.usefixtures("sold")
def test_what_no_rule_can_be_asked_about_is_not_recommended(
    process: Process, shop: Generation
) -> None:
    class Rules:
        def find(self, index: str) -> RuleSet:
            then = {"filter": {"ids": {"values": ["mug"]}}}
            return RuleSet([rule.read({"when": {}, "then": then}, index, "r")])

    under: Any = {"rules": Rules()}
    there = create_app(dataclasses.replace(process, **under)).test_client()
    assert ids(asked(there, shop, item_ids=["lamp-b"])) == ["mug"]
    left = create_app(dataclasses.replace(away(process), **under)).test_client()
    found = asked(left, shop, item_ids=["lamp-b"])
    assert (ids(found), found["degraded"]) == ([], "elasticsearch_unavailable")


@pytest.mark.parametrize("sold", ["lamp-b"], indirect=True)
@pytest.mark.usefixtures("sold")
def test_an_items_page_shows_what_is_like_it_before_what_sells(
    process: Process, shop: Generation
) -> None:
    there = create_app(process).test_client()
    found = asked(there, shop, item_ids=["mug"])  # to the test encoder more like lamp-c
    assert (found["model"], ids(found)) == (None, ["lamp-c", "lamp-b"])
    first = found["items"][0]
    assert first["source"] == "content"
    assert first["reason"].startswith("Similar to ")
    assert "you" not in first["reason"]


def test_documents_that_somebody_else_wrote_are_neighbours_too(
    process: Process,
    shop: Generation,
    es: Elasticsearch,
) -> None:
    there = create_app(process).test_client()
    (vector,) = open_encoder(shop.recipe).encode(["blue desk lamp"], role="passage").tolist()
    source = {"title": "foreign lamp", "embedding": vector}
    es.index(index=shop.concrete, id="foreign", document=source, refresh=True)
    try:
        found = asked(there, shop, item_ids=["lamp-b"], strategy="content")
        assert found["degraded"] is None
        assert "lamp-c" in ids(found)
        assert not process.generations.has_id_column(shop)
    finally:
        es.delete(index=shop.concrete, id="foreign", refresh=True)


def test_where_nobody_did_anything_yet_the_catalogue_answers(
    process: Process, shop: Generation, es: Elasticsearch
) -> None:
    there = create_app(process).test_client()
    more = {"liked": {"popularity": 3.0}, "late": {"updated_at": "2026-01-02T00:00:00Z"}}
    for item, fields in more.items():
        es.index(index=shop.concrete, id=item, document={"title": item, **fields}, refresh=True)
    try:
        found = asked(there, shop, size=3)
        assert found["degraded"] is None
        assert ids(found)[:2] == ["liked", "late"]
        reasons = [item["reason"] for item in found["items"]]
        assert reasons == ["Popular here.", *["From what is new here."] * 2]
        one = {"ids": {"values": ["late"]}}
        assert ids(asked(there, shop, filter=one)) == ["late"]
        assert ids(asked(there, shop, filter=one, item_ids=["late"])) == []
        alone = asked(there, shop, strategy="trending")
        assert (ids(alone), alone["degraded"]) == ([], None)
        alone = asked(there, shop, strategy="collaborative")
        assert (ids(alone), alone["degraded"]) == ([], "no_model")
        gone = asked(create_app(away(process)).test_client(), shop)
        assert (ids(gone), gone["degraded"]) == ([], "elasticsearch_unavailable")
    finally:
        for item in more:
            es.delete(index=shop.concrete, id=item, refresh=True)


def test_names_in_reasons_are_read_once(
    process: Process, shop: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks: list[list[str]] = []
    body = titles.body

    def counted(generation: Generation, wanted: Sequence[str]) -> dict[str, Any]:
        asks.append(list(wanted))
        return body(generation, wanted)

    monkeypatch.setattr(titles, "body", counted)
    there = create_app(dataclasses.replace(process, names=NamesSeen())).test_client()
    first, again = (asked(there, shop, item_ids=["lamp-b", "no-such"]) for _ in range(2))
    assert [sorted(ids) for ids in asks] == [["lamp-b", "no-such"]]
    title = process.nodes.ask(
        "GET", f"/{shop.concrete}/_source/lamp-b", None, {}, timeout_seconds=5.0
    )
    assert any(orjson.loads(title.body)["title"] in item["reason"] for item in first["items"])
    assert again["items"] == first["items"]
