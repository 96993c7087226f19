"""Behaviour over HTTP, from the sidecar through the workers into journal and state."""

import gzip
import http.client
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from elasticsearch import AuthorizationException, BadRequestError, Elasticsearch, helpers
from flask import Flask

from compose.local.action_checks import check_actions
from compose.local.commands.catalogue import command as catalogue
from compose.local.commands.create import command as create
from compose.local.item_checks import check_items
from indexer import settings
from indexer.behaviour import shopper_profile, state, store
from indexer.behaviour.event import pseudonym, query_key
from indexer.behaviour.journal_index import EVENTS
from reranker.routes import events, problems
from reranker.serving import front_door
from tests.conftest import Stack, free_port
from tests.flows import behaviour
from tests.flows.behaviour import clicked, journalled
from tests.flows.worker_process import wait_until


@pytest.fixture
def shop(stack: Stack, index_name: str, tmp_path: Path) -> str:
    """An index of the small encoder."""
    config = tmp_path / "index.yaml"
    config.write_text("encoder: hashed:64\n")
    behaviour.run(create, index_name, "--config", str(config))
    return index_name


@pytest.fixture
def gateway(stack: Stack) -> Iterator[Elasticsearch]:
    """An existing collector's client, pointed at the sidecar."""
    with Elasticsearch(stack.sidecar_url, request_timeout=30) as client:
        yield client


