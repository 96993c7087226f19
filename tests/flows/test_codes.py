"""Codes name their product: what is searched by nothing else has it first, in every ranked mode."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from tests.conftest import Stack
from tests.flows import commands
from tests.flows.editor import Editor, everywhere
from tests.flows.test_search import ids, own, raw
from tests.flows.test_suggest import shop_for, suggested

CONFIG = "encoder: hashed:64\ncodes: [sku, id]\nmappings: {sku: {type: keyword}}\n"
CODES = ("BRK.B", "600519", "0700.HK", "V", "A-12/7", "600518")


@pytest.fixture(scope="module")
def index(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Products with a code each, and for each of them others whose words are the code alone."""
    name, folder = f"t{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("shop")
    commands.created(name, "--config", commands.config(folder, CONFIG))
    goods = [
        {"id": f"p{at}", "title": f"Plain paper {at}", "sku": [code, f"X {code}"]}
        for at, code in enumerate(CODES)
    ]
    louder = [
        {"id": f"{word}{at}", "title": code, "description": code, "brand": word}
        for at, code in enumerate(CODES)
        for word in ("report", "note")
    ]
    gone = {"id": "sold-out", "title": "Old paper", "sku": "GONE 1", "available": False}
    other = {"id": "gone-too", "title": "gone 1 gone 1"}
    report = commands.sent(name, commands.feed(folder, *goods, *louder, gone, other))
    assert report["embedded"] == 20, report
    return name


def asked(text: str, mode: str, field: str = "title", **rest: Any) -> dict[str, Any]:
    return {"query": {"match": {field: text}}, "size": 20, "ext": own(mode, **rest)}


def wide(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) if sign > " " else "\u3000" for sign in text)


@pytest.mark.parametrize("mode", ["fused", "rrf", "knn"])
@pytest.mark.parametrize("spelled", [str, str.lower, wide, lambda code: f" {code.lower()} "])
def test_a_code_is_first_however_it_is_spelled(
    gateway: Elasticsearch, index: str, mode: str, spelled: Any
) -> None:
    for at, code in enumerate(CODES):
        answer = gateway.search(index=index, **asked(spelled(code), mode))
        assert ids(answer)[0] == f"p{at}", code
        scores = [hit["_score"] for hit in answer["hits"]["hits"]]
        assert scores == sorted(scores, reverse=True)
        assert answer["hits"]["total"]["value"] == len(ids(answer))


@pytest.mark.parametrize(("text", "first"), [("brk-b", "p0"), ("BRKB", "p0"), ("x 600 519", "p1")])
def test_signs_and_spaces_do_not_matter_and_a_product_may_have_several_codes(
    gateway: Elasticsearch, index: str, text: str, first: str
) -> None:
    assert ids(gateway.search(index=index, **asked(text, "fused")))[0] == first


def test_an_id_can_be_a_code(gateway: Elasticsearch, index: str) -> None:
    assert ids(gateway.search(index=index, **asked("P 3", "fused", "brand.text")))[0] == "p3"


def test_words_beside_a_code_are_ranked_as_ever(gateway: Elasticsearch, index: str) -> None:
    answer = gateway.search(index=index, **asked("600519 paper report", "rrf"))
    assert ids(answer)[0] != "p1"
    assert ids(gateway.search(index=index, **asked("?!", "rrf"))) == []


def test_what_is_sold_out_is_still_what_its_code_names(gateway: Elasticsearch, index: str) -> None:
    answer = gateway.search(index=index, **asked("gone 1", "fused", explain=True))
    assert ids(answer)[:2] == ["sold-out", "gone-too"]


