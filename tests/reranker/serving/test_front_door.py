"""Events come in while Elasticsearch hangs, where it was once known which indices there are."""

import threading
import time
from typing import Any, cast

import pytest
from elasticsearch import ApiError

from indexer.behaviour.applications import Applications
from indexer.errors import ElasticsearchUnavailable
from reranker.serving import front_door
from reranker.serving.front_door import FrontDoor
from tests.compose.waiting import until

SOON = 10.0  # the reading below never ends by itself
EVENT = {
    "application": "shop",
    "action_name": "view",
    "user_id": "u",
    "event_attributes": {"object": {"object_id": "a"}},
}


def taken(door: FrontDoor, event: dict[str, Any] = EVENT) -> int:
    began = time.monotonic()
    try:
        return door.read([(1, event)]).accepted
    except ElasticsearchUnavailable:
        return -1
    finally:
        assert time.monotonic() - began < SOON


def test_events_do_not_wait_for_a_node_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, there = threading.Event(), [Applications({"shop": frozenset({"shop"})})]

    def read(_es: object) -> Applications:
        goes_on.wait()
        return there[0]

    monkeypatch.setattr(front_door.applications, "read", read)
    servers = cast(Any, None)  # neither is asked here
    door = FrontDoor(servers, servers, pseudonym_key="k", chunk_events=10, ttl_seconds=0.0)
    assert taken(door) == -1
    goes_on.set()
    until(lambda: taken(door) == 1, "the indices are known")
    goes_on.clear()
    new = {**EVENT, "application": "new"}
    for _ in range(30):
        assert taken(door) == 1
        assert taken(door, new) == 0
    there[0] = Applications({"shop": frozenset({"shop"}), "new": frozenset({"new"})})
    goes_on.set()
    until(lambda: taken(door, new) == 1, "the new index is known")


def test_who_looked_before_takes_events_of_a_node_that_hangs_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goes_on = threading.Event()

    def read(_es: object) -> Applications:
        if not goes_on.is_set():
            raise ApiError("away", cast(Any, None), None)
        return Applications({"shop": frozenset({"shop"})})

    monkeypatch.setattr(front_door.applications, "read", read)
    servers = cast(Any, None)  # neither is asked here
    door = FrontDoor(servers, servers, pseudonym_key="k", chunk_events=10, ttl_seconds=0.0)
    door.look()
    assert taken(door) == -1
    goes_on.set()
    door.look()
    goes_on.clear()
    assert taken(door) == 1