def post(stack: Stack, path: str, body: bytes | Any, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and answer; a body that is not bytes is sent as JSON."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection(urlsplit(stack.sidecar_url).netloc, timeout=60)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, sent, {"Content-Type": "application/json", **named})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def history(stack: Stack, valkey: redis.Redis, shop: str, user: str) -> Sequence[str]:
    """The items that the shop remembers of a user, as the sidecar reads them."""
    key = (stack.home / "pseudonym.key").read_text().strip()
    (blob,) = store.read(valkey, shop, [state.shopper_key(pseudonym(key, user))])
    profile = shopper_profile.decode(blob)
    return profile.ids(len(profile))


def test_an_action_of_the_shops_own_counts_as_its_index_says(
    stack: Stack, es: Elasticsearch, valkey: redis.Redis, index_name: str, tmp_path: Path
) -> None:
    config = tmp_path / "index.yaml"
    config.write_text("encoder: hashed:64\nactions: {read: view, Give-Away: dismiss}\n")
    behaviour.run(create, index_name, "--config", str(config))
    for action in ("read", "played"):
        event = clicked(index_name, f"{action}-it", action_name=action, event_id=action)
        assert post(stack, "/events", event) == (202, {"accepted": 1, "rejected": []})
    wait_until(lambda: journalled(es, index_name)[EVENTS] == 2, 30)
    wait_until(lambda: history(stack, valkey, index_name, "shopper-live"), 30)
    assert [*history(stack, valkey, index_name, "shopper-live")] == ["read-it"]
    found = {
        name: es.get(index=EVENTS, id=f"{index_name}/{name}")["_source"]
        for name in ("read", "played")
    }
    assert found["read"]["action_name"] == "view"
    assert found["read"]["hitweave"]["action_name"] == "read"
    assert found["played"]["action_name"] == "played"
    told = [it.found for it in check_actions(es) if it.found.startswith(f"{index_name}:")]
    assert told == [f"{index_name}: of 7 days nothing is learned from played (1)"]


def test_a_product_named_by_another_field_is_known_by_its_id(
    stack: Stack, es: Elasticsearch, valkey: redis.Redis, index_name: str, tmp_path: Path
) -> None:
    config = tmp_path / "index.yaml"
    config.write_text("encoder: hashed:64\nmappings: {ean: {type: keyword}, stock: {type: long}}\n")
    behaviour.run(create, index_name, "--config", str(config))
    goods = [
        {"id": "mug", "title": "Mug", "ean": ["4001", "4002"], "stock": 7},
        {"id": "cup", "title": "Cup", "ean": "4003", "stock": 7},
        {"id": "jug", "title": "Jug", "ean": "4003"},
    ]
    feed = tmp_path / "goods.jsonl"
    feed.write_text("".join(json.dumps(it) + "\n" for it in goods))
    behaviour.run(catalogue, index_name, str(feed))
    sent = {
        "by-ean": ("4002", "ean"),
        "of-two": ("4003", "ean"),
        "of-none": ("4009", "ean"),
        "no-number": ("many", "stock"),
        "no-field": ("4001", "gtin"),
        "by-id": ("cup", "id"),
    }
    for name, (value, field) in sent.items():
        event = clicked(index_name, value, event_id=name)
        event["event_attributes"]["object"]["object_id_field"] = field
        assert post(stack, "/events", event) == (202, {"accepted": 1, "rejected": []})
    wait_until(lambda: journalled(es, index_name)[EVENTS] == len(sent), 30)
    named = {}
    for name in sent:
        stored = es.get(index=EVENTS, id=f"{index_name}/{name}")["_source"]
        came_as = stored["hitweave"].get("object_id")
        named[name] = (stored["event_attributes"]["object"]["object_id"], came_as)
    assert named == {
        "by-ean": ("mug", "4002"),
        "of-two": ("4003", None),
        "of-none": ("4009", None),
        "no-number": ("many", None),
        "no-field": ("4001", None),
        "by-id": ("cup", None),
    }
    wait_until(lambda: "mug" in history(stack, valkey, index_name, "shopper-live"), 30)
    (told,) = [it for it in check_items(es) if it.found.startswith(f"{index_name}:")]
    assert told.level == "warning"
    assert "of 7 days 67% of events name products that it does not have, as " in told.found
    assert "(object_id_field: ean, gtin, id)" in told.found


def test_a_click_is_in_the_profile_within_a_second_and_twice_is_once(
    stack: Stack, es: Elasticsearch, valkey: redis.Redis, shop: str
) -> None:
    assert post(stack, "/events", clicked(shop, "warm-up"))[0] == 202
    wait_until(lambda: history(stack, valkey, shop, "shopper-live"), 30)
    click = clicked(shop, "mug", event_id="c1")
    assert post(stack, "/events", click) == (202, {"accepted": 1, "rejected": []})
    wait_until(lambda: "mug" in history(stack, valkey, shop, "shopper-live"), 30)
    before = behaviour.state(valkey, shop)
    assert post(stack, "/events", click) == (202, {"accepted": 1, "rejected": []})
    assert post(stack, "/events", clicked(shop, "cup", event_id="c2"))[0] == 202
    wait_until(lambda: "cup" in history(stack, valkey, shop, "shopper-live"), 30)
    seen = [it for it in history(stack, valkey, shop, "shopper-live") if it == "mug"]
    assert len(seen) == 1
    popularity = store.key(shop, state.popularity_key("mug")).encode()
    assert behaviour.state(valkey, shop)[popularity] == before[popularity]
    assert journalled(es, shop) == {"ubi_events": 3, "ubi_queries": 0}


def test_a_query_and_its_click_in_one_request_count_for_that_search(
    stack: Stack, es: Elasticsearch, valkey: redis.Redis, shop: str
) -> None:
    query = {
        "application": shop,
        "query_id": "q-1",
        "user_query": "  Red MUG ",
        "query_response_objects_ids": ["mug", "cup"],
    }
    assert post(stack, "/events", [clicked(shop, "mug", query_id="q-1"), query])[0] == 202
    stats = store.key(shop, state.query_stats_key(query_key("red mug")))
    wait_until(lambda: valkey.exists(stats), 30)
    wait_until(lambda: journalled(es, shop) == {"ubi_events": 1, "ubi_queries": 1}, 30)


def test_a_click_finds_the_text_of_a_search_recorded_before(
    stack: Stack, es: Elasticsearch, valkey: redis.Redis, shop: str
) -> None:
    query = {"application": shop, "query_id": "q-2", "user_query": "blue lamp"}
    assert post(stack, "/events", query)[0] == 202
    wait_until(lambda: journalled(es, shop)["ubi_queries"] == 1, 30)
    assert post(stack, "/events", clicked(shop, "lamp", query_id="q-2"))[0] == 202
    stats = store.key(shop, state.query_stats_key(query_key("blue lamp")))
    wait_until(lambda: valkey.exists(stats), 30)


def test_lines_are_judged_one_by_one_with_their_numbers(stack: Stack, shop: str) -> None:
    ahead = clicked(shop, "a", timestamp=time.time() * 1000 + 600_000)
    lines = [
        json.dumps(clicked(shop, "a")),
        "",
        "{not json",
        json.dumps(clicked("no-such-shop", "a")),
        json.dumps(ahead),
        json.dumps(clicked(shop, "b")),
    ]
    status, answer = post(stack, "/events", "\n".join(lines).encode())
    assert (status, answer["accepted"]) == (202, 2)
    reasons = {it["line"]: it["reason"] for it in answer["rejected"]}
    assert sorted(reasons) == [3, 4, 5]
    assert reasons[4].startswith("application: ")
    assert "5 minutes" in reasons[5]


def test_an_index_made_a_moment_ago_is_known(
    es: Elasticsearch, valkey: redis.Redis, index_name: str, tmp_path: Path
) -> None:
    door = front_door.FrontDoor(es, valkey, pseudonym_key="k", chunk_events=10, ttl_seconds=3600.0)
    line = [(1, clicked(index_name, "a"))]
    assert door.read(line).accepted == 0
    config = tmp_path / "index.yaml"
    config.write_text("encoder: hashed:64\n")
    behaviour.run(create, index_name, "--config", str(config))
    assert door.read(line).accepted == 1


def test_a_packed_body_is_read_and_one_that_hides_its_size_is_not(stack: Stack, shop: str) -> None:
    packed = gzip.compress(json.dumps([clicked(shop, "a"), clicked(shop, "b")]).encode())
    assert post(stack, "/events", packed, Content_Encoding="gzip") == (
        202,
        {"accepted": 2, "rejected": []},
    )
    bomb = gzip.compress(b" " * 200_000_000)
    assert post(stack, "/events", bomb, Content_Encoding="gzip")[0] == 413
    assert post(stack, "/events", packed[:-9], Content_Encoding="gzip")[0] == 400
    assert post(stack, "/events", packed, Content_Encoding="br")[0] == 400


@pytest.mark.parametrize("body", [b"", b" \n ", b"[{", b"[1, 2"])
def test_a_body_that_holds_no_lines_is_refused(stack: Stack, body: bytes) -> None:
    status, answer = post(stack, "/events", body)
    assert status == 400
    assert answer["error"]["reason"]


def test_a_collector_writes_as_it_would_into_elasticsearch(
    stack: Stack, es: Elasticsearch, valkey: redis.Redis, gateway: Elasticsearch, shop: str
) -> None:
    assert gateway.index(index="ubi_events", document=clicked(shop, "a"))["result"] == "created"
    named = gateway.index(index="ubi_events", id="c-7", document=clicked(shop, "b"))
    assert named["_id"] == "c-7"
    query = {"application": shop, "user_query": "mug", "query_id": "q-3"}
    assert gateway.index(index="ubi_queries", document=query)["result"] == "created"
    actions = [
        {"_op_type": verb, "_index": "ubi_events", **clicked(shop, f"{verb}{number}")}
        for verb in ("index", "create")
        for number in range(5)
    ]
    assert helpers.bulk(gateway, actions) == (10, [])
    wait_until(lambda: journalled(es, shop) == {"ubi_events": 12, "ubi_queries": 1}, 30)
    wait_until(lambda: len(history(stack, valkey, shop, "shopper-live")) == 12, 30)


def test_a_bulk_request_answers_for_each_document(gateway: Elasticsearch, shop: str) -> None:
    good, bad = clicked(shop, "a"), {"nothing": "known"}
    action = {"index": {"_index": "ubi_events"}}
    answer = gateway.bulk(operations=[action, good, action, bad])
    assert answer["errors"] is True
    assert [it["index"]["status"] for it in answer["items"]] == [201, 400]
    with pytest.raises(BadRequestError):
        gateway.index(index="ubi_events", document=bad)


def test_a_bulk_request_with_anything_else_is_refused_as_a_whole(
    es: Elasticsearch, gateway: Elasticsearch, shop: str
) -> None:
    into_events: dict[str, Any] = {"index": {"_index": "ubi_events"}}
    event = clicked(shop, "a")
    for operations in (
        [into_events, event, {"index": {"_index": shop}}, {"title": "x"}],
        [into_events, event, {"delete": {"_index": "ubi_events", "_id": "1"}}],
        [into_events, event, {"update": {"_index": "ubi_events", "_id": "1"}}, {"doc": {}}],
    ):
        with pytest.raises(
            AuthorizationException, match="this body mixes ubi_events or ubi_queries"
        ):
            gateway.bulk(operations=operations)
    with pytest.raises(AuthorizationException, match="alone here"):
        gateway.bulk(operations=operations[2:])
    assert journalled(es, shop)["ubi_events"] == 0


@pytest.fixture
def without_broker(shop: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The routes of behaviour where nothing listens at Valkey's address."""
    monkeypatch.setenv("HITWEAVE_VALKEY_URL", f"redis://127.0.0.1:{free_port()}/0")
    settings.load.cache_clear()
    front_door._open.cache_clear()
    app = Flask(__name__)
    app.register_blueprint(events.blueprint)
    problems.register(app)
    yield app
    monkeypatch.undo()
    settings.load.cache_clear()
    front_door._open.cache_clear()


@pytest.mark.parametrize("path", ["/events", "/ubi_events/_doc"])
def test_without_valkey_the_sender_is_told_and_nothing_is_promised(
    without_broker: Flask, shop: str, path: str
) -> None:
    answer = without_broker.test_client().post(path, json=clicked(shop, "a"))
    assert answer.status_code == 503
    assert "Valkey" in answer.get_json()["error"]["reason"]
