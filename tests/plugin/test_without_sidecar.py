"""Without a sidecar, or where it fails, the node ranks by the model of a file, and says so."""

import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from elasticsearch import BadRequestError, Elasticsearch

from compose.local import ground
from compose.local.commands.export_plugin import command as export_plugin
from compose.local.home import Home
from indexer import settings
from indexer.catalogue import generation
from tests.compose.waiting import until
from tests.conftest import Stack
from tests.flows import behaviour, commands
from tests.flows.test_models import serving, wait
from tests.gateway import corpus
from tests.gateway.exchange import Exchange
from tests.gateway.shop import products
from tests.plugin.asking import Said, fusion, keyword, knn, reciprocal_rank_order, search, set_node
from tests.reranker.artifacts import promote_untrained

TEXTS = ["red lamp", "blue glass lamp", "desk lamps", "warm light", "wireless headphones", "蓝牙"]
FILE = "goods.model"


@dataclass(frozen=True)
class Goods:
    """An index with a model of its own, in a file in the node's folder."""

    index: str
    file: Path
    vectors: dict[str, list[float]]
    told: dict[str, object]


@pytest.fixture(scope="module")
def goods(
    stack: Stack, gateway: Exchange, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Goods]:
    name, work = f"t{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("alone")
    place = ground.find(Home(stack.home))
    folder = place.own(place.node / "config" / "hitweave")
    commands.created(name, "--config", commands.config(work, "encoder: hashed:64\n"))
    commands.sent(name, commands.feed(work, *products()))
    bought = [
        behaviour.clicked(name, f"lamp-{number % 7}", user_id=f"u{number}") for number in range(20)
    ]
    stack.run("events", str(behaviour.ndjson(work / "events.ndjson", *bought)))
    with Elasticsearch(stack.es_url) as es, redis.Redis.from_url(stack.valkey_url) as valkey:
        found = generation.resolve(es, name)
        promote_untrained(settings.load().models_dir, found, "drawn", seed=5)
        wait(lambda: serving(valkey, name) == {"drawn"})
    told = commands.run(export_plugin, name, str(folder / FILE))
    asked = {"index": name, "texts": TEXTS, "as": "query"}
    vectors = gateway.ask("POST", "/embed", json.dumps(asked).encode()).json()["vectors"]
    yield Goods(name, folder / FILE, dict(zip(TEXTS, vectors, strict=True)), told)
    shutil.rmtree(folder)


@pytest.fixture
def alone(es: Elasticsearch, goods: Goods) -> Iterator[Goods]:
    """The node is told of no sidecar."""
    set_node(es, url="", models=[FILE])
    _ranked_by(es, goods, "drawn")
    yield goods
    set_node(es, url=None, models=None)


def _told(es: Elasticsearch, goods: Goods) -> Said:
    text = TEXTS[0]
    retriever = fusion(text, goods.vectors[text])
    return search(es, index=goods.index, retriever=retriever, explain=True, size=1)


def _ranked_by(es: Elasticsearch, goods: Goods, version: str) -> None:
    words = f"scored by model {version} in the node"
    until(lambda: words in str(_told(es, goods).answer), f"the node ranks by {version}", 60)


def test_the_file_tells_what_it_is(goods: Goods) -> None:
    assert goods.told["version"] == "drawn"
    assert goods.told["items"] == len([*products()])
    assert goods.told["bytes"] == goods.file.stat().st_size


def test_for_nobody_the_node_has_the_gateways_order(
    es: Elasticsearch, gateway: Exchange, alone: Goods
) -> None:
    legs = 0
    for text in TEXTS:
        body = {"query": keyword(text), "size": 50, "_source": False}
        body["ext"] = {"hitweave": {"record": False}}
        expected = gateway.search(alone.index, body).json()
        assert expected["hitweave"]["model"] == "drawn", expected["hitweave"]
        retriever = fusion(text, alone.vectors[text])
        said = search(es, index=alone.index, retriever=retriever, size=50, source=False)
        assert said.warnings == []
        assert said.ids == [hit["_id"] for hit in expected["hits"]["hits"]], text
        children = retriever["attention_fusion"]["retrievers"]
        legs += said.ids != reciprocal_rank_order(es, alone.index, children)[:50]
    assert legs > len(TEXTS) / 2


