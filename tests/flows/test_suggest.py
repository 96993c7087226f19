"""Suggestions and spelling are learned from what shoppers do, within seconds."""

import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from elasticsearch import Elasticsearch

from tests.conftest import Stack
from tests.flows import commands
from tests.flows.editor import everywhere
from tests.flows.test_search import raw
from tests.flows.worker_process import wait_until

TITLES = ("Wireless earphones", "Desk lamp", "蓝牙耳机")


@pytest.fixture(scope="module")
def index(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small catalogue whose vectors find nothing that is not near."""
    name, folder = f"t{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("shop")
    commands.created(name, "--config", commands.config(folder, "encoder: hashed:64\n"))
    goods = [{"id": f"p{at}", "title": title} for at, title in enumerate(TITLES)]
    commands.sent(name, commands.feed(folder, *goods))
    return name


def shop_for(stack: Stack, index: str, text: str, users: list[str], action: str = "click") -> None:
    events = [
        {
            "application": index,
            "action_name": action,
            "user_id": user,
            "user_query": text,
            "event_attributes": {"object": {"object_id": "p0"}},
        }
        for user in users
    ]
    status, _, answer = raw(stack, "POST", "/events", events)
    assert status == 202, answer


def suggested(stack: Stack, index: str, text: str) -> Any:
    status, _, answer = raw(stack, "GET", f"/{index}/_suggest?q={quote(text)}")
    assert status == 200, answer
    return answer


def texts(stack: Stack, index: str, text: str) -> list[str]:
    return [it["text"] for it in suggested(stack, index, text)["suggestions"]]


def search(stack: Stack, index: str, text: str, **ext: Any) -> Any:
    body = {
        "query": {"match": {"title": text}},
        "ext": {"hitweave": {"record": False, **ext}},
    }
    return raw(stack, "POST", f"/{index}/_search", body)[2]["hitweave"]


def test_what_enough_shoppers_searched_for_with_success_is_suggested(
    stack: Stack, index: str
) -> None:
    shop_for(stack, index, "Wireless Earphones", ["a", "b", "c"])
    shop_for(stack, index, "wireless charger", ["a", "b", "c"], "purchase")
    shop_for(stack, index, "wireless secret of mine", ["a", "a", "b"])
    shop_for(stack, index, "wireless seen", ["a", "b", "c"], "impression")
    shop_for(stack, index, "蓝牙耳机", ["a", "b", "c"], "add_to_cart")
    everywhere(lambda: len(texts(stack, index, "")) == 3)
    assert texts(stack, index, "wire") == ["wireless charger", "wireless earphones"]
    assert texts(stack, index, "蓝") == ["蓝牙耳机"]
    assert texts(stack, index, "耳机") == ["蓝牙耳机"]


def test_what_nobody_searched_for_yet_is_completed_from_the_catalogue(
    stack: Stack, tmp_path: Path
) -> None:
    name = f"t{uuid.uuid4().hex[:12]}"
    commands.created(name, "--config", commands.config(tmp_path, "encoder: hashed:64\n"))
    goods: list[dict[str, Any]] = [
        {"id": "a", "title": "Wireless earphones", "brand": "Wirebird", "categories": ["Audio"]},
        {"id": "b", "title": "Desk lamp, wired", "brand": "Acme"},
        {"id": "c", "title": "无线耳机", "brand": "Acme"},
        {"id": "d", "title": "Wireless secret", "brand": "Acme"},
        {"id": "e", "title": "Wireless later", "updated_at": "2999-01-01T00:00:00Z"},
    ]
    commands.sent(name, commands.feed(tmp_path, *goods))
    hidden: Any = {"when": {}, "then": {"hide": ["d"]}}
    hidden["then"]["filter"] = {"range": {"updated_at": {"lte": "now"}}}
    assert raw(stack, "PUT", f"/{name}/_rules/secret", hidden)[0] in (200, 201)
    assert raw(stack, "POST", f"/{name}/_rules/_publish")[0] == 200
    everywhere(lambda: "Wireless secret" not in texts(stack, name, "wire"))
    assert suggested(stack, name, "WIRE")["suggestions"] == [
        {"text": text, "score": 0, "source": "catalogue"}
        for text in ("Wirebird", "Wireless earphones", "Desk lamp, wired")
    ]
    assert texts(stack, name, "wireless ear") == ["Wireless earphones"]
    assert texts(stack, name, "aud") == ["Audio"]
    assert texts(stack, name, "耳机") == texts(stack, name, "无") == ["无线耳机"]
    assert texts(stack, name, "") == texts(stack, name, "Wirebird ") == []
    shop_for(stack, name, "wireless earphones", ["a", "b", "c"])
    shop_for(stack, name, "wire rack", ["a", "b"])
    everywhere(lambda: texts(stack, name, "wire")[0] == "wireless earphones")
    found = suggested(stack, name, "wire")["suggestions"]
    assert found[0] == {"text": "wireless earphones", "score": 1, "source": "searches"}
    assert [it["text"] for it in found[1:]] == ["Wirebird", "Desk lamp, wired"]


def test_a_title_whose_words_are_a_field_within_is_completed_too(
    stack: Stack, es: Elasticsearch, index_name: str, tmp_path: Path
) -> None:
    title = {"type": "keyword", "fields": {"search": {"type": "text"}}}
    es.indices.create(index=index_name, mappings={"properties": {"title": title}})
    es.index(index=index_name, id="a", document={"title": ["Desk lamp"]}, refresh=True)
    config = commands.config(tmp_path, "encoder: hashed:64\n")
    commands.created(index_name, "--attach", "--config", config)
    assert texts(stack, index_name, "la") == ["Desk lamp"]


@pytest.mark.parametrize("mode", ["fused", "rrf", "bm25"])
def test_a_search_that_finds_nothing_is_told_what_it_may_have_meant(
    stack: Stack, index: str, mode: str
) -> None:
    shop_for(stack, index, "wireless earphones", ["a", "b", "c"])
    wait_until(lambda: "wireless earphones" in texts(stack, index, "wire"), 30)
    wait_until(
        lambda: (
            search(stack, index, "wirless earphnes", mode=mode).get("did_you_mean")
            == "wireless earphones"
        ),
        30,
    )
    assert "did_you_mean" not in search(stack, index, "wireless earphones", mode=mode)
    assert "did_you_mean" not in search(stack, index, "qqqqqqqq", mode=mode)
    assert suggested(stack, index, "wirless earphnes")["did_you_mean"] == "wireless earphones"


def test_a_second_delivery_of_the_same_event_is_no_second_shopper(
    stack: Stack, index: str, tmp_path: Path
) -> None:
    event = {
        "application": index,
        "action_name": "click",
        "user_id": "a",
        "user_query": "lonely lamp",
        "event_id": uuid.uuid4().hex,
        "event_attributes": {"object": {"object_id": "p1"}},
    }
    assert raw(stack, "POST", "/events", [event] * 5)[0] == 202
    shop_for(stack, index, "desk lamp", ["a", "b", "c"])
    everywhere(lambda: "desk lamp" in texts(stack, index, "desk"))
    assert texts(stack, index, "lonely") == []


@pytest.mark.parametrize("query", ["size=0", "size=101", "size=many"])
def test_a_wrong_size_is_refused(stack: Stack, index: str, query: str) -> None:
    status, _, answer = raw(stack, "GET", f"/{index}/_suggest?q=a&{query}")
    assert (status, answer["error"]["type"]) == (400, "illegal_argument_exception")


def test_an_unknown_index_is_named(stack: Stack) -> None:
    status, _, answer = raw(stack, "GET", "/no-such-index/_suggest?q=a")
    assert status == 400
    assert "no-such-index" in answer["error"]["reason"]


def test_the_storefront_names_its_shops_and_completes_what_is_typed(
    stack: Stack, index: str
) -> None:
    def page() -> str:
        found: bytes = raw(stack, "GET", "/", None, {"Accept": "text/html"})[2]
        return found.decode()

    wait_until(lambda: f"<option>{index}</option>" in page(), 30)
    assert '<datalist id="suggestions">' in page()
