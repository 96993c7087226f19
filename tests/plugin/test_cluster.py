"""With a promoted model the plugin has the gateway's order, and three shards on two nodes have that
of one shard where both legs say the same: exact vectors, and keyword scores that hang on no shard's
own statistics, be it by their kind or because dfs_query_then_fetch counts over all shards.
"""

import itertools
import json
import operator
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from elasticsearch import Elasticsearch

from indexer import settings
from indexer.catalogue import generation
from tests.conftest import Stack
from tests.flows import behaviour, commands
from tests.flows.test_models import serving, wait
from tests.gateway.exchange import Exchange
from tests.gateway.shop import COLOURS, KINDS, MATERIALS
from tests.plugin.asking import WINDOW, Said, fusion, keyword, knn, search
from tests.plugin.cluster import NAMES, pair
from tests.reranker.artifacts import promote_untrained

pytestmark = pytest.mark.usefixtures("patient")
SHOPPER = "cluster-shopper"
LAMPS = [*itertools.product(range(1, 10), range(10))]  # no two score alike by their words
TEXTS = [
    *(f"{colour} lamp" for colour in COLOURS),
    *(f"{material} {kind} lamp" for material, kind in itertools.product(MATERIALS, KINDS)),
    *("lamp", "lamp and light", "blue glass lamp"),
]


def lamps() -> Iterator[dict[str, Any]]:
    """Goods that differ in how often and among how many words they say what they are."""
    for number, (often, more) in enumerate(LAMPS):
        look = f"{COLOURS[number % 5]} {MATERIALS[number % 3]} {KINDS[number % 4]}"
        others = " ".join(f"w{number}x{at}" for at in range(more))
        title = f"{look} {'lamp ' * often}{others}"
        yield {"id": f"lamp-{number}", "title": title, "price": 5 + number}