@pytest.mark.parametrize(
    ("field", "text"), [("title", "BRK.B"), ("brand.text", "brk b"), ("sku", "brk b")]
)
def test_what_a_code_names_is_explained(
    gateway: Elasticsearch, index: str, field: str, text: str
) -> None:
    answer = gateway.search(index=index, **asked(text, "fused", field, explain=True))
    first = answer["hits"]["hits"][0]
    assert first["_id"] == "p0"
    assert first["_explanation"]["value"] == pytest.approx(first["_score"], abs=1e-5)
    said = answer["hitweave"]["explained"]["p0"]["sentence"]
    assert said == "Its code is what you searched for."


def test_filters_hold_for_codes_and_facets_count_them(gateway: Elasticsearch, index: str) -> None:
    query = {
        "bool": {"must": {"match": {"title": "600519"}}, "filter": {"term": {"brand": "note"}}}
    }
    assert ids(gateway.search(index=index, query=query, ext=own("fused")))[0] == "note1"
    body = asked("600519", "fused") | {"aggs": {"codes": {"terms": {"field": "sku"}}}}
    answer = gateway.search(index=index, **body)
    assert {"600519", "X 600519"} <= {
        it["key"] for it in answer["aggregations"]["codes"]["buckets"]
    }


def test_a_query_string_that_leaves_a_code_out_does_not_get_it(
    gateway: Elasticsearch, index: str
) -> None:
    body = {"query": {"query_string": {"query": "title:600519 AND brand:note"}}}
    assert ids(gateway.search(index=index, **body, ext=own("fused"))) == ["note1"]


def test_the_order_is_kept_on_later_pages(gateway: Elasticsearch, index: str) -> None:
    pages = [
        ids(
            gateway.search(
                index=index,
                **(asked("600519", "fused") | {"size": 1, "from_": start}),
            )
        )
        for start in range(3)
    ]
    assert pages[0] == ["p1"]
    assert {name for page in pages[1:] for name in page} == {"report1", "note1"}


def test_rules_have_the_last_word(stack: Stack, gateway: Elasticsearch, index: str) -> None:
    rules = Editor(stack, index)
    rules.route = "_rules"
    body = asked("600519", "fused")
    then = {"pin": [{"id": "note1", "position": 1}]}
    assert rules.ask("PUT", "/top", {"when": {}, "then": then})[0] == 200
    _, answer = rules.ask("POST", "/_preview", body)
    assert ids(answer)[:2] == ["note1", "p1"]
    assert rules.ask("PUT", "/top", {"when": {}, "then": {"hide": ["p1"]}})[0] == 200
    _, answer = rules.ask("POST", "/_preview", body)
    assert "p1" not in ids(answer)
    assert rules.ask("POST", "/_discard", {})[0] == 200


def test_who_searched_for_a_code_that_is_there_is_not_asked_what_was_meant(
    stack: Stack, index: str
) -> None:
    shop_for(stack, index, "600517", ["a", "b", "c"])
    everywhere(lambda: suggested(stack, index, "600516")["did_you_mean"] == "600517")

    def meant(text: str) -> Any:
        body = asked(text, "fused", "brand.text")
        answer = raw(stack, "POST", f"/{index}/_search", body)[2]
        return answer["hitweave"].get("did_you_mean")

    assert meant("600516") == "600517"
    assert meant("600518") is None


def test_an_index_of_ones_own_may_have_codes(
    stack: Stack, es: Elasticsearch, gateway: Elasticsearch, index_name: str, tmp_path: Path
) -> None:
    fields = {"title": {"type": "text"}, "sku": {"type": "keyword"}}
    es.indices.create(index=index_name, mappings={"properties": fields})
    for name, title in (("a", "paper"), ("b", "600519 600519")):
        sku = "SH 600519" if name == "a" else "-"
        es.index(index=index_name, id=name, document={"title": title, "sku": sku}, refresh=True)
    config = commands.config(tmp_path, "encoder: hashed:64\ncodes: [sku]\n")
    commands.created(index_name, "--attach", "--config", config)
    for mode in ("fused", "rrf"):
        assert ids(gateway.search(index=index_name, **asked("sh600519", mode)))[:1] == ["a"]
