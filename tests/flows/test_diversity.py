"""The diversity dial through the real sidecar: searches, pages, and lists that clients rank."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Stack
from tests.flows.test_search import raw

KINDS = ("desk lamp", "floor lamp", "lamp shade", "lamp bulb")
EACH = 15


def products() -> Iterator[dict[str, Any]]:
    """Lamps and what belongs to them, of three brands; every seventh is sold out."""
    for kind in KINDS:
        for number in range(EACH):
            yield {
                "id": f"{kind.replace(' ', '-')}-{number}",
                "title": f"Lamp {kind} number {number}",
                "categories": ["home", kind],
                "brand": ("acme", "zeta", "omni")[number % 3],
                "available": number % 7 != 6,
            }


@pytest.fixture(scope="module")
def shop(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A shop that allows two of a brand or category in five places."""
    index = f"t{uuid.uuid4().hex[:12]}"
    folder = tmp_path_factory.mktemp("varied")
    file = folder / "products.jsonl"
    file.write_text("\n".join(json.dumps(product) for product in products()), encoding="utf-8")
    config = folder / "config.yml"
    config.write_text("diversity: {page: 5, brand_max: 2, category_max: 2, floor: 0.0}\n")
    stack.run("create", index, "--config", str(config))
    assert stack.run_json("catalogue", index, str(file))["embedded"] == len(KINDS) * EACH
    return index


def search(stack: Stack, shop: str, dial: float | None, **body: Any) -> Any:
    hitweave = {"record": False, **({} if dial is None else {"diversity": dial})}
    explain = body.pop("explained", False)
    ext = {"hitweave": {**hitweave, **({"explain": True} if explain else {})}}
    ubi = body.pop("ubi", None)
    sent = {"query": {"match": {"title": "desk lamp"}}, "size": 20, "ext": ext, **body}
    if ubi:
        ext["ubi"] = ubi
    status, _, answer = raw(stack, "POST", f"/{shop}/_search", sent)
    assert status == 200, answer
    return answer


def ids(answer: Any) -> list[str]:
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def test_dial_0_is_the_fused_order_and_says_nothing(stack: Stack, shop: str) -> None:
    plain, zero = search(stack, shop, None), search(stack, shop, 0)
    assert ids(zero) == ids(plain)
    assert "diversity" not in zero["hitweave"]


def test_a_page_holds_its_quotas_and_scores_that_never_rise(stack: Stack, shop: str) -> None:
    answer = search(stack, shop, 0.7)
    assert answer["hitweave"]["diversity"] == {"dial": 0.7, "by": "vectors"}
    scores = [hit["_score"] for hit in answer["hits"]["hits"]]
    assert scores == sorted(scores, reverse=True)
    first = [hit["_source"] for hit in answer["hits"]["hits"][:5]]
    for names in ([it["brand"] for it in first], [it["categories"][-1] for it in first]):
        assert max(names.count(name) for name in names) <= 2


def test_pages_are_of_one_varied_order(stack: Stack, shop: str) -> None:
    ubi = {"query_id": uuid.uuid4().hex}
    whole = ids(search(stack, shop, 0.7, size=60))
    paged = [
        name
        for start in range(0, 60, 12)
        for name in ids(search(stack, shop, 0.7, ubi=ubi, size=12, **{"from": start}))
    ]
    assert paged == whole
    assert sorted(paged) == sorted(product["id"] for product in products())


def test_a_later_page_says_what_the_order_is_of(stack: Stack, shop: str) -> None:
    ubi = {"query_id": uuid.uuid4().hex}
    search(stack, shop, 0.7, ubi=ubi, size=5)
    later = search(stack, shop, 0.7, ubi=ubi, size=5, **{"from": 5})
    assert later["hitweave"]["diversity"] == {"dial": 0.7, "by": "vectors"}


def test_an_explanation_names_what_was_placed_for_variety(stack: Stack, shop: str) -> None:
    hits = search(stack, shop, 0.7, explained=True)["hits"]["hits"]
    told = [part["description"] for hit in hits for part in hit["_explanation"]["details"]]
    assert "placed for variety" in told
    for hit in hits:
        parts = [part["value"] for part in hit["_explanation"]["details"]]
        assert sum(parts) == pytest.approx(hit["_score"], abs=1e-4)


def test_a_given_list_is_varied_as_a_search_is(stack: Stack, shop: str) -> None:
    plain = search(stack, shop, 0, size=60)
    given = [{"id": hit["_id"], "bm25": hit["_score"]} for hit in plain["hits"]["hits"]]
    body = {"index": shop, "query": "desk lamp", "candidates": given}
    _, _, unvaried = raw(stack, "POST", "/rerank", body)
    assert "diversity" not in unvaried
    _, _, varied = raw(stack, "POST", "/rerank", {**body, "diversity": 0.7})
    assert varied["diversity"] == {"dial": 0.7, "by": "vectors"}
    assert [it["score"] for it in varied["items"]] == [it["score"] for it in unvaried["items"]]
    assert [it["id"] for it in varied["items"]] != [it["id"] for it in unvaried["items"]]


@pytest.mark.parametrize("dial", [0.0, 0.3, 1.0])
def test_search_and_rerank_agree_on_the_same_legs(stack: Stack, shop: str, dial: float) -> None:
    """The keyword leg alone, so that a client can send what Elasticsearch said."""
    query = {"match": {"title": "desk lamp"}}
    sent = {"query": query, "size": 60, "_source": False}
    _, _, own = raw(
        stack, "POST", f"/{shop}/_search", {**sent, "ext": {"hitweave": {"mode": "bm25"}}}
    )
    _, _, knn = raw(
        stack,
        "POST",
        f"/{shop}/_search",
        {**sent, "ext": {"hitweave": {"mode": "knn", "record": False}}},
    )
    cosines = {hit["_id"]: 2.0 * hit["_score"] - 1.0 for hit in knn["hits"]["hits"]}
    ranks = {name: rank for rank, name in enumerate(cosines, start=1)}
    given = [
        {
            "id": hit["_id"],
            "bm25": hit["_score"],
            "bm25_rank": rank,
            **(
                {"knn": cosines[hit["_id"]], "knn_rank": ranks[hit["_id"]]}
                if hit["_id"] in ranks
                else {}
            ),
        }
        for rank, hit in enumerate(own["hits"]["hits"], start=1)
    ]
    body = {"index": shop, "query": "desk lamp", "candidates": given, "diversity": dial}
    _, _, ranked = raw(stack, "POST", "/rerank", {**body, "rank_window_size": 100})
    assert [it["id"] for it in ranked["items"]] == ids(search(stack, shop, dial, size=60))


def test_a_dial_beyond_its_ends_is_refused(stack: Stack, shop: str) -> None:
    candidates = [{"id": "desk-lamp-1"}]
    body = {"index": shop, "query": "lamp", "candidates": candidates, "diversity": 2}
    status, _, answer = raw(stack, "POST", "/rerank", body)
    assert status == 400
    assert "diversity is 2" in json.dumps(answer)
