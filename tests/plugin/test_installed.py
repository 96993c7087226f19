"""Installed by elasticsearch-plugin on Elastic's archive, with security and entitlements on."""

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch import AuthenticationException, Elasticsearch

from compose.local import distribution, ground, java_runtime
from compose.local.home import Home
from tests.compose.waiting import until
from tests.conftest import free_port
from tests.plugin import node_models, official
from tests.plugin.asking import search, set_node
from tests.plugin.conftest import Impostor
from tests.plugin.official import PASSWORD, USER, Official


@pytest.fixture
def place(tmp_path: Path) -> Iterator[ground.Ground]:
    """A node's folder that the node's user can reach."""
    home = Home(tmp_path / "home")
    home.make()
    found = ground.prepare(home)
    found.own(found.node)
    yield found
    shutil.rmtree(found.node)


@pytest.fixture
def stock(place: ground.Ground) -> Official:
    """The archive as it comes."""
    java = java_runtime.choose(place)
    if not java.complete:
        pytest.skip("no JDK 21 or later with jdk.jdi is here: bin/elasticsearch needs one")
    return official.copy(place, java, distribution.unpacked(place.distributions, java))


def _backwards(sent: bytes) -> tuple[int, bytes]:
    ids = [one["id"] for one in json.loads(sent)["candidates"]][::-1]
    items = [{"id": name, "score": -row} for row, name in enumerate(ids)]
    return 200, json.dumps({"model": "m", "degraded": None, "items": items}).encode()


def test_the_real_plugin_command_installs_what_then_ranks(
    stock: Official, place: ground.Ground, tmp_path: Path
) -> None:
    port = free_port()
    with Impostor() as sidecar:
        sidecar.answering = _backwards
        threading.Thread(target=sidecar.serve_forever, daemon=True).start()
        official.configure(stock, port, free_port(), sidecar.url)
        made = distribution.unpacked(place.distributions, stock.java)
        packed = official.plugin_zip(made, place.node)
        said = stock.run("elasticsearch-plugin", "install", "--batch", packed.as_uri())
        assert "outbound_network" in said
        assert "attention-fusion" in stock.run("elasticsearch-plugin", "list")
        folder = place.own(stock.home / "config" / "hitweave")
        (folder / "shop.model").write_bytes(node_models.shop(tmp_path / "models").file())
        place.give(folder / "shop.model")
        stock.run("elasticsearch-users", "useradd", USER, "-p", PASSWORD, "-r", "superuser")
        with stock.running(tmp_path / "node.log"):
            _check(f"http://127.0.0.1:{port}")
        sidecar.shutdown()


def _check(url: str) -> None:
    retriever = {
        "attention_fusion": {"retrievers": [{"standard": {"query": {"match": {"t": "a"}}}}]}
    }
    with Elasticsearch(url) as nobody, pytest.raises(AuthenticationException):
        nobody.search(index="shop", retriever=retriever)
    with Elasticsearch(url, basic_auth=(USER, PASSWORD), request_timeout=60) as es:
        lines = [part for n in (1, 2, 3) for part in ({"index": {"_id": str(n)}}, {"t": "a " * n})]
        es.bulk(index="shop", operations=lines, refresh=True)
        plain = search(es, index="shop", query={"match": {"t": "a"}})
        ranked = search(es, index="shop", retriever=retriever)
        assert ranked.warnings == []
        assert ranked.ids == plain.ids[::-1]
        over_all = search(es, index="shop", retriever=retriever, search_type="dfs_query_then_fetch")
        assert (over_all.warnings, over_all.ids) == ([], ranked.ids)
        set_node(es, url="", models=["shop.model"])

        def by_model() -> bool:
            # Not only without a warning: the sidecar is asked until the node knows that it is gone.
            alone = search(es, index="shop", retriever=retriever, explain=True)
            hits = alone.answer["hits"]["hits"]
            return not alone.warnings and "scored by model v1 in the node" in str(hits[0])

        until(by_model, "the node ranks by its model")