@pytest.fixture(scope="module")
def goods(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An index of lamps with a model that changes their order, and a shopper of them."""
    name, folder = f"t{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("cluster")
    commands.created(name, "--config", commands.config(folder, "encoder: hashed:64\n"))
    commands.sent(name, commands.feed(folder, *lamps()))
    clicks = [behaviour.clicked(name, f"lamp-{n}", user_id=SHOPPER) for n in (3, 7, 12, 60)]
    stack.run("events", str(behaviour.ndjson(folder / "events.ndjson", *clicks)))
    with Elasticsearch(stack.es_url) as es, redis.Redis.from_url(stack.valkey_url) as valkey:
        found = generation.resolve(es, name)
        before = first_of_each(stack, name)
        promote_untrained(settings.load().models_dir, found, "drawn", seed=5)
        wait(lambda: serving(valkey, name) == {"drawn"})
        assert sum(map(operator.ne, before, first_of_each(stack, name))) > len(TEXTS) / 2
        es.indices.forcemerge(index=name, max_num_segments=1)  # nothing deleted is counted
        es.indices.refresh(index=name)
    return name


def first_of_each(stack: Stack, index: str) -> list[list[str]]:
    """The best hits of every text."""
    found = []
    with Exchange(stack.sidecar_url) as gateway:
        for text in TEXTS:
            body = {"query": keyword(text), "ext": {"hitweave": {"record": False}}}
            answer = gateway.search(index, body | {"_source": False}).json()
            found.append([hit["_id"] for hit in answer["hits"]["hits"]])
    return found


@pytest.fixture(scope="module")
def vectors(gateway: Exchange, goods: str) -> dict[str, list[float]]:
    asked = {"index": goods, "texts": TEXTS, "as": "query"}
    found = gateway.ask("POST", "/embed", json.dumps(asked).encode()).json()["vectors"]
    return dict(zip(TEXTS, found, strict=True))


def asked_by_both() -> Iterator[tuple[str, dict[str, str]]]:
    """Every text, by nobody and by somebody."""
    return itertools.product(TEXTS, ({}, {"user_id": SHOPPER}))


def by_price(text: str) -> dict[str, Any]:
    """What finds the words and scores by price."""
    factor = {"field": "price", "modifier": "reciprocal"}
    words = {"query": keyword(text), "field_value_factor": factor, "boost_mode": "replace"}
    return {"function_score": words}


def exact(
    text: str, words: dict[str, Any], vector: list[float], who: dict[str, str]
) -> dict[str, Any]:
    """The retriever over a query of the words, and over every vector, unrounded."""
    vectors = knn(vector)["knn"]
    del vectors["similarity"]
    vectors |= {"num_candidates": 10 * WINDOW, "rescore_vector": {"oversample": 2.0}}
    children = [{"standard": {"query": words}}, {"knn": vectors}]
    asked = {"retrievers": children, "rank_window_size": WINDOW, "query": text, **who}
    return {"attention_fusion": asked}


def test_with_a_promoted_model_the_plugin_has_the_gateways_order(
    es: Elasticsearch, gateway: Exchange, goods: str, vectors: dict[str, list[float]]
) -> None:
    personal = set()
    for text, who in asked_by_both():
        ext = {"hitweave": {"record": False}, "ubi": who}
        body = {"query": keyword(text), "size": 50, "_source": False, "ext": ext}
        expected = gateway.search(goods, body).json()
        assert expected["hitweave"]["model"] == "drawn", expected["hitweave"]
        said = search(
            es, index=goods, retriever=fusion(text, vectors[text], **who), size=50, source=False
        )
        assert said.warnings == []
        assert said.ids == [hit["_id"] for hit in expected["hits"]["hits"]], (text, who)
        personal.add((text, expected["hits"]["max_score"]))
    assert len(personal) > len(TEXTS)  # the shopper is scored for otherwise than nobody


@dataclass(frozen=True)
class Apart:
    """The goods in three shards on two nodes of their own."""

    es: Elasticsearch
    index: str


@pytest.fixture(scope="module")
def apart(stack: Stack, goods: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    with (
        Elasticsearch(stack.es_url, request_timeout=30) as es,
        pair(tmp_path_factory.mktemp("pair"), stack.sidecar_url) as both,
    ):
        both.cluster.put_settings(persistent={"attention_fusion.timeout": "20s"})
        name = _copied(es, both, goods)
        assert {it["node"] for it in both.cat.shards(index=name, format="json")} == set(NAMES)
        yield Apart(both, name)


def test_three_shards_on_two_nodes_have_the_order_of_one(
    es: Elasticsearch, apart: Apart, goods: str, vectors: dict[str, list[float]]
) -> None:
    for text, who in asked_by_both():
        asked = {"retriever": exact(text, by_price(text), vectors[text], who)}
        _equal(es, apart, goods, asked)


def test_dfs_counts_words_over_all_shards(
    es: Elasticsearch, apart: Apart, goods: str, vectors: dict[str, list[float]]
) -> None:
    differ = 0
    for text, who in asked_by_both():
        asked = {"retriever": exact(text, keyword(text), vectors[text], who)}
        by_shard = search(apart.es, index=apart.index, **asked, size=len(LAMPS))
        found = _equal(es, apart, goods, asked, search_type="dfs_query_then_fetch")
        differ += scores(by_shard) != pytest.approx(scores(found), abs=1e-3)
    assert differ > len(TEXTS)  # each shard by itself counts otherwise


def test_dfs_reaches_nested_retrievers_and_leaves_the_body_as_it_was(
    es: Elasticsearch, apart: Apart, goods: str, vectors: dict[str, list[float]]
) -> None:
    text = "blue glass lamp"
    inner = exact(text, keyword(text), vectors[text], {})
    retriever = {"attention_fusion": {"retrievers": [inner], "query": text}}
    ext = {"ubi": {"user_id": SHOPPER}, "hitweave": {"context": {"device": "phone"}}}
    asked = {"retriever": retriever, "ext": ext}
    _equal(es, apart, goods, asked, search_type="dfs_query_then_fetch")


def test_dfs_reaches_what_stands_around_the_retriever(
    es: Elasticsearch, apart: Apart, goods: str, vectors: dict[str, list[float]]
) -> None:
    differ = 0
    for text in TEXTS:
        inner = exact(text, keyword(text), vectors[text], {})
        words = {"query": {"rescore_query": keyword("lamp"), "query_weight": 0.1}}
        rescored = {"retriever": inner, "rescore": {"window_size": WINDOW, **words}}
        asked = {"retriever": {"rescorer": rescored}}
        by_shard = search(apart.es, index=apart.index, **asked, size=len(LAMPS))
        found = _equal(es, apart, goods, asked, search_type="dfs_query_then_fetch")
        differ += scores(by_shard) != pytest.approx(scores(found), abs=1e-3)
        beside = [{"rescorer": rescored}, {"standard": {"query": keyword("lamp")}}]
        around = {"retrievers": beside, "rank_window_size": WINDOW, "query": text}
        asked = {"retriever": {"attention_fusion": around}}
        _equal(es, apart, goods, asked, search_type="dfs_query_then_fetch")
    assert differ > len(TEXTS) / 2


def test_dfs_ends_with_the_search_that_asked_for_it(
    apart: Apart, vectors: dict[str, list[float]]
) -> None:
    text = TEXTS[0]
    alone = {"retriever": exact(text, keyword(text), vectors[text], {}), "size": len(LAMPS)}
    wanted = scores(search(apart.es, index=apart.index, **alone))
    over_all = {"index": apart.index, "search_type": "dfs_query_then_fetch"}
    lines = [part for _ in range(8) for part in (over_all, alone, {"index": apart.index}, alone)]
    answers = apart.es.msearch(searches=lines, max_concurrent_searches=1)["responses"]
    found = [[hit["_score"] for hit in answer["hits"]["hits"]] for answer in answers]
    for counted, by_shard in zip(found[::2], found[1::2], strict=True):
        assert by_shard == pytest.approx(wanted, abs=1e-5)
        assert counted != pytest.approx(wanted, abs=1e-3)


def _equal(es: Elasticsearch, apart: Apart, goods: str, asked: dict[str, Any], **more: str) -> Said:
    """One shard and three give the same scores, and so the same order but for ties."""
    asked = {**asked, **more, "size": len(LAMPS), "source": False}
    alone, found = search(es, index=goods, **asked), search(apart.es, index=apart.index, **asked)
    assert alone.warnings == found.warnings == []
    assert len(alone.ids) == len(LAMPS)
    assert scores(found) == sorted(scores(found), reverse=True)
    of = [dict(zip(said.ids, scores(said), strict=True)) for said in (alone, found)]
    assert of[1] == pytest.approx(of[0], abs=1e-5), asked
    return found


def scores(said: Said) -> list[float]:
    return [hit["_score"] for hit in said.answer["hits"]["hits"]]


def _copied(es: Elasticsearch, other: Elasticsearch, index: str) -> str:
    """The same documents in three shards of another cluster, under the name that the sidecar
    knows them by.
    """
    ((name, made),) = es.indices.get(index=index).body.items()
    analysis = made["settings"]["index"].get("analysis", {})
    shards = {"number_of_shards": 3, "number_of_replicas": 0, "analysis": analysis}
    other.indices.create(index=name, mappings=made["mappings"], settings=shards)
    hits = es.search(index=index, size=1000, source_exclude_vectors=False)["hits"]["hits"]
    lines = [part for hit in hits for part in ({"index": {"_id": hit["_id"]}}, hit["_source"])]
    assert not other.bulk(index=name, operations=lines, refresh=True)["errors"]
    return str(name)