def test_without_a_vector_child_the_node_ranks_by_words_alone(
    es: Elasticsearch, alone: Goods
) -> None:
    retriever = {"attention_fusion": {"retrievers": [{"standard": {"query": keyword("lamp")}}]}}
    said = search(es, index=alone.index, retriever=retriever, size=50)
    assert said.warnings == []
    assert len(set(said.ids)) == 50


def test_a_vector_that_comes_as_text_counts_as_its_numbers(es: Elasticsearch, alone: Goods) -> None:
    for text, vector in alone.vectors.items():
        found = []
        for form in (vector, corpus.as_base64(vector)):
            retriever = fusion(text, vector)
            retriever["attention_fusion"]["retrievers"][1]["knn"]["query_vector"] = form
            said = search(es, index=alone.index, retriever=retriever, size=50)
            assert said.warnings == []
            found.append([(hit["_id"], hit["_score"]) for hit in said.answer["hits"]["hits"]])
        assert found[0] == found[1], text


def test_an_index_without_a_model_is_ordered_by_reciprocal_ranks(
    es: Elasticsearch, alone: Goods, index_name: str
) -> None:
    lines = [part for n in (1, 2, 3) for part in ({"index": {"_id": f"d{n}"}}, {"t": "a " * n})]
    es.bulk(index=index_name, operations=lines, refresh=True)
    child = {"standard": {"query": {"match": {"t": "a"}}}}
    said = search(es, index=index_name, retriever={"attention_fusion": {"retrievers": [child]}})
    assert said.ids == search(es, index=index_name, retriever=child).ids
    assert "no_sidecar_and_no_model" in said.warnings[0]
    es.indices.delete(index=index_name)


@pytest.mark.usefixtures("nobody")
def test_where_the_sidecar_fails_the_setting_says_who_ranks(
    es: Elasticsearch, goods: Goods
) -> None:
    text = TEXTS[1]
    asked = {"index": goods.index, "retriever": fusion(text, goods.vectors[text]), "size": 50}
    set_node(es, models=[FILE])
    try:
        by_ranks = search(es, **asked)
        legs = [{"standard": {"query": keyword(text)}}, knn(goods.vectors[text])]
        assert by_ranks.ids == reciprocal_rank_order(es, goods.index, legs)[:50]
        assert by_ranks.warnings == ["attention_fusion is degraded: sidecar_down"]
        set_node(es, fallback="model")
        _ranked_by(es, goods, "drawn")
        by_model = search(es, **asked)
        (said,) = by_model.warnings
        assert said.endswith("degraded: sidecar_down, ranked by model drawn in the node")
        set_node(es, url="", fallback=None)
        assert search(es, **asked).ids == by_model.ids != by_ranks.ids
    finally:
        set_node(es, models=None, fallback=None)


def test_a_changed_file_serves_and_a_broken_one_does_not(
    es: Elasticsearch, stack: Stack, alone: Goods
) -> None:
    whole, place = alone.file.read_bytes(), ground.find(Home(stack.home))
    log = stack.home / "logs" / "elasticsearch.log"
    refused = log.read_text().count("is refused, model [drawn] serves")
    alone.file.write_bytes(whole[:-1])
    until(
        lambda: log.read_text().count("is refused, model [drawn] serves") > refused,
        "the node refuses half a file",
        60,
    )
    _ranked_by(es, alone, "drawn")
    with Elasticsearch(stack.es_url) as client:
        found = generation.resolve(client, alone.index)
    promote_untrained(settings.load().models_dir, found, "redrawn", seed=6)
    commands.run(export_plugin, alone.index, str(alone.file))
    place.give(alone.file)
    _ranked_by(es, alone, "redrawn")
    alone.file.write_bytes(whole)
    _ranked_by(es, alone, "drawn")
    assert _told(es, alone).warnings == []


def test_a_file_outside_the_folder_cannot_be_named(es: Elasticsearch) -> None:
    for name in ("../elasticsearch.yml", "/etc/passwd", ".hidden"):
        with pytest.raises(BadRequestError, match="config/hitweave"):
            set_node(es, models=[name])
