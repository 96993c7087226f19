"""A shopper who is new to one index of a shop and known in another, end to end."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import Stack
from tests.flows.behaviour import clicked, ndjson
from tests.flows.worker_process import wait_until

FILMS = {"f1": "space battle", "f2": "quiet romance", "f3": "war in space"}
BOOKS = {"b1": "space battle novel", "b2": "quiet romance novel", "b3": "cooking for beginners"}


def index_of(stack: Stack, folder: Path, goods: dict[str, str], **config: Any) -> str:
    name = f"t{uuid.uuid4().hex[:12]}"
    made = folder / f"{name}.yaml"
    made.write_text(json.dumps({"encoder": "hashed:64", **config}))
    stack.run("create", name, "--config", str(made))
    lines = [{"id": item, "title": title} for item, title in goods.items()]
    stack.run("catalogue", name, str(ndjson(folder / f"{name}.jsonl", *lines)))
    return name


@pytest.fixture(scope="module")
def shop(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """Films, books that borrow from them, and the same books that do not."""
    folder = tmp_path_factory.mktemp("shop")
    films = index_of(stack, folder, FILMS)
    alone = index_of(stack, folder, BOOKS)
    return films, index_of(stack, folder, BOOKS, history_from=[films, "not-there"]), alone


def offered(stack: Stack, index: str, user: str) -> list[dict[str, Any]]:
    sent = {"index": index, "user_id": user, "strategy": "content", "size": 2}
    answer = requests.post(f"{stack.sidecar_url}/recommend", json=sent, timeout=30)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_what_they_liked_there_is_where_recommendations_start_here(
    stack: Stack, shop: tuple[str, str, str]
) -> None:
    films, books, alone = shop
    sent = clicked(films, "f1", user_id="viewer")
    requests.post(f"{stack.sidecar_url}/events", json=sent, timeout=30).raise_for_status()
    wait_until(lambda: bool(offered(stack, books, "viewer")), 30)
    assert offered(stack, books, "viewer")[0]["id"] == "b1"
    assert offered(stack, alone, "viewer") == []
    assert offered(stack, books, "nobody-knows") == []


def test_a_search_with_what_is_lent_is_whole(stack: Stack, shop: tuple[str, str, str]) -> None:
    films, books, _ = shop
    for index, item in ((films, "f3"), (books, "b3")):
        sent = clicked(index, item, user_id="reader")
        requests.post(f"{stack.sidecar_url}/events", json=sent, timeout=30).raise_for_status()
    body = {
        "query": {"match": {"title": "novel"}},
        "ext": {"ubi": {"user_id": "reader"}, "hitweave": {"record": False}},
    }
    answer = requests.post(f"{stack.sidecar_url}/{books}/_search", json=body, timeout=30).json()
    assert answer["hitweave"]["degraded"] is None, answer["hitweave"]
    assert {hit["_id"] for hit in answer["hits"]["hits"]} >= {"b1", "b2"}


def test_an_index_cannot_borrow_from_what_is_no_name(stack: Stack, tmp_path: Path) -> None:
    made = tmp_path / "index.yaml"
    made.write_text(json.dumps({"history_from": ["NOT A NAME"]}))
    said = stack.run("create", "borrows", "--config", str(made), check=False)
    assert said.returncode != 0
    assert "cannot be the name of an index" in said.stderr
