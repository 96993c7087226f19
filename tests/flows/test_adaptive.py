"""One shopper's click changes the order for another within the real stack, once and only once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from elasticsearch import Elasticsearch

from compose.local.commands.catalogue import command as catalogue
from compose.local.commands.create import command as create
from indexer.behaviour import adaptive, store
from reranker.serving import adaptation
from tests.conftest import Stack
from tests.flows import behaviour
from tests.flows.test_events_http import post
from tests.flows.worker_process import wait_until

LAMPS = 12


@pytest.fixture
def shop(stack: Stack, index_name: str, tmp_path: Path) -> str:
    """Lamps that words and vectors cannot tell apart: only their prices differ."""
    config, file = tmp_path / "index.yaml", tmp_path / "lamps.jsonl"
    config.write_text("encoder: hashed:32\n")
    lamps = [
        {"id": f"lamp-{number}", "title": "desk lamp", "price": 10.0 * (1 + number)}
        for number in range(LAMPS)
    ]
    file.write_text("".join(json.dumps(lamp) + "\n" for lamp in lamps))
    behaviour.run(create, index_name, "--config", str(config))
    behaviour.run(catalogue, index_name, str(file))
    return index_name


@pytest.fixture
def gateway(stack: Stack) -> Iterator[Elasticsearch]:
    """The ordinary client, pointed at the sidecar."""
    with Elasticsearch(stack.sidecar_url, request_timeout=30) as client:
        yield client


def searched(gateway: Elasticsearch, shop: str, user: str, **options: Any) -> Any:
    ext = {"ubi": {"user_id": user}, "hitweave": {"mode": "fused", **options}}
    query = {"match": {"title": "desk lamp"}}
    return gateway.search(index=shop, query=query, size=LAMPS, ext=ext)


def ids(answer: Any) -> list[str]:
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def layer(valkey: redis.Redis, shop: str) -> bytes | None:
    (blob,) = store.read(valkey, shop, [adaptation.key(None)])
    return blob


def test_a_click_changes_the_order_for_others_and_again_changes_nothing(
    stack: Stack, valkey: redis.Redis, gateway: Elasticsearch, shop: str
) -> None:
    answer = searched(gateway, shop, "a")
    dearest, cheapest = f"lamp-{LAMPS - 1}", "lamp-0"
    assert layer(valkey, shop) is None
    click = {
        **behaviour.clicked(shop, dearest, event_id="once", user_id="a"),
        "query_id": answer["ext"]["ubi"]["query_id"],
    }
    assert post(stack, "/events", click)[0] == 202
    wait_until(lambda: layer(valkey, shop), 30)
    taught = layer(valkey, shop)
    assert adaptive.decode(taught, adaptation.WIDTH).lessons == 1
    before, after = ids(answer), ids(searched(gateway, shop, "b", record=False))
    assert set(before) == set(after)
    assert before[0] != dearest
    assert (after[0], after[-1]) == (dearest, cheapest)
    explained = searched(gateway, shop, "b", record=False, explain=True)["hits"]["hits"][0]
    parts = explained["_explanation"]["details"]
    assert any(part["description"].startswith("adaptive layer") for part in parts)
    assert sum(part["value"] for part in parts) == pytest.approx(explained["_score"], rel=1e-6)
    assert post(stack, "/events", [click, behaviour.clicked(shop, "x", event_id="later")])[0] == 202
    wait_until(lambda: valkey.exists(store.key(shop, "pop:x")), 30)
    assert layer(valkey, shop) == taught


def test_what_a_robot_clicks_teaches_nothing(
    stack: Stack, valkey: redis.Redis, gateway: Elasticsearch, shop: str
) -> None:
    answer = searched(gateway, shop, "a")
    query_id = answer["ext"]["ubi"]["query_id"]
    sent_by = {"X_Forwarded_For": "203.0.113.9", "User_Agent": "Googlebot/2.1"}
    click = {**behaviour.clicked(shop, ids(answer)[1], user_id="r"), "query_id": query_id}
    assert post(stack, "/events", click, **sent_by)[0] == 202
    counted = store.key(shop, f"pop:{ids(answer)[1]}")
    wait_until(lambda: valkey.exists(counted), 30)
    assert layer(valkey, shop) is None
