"""Recommendations end to end: a small shop is learned, and answers for people, carts and nobody."""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from elasticsearch import Elasticsearch

from indexer import settings
from indexer.catalogue import card
from reranker.fusion import artifact, node_file, node_model
from reranker.fusion.registry import Registry, for_recommendations
from reranker.learning import beside, job, launch, taste_index
from tests.conftest import Stack
from tests.reranker.learning import shop as made_up

ONES = np.ones((1, 8), np.float32)
SCHEDULE: dict[str, Any] = {
    "cases": 200,
    "held_out_cases": 100,
    "visit_cases": 300,
    "held_out_visits": 150,
    "moments_max": 6,
    "tables": 1,
    "epochs": 4,
    "width": 16,
    "layers": 1,
    "attention_heads": 2,
    "taste_width": 8,
    "text_width": 8,
    "refit": False,
    "baseline": False,
    "visit_learning_rate": 0.01,
}


def lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


@pytest.fixture(scope="module")
def index(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The made-up shop, whose shoppers keep to their colour; learned."""
    folder, name = tmp_path_factory.mktemp("shop"), f"t{uuid.uuid4().hex[:12]}"
    goods = made_up.goods()
    config = folder / "index.yaml"
    bounds = "diversity: {page: 4, floor: 0.0, loss_max: 1.0}\n"
    config.write_text(f"encoder: hashed:32\n{bounds}")
    stack.run("create", name, "--config", str(config))
    products = [
        {"id": i, "title": t, "price": 2.0} for i, t in zip(goods.ids, goods.titles, strict=True)
    ]
    products.append({"id": "new", "title": "red kettle", "price": 2.0})
    products.append({"id": "sold-out", "title": "red jug", "available": False})
    stack.run("catalogue", name, lines(folder / "products.jsonl", products))
    events = [
        {
            "event_id": e.event_id,  # what it is trained on must not hang on the index's name
            "application": name,
            "action_name": e.action,
            "user_id": e.user,
            "session_id": e.basket,
            "timestamp": iso(e.timestamp),
            "event_attributes": {"object": {"object_id": e.item_id}},
        }
        for e in made_up.rounds()
    ]
    stack.run("events", lines(folder / "events.ndjson", events))
    schedule = folder / "schedule.yaml"
    schedule.write_text(json.dumps(SCHEDULE))
    said: Any = stack.run_json("train", name, "--config", str(schedule))
    assert said["recommendations"]["promoted"], said["recommendations"]["why"]
    return name


def test_what_is_learned_keeps_its_network_for_other_runtimes(index: str) -> None:
    registry = Registry(settings.load().models_dir, for_recommendations(index))
    loaded = artifact.load(registry.path(str(registry.current())))
    known = loaded.item_table
    unknown = [np.zeros(0, card.card_dtype(loaded.manifest.dims)), np.zeros(0, dtype=bool)]
    dims, now = loaded.manifest.dims, 0.0
    items = node_model.stock([], *unknown, [], dims=dims, now=now, table=known)
    content = node_model.packed(loaded, items, concrete=index, made_at="now")
    facts, arrays = node_file.read(content)
    assert facts["attention_heads"] == loaded.manifest.config["attention_heads"]
    assert arrays["0/query.weight"].shape[1] == dims
    assert all(np.isfinite(arrays[name]).all() for name in arrays if name.startswith("0/"))


def recommended(stack: Stack, index: str, **sent: Any) -> dict[str, Any]:
    answer = requests.post(
        f"{stack.sidecar_url}/recommend", json={"index": index, **sent}, timeout=30
    )
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["id"] for item in answer["items"]]


def colour(item: str) -> str:
    return made_up.goods().titles[int(item)].split()[0]


def test_a_known_shopper_is_offered_what_is_due_by_the_model(stack: Stack, index: str) -> None:
    said = recommended(stack, index, user_id="u1", size=2)  # as many as a visit takes
    assert said["degraded"] is None
    assert said["model"] is not None
    assert {colour(item) for item in ids(said)} == {"blue"}
    bought_last = [e.item_id for e in made_up.rounds() if e.user == "u1"][-2:]
    assert not set(bought_last) & set(ids(said))
    scores = [item["score"] for item in said["items"]]
    assert scores == sorted(scores, reverse=True)
    assert all(item["reason"] for item in said["items"])


def test_nobody_gets_what_is_popular(stack: Stack, index: str) -> None:
    said = recommended(stack, index, size=6)
    assert len(ids(said)) == 6
    assert {item["source"] for item in said["items"]} == {"trending"}


def test_a_cart_is_completed_and_is_not_offered_again(stack: Stack, index: str) -> None:
    cart = ["2", "6"]  # a green card, a green bag
    said = recommended(stack, index, item_ids=cart, size=3)
    assert not set(cart) & set(ids(said))
    assert {colour(item) for item in ids(said)} == {"green"}


def test_an_anonymous_session_counts_before_any_event_of_it_is_stored(
    stack: Stack, index: str
) -> None:
    said = recommended(stack, index, session=["3", "7"], size=4, repeats=False)
    assert not {"3", "7"} & set(ids(said))
    assert colour(ids(said)[0]) == "pink"


def test_a_new_item_is_found_by_what_it_is_about(stack: Stack, index: str) -> None:
    said = recommended(stack, index, item_ids=["0"], strategy="content", size=24)
    assert "new" in ids(said)
    alike = recommended(stack, index, item_ids=["new"], size=5)
    assert len(ids(alike)) == 5


@pytest.mark.parametrize("strategy", ["collaborative", "content", "trending", "bought_together"])
def test_a_single_source_answers_alone(stack: Stack, index: str, strategy: str) -> None:
    said = recommended(stack, index, user_id="u2", strategy=strategy, size=4)
    assert {item["source"] for item in said["items"]} == {strategy}
    assert len(ids(said)) == 4


def test_a_filter_holds_for_every_source(stack: Stack, index: str) -> None:
    bags = {"match": {"title": "bag"}}
    for user in ("u1", None):
        said = recommended(stack, index, user_id=user, filter=bags, size=10)
        titles = {made_up.goods().titles[int(item)].split()[1] for item in ids(said)}
        assert titles == {"bag"}


def test_what_a_filter_leaves_is_found_behind_all_that_is_more_popular(
    stack: Stack, index_name: str, tmp_path: Path
) -> None:
    config = tmp_path / "index.yaml"
    config.write_text("encoder: hashed:32\n")
    stack.run("create", index_name, "--config", str(config))
    products = [{"id": f"old{n}", "title": "Old story"} for n in range(120)]
    products.append({"id": "new", "title": "Fresh story"})
    stack.run("catalogue", index_name, lines(tmp_path / "products.jsonl", products))
    read = [product["id"] for product in products] + [it["id"] for it in products[:-1]]
    deeds = [
        {
            "application": index_name,
            "action_name": "view",
            "user_id": f"u{n}",
            "timestamp": iso(time.time() - 3600),
            "event_attributes": {"object": {"object_id": item_id}},
        }
        for n, item_id in enumerate(read)
    ]
    stack.run("events", lines(tmp_path / "events.ndjson", deeds))
    assert ids(recommended(stack, index_name, filter={"match": {"title": "fresh"}})) == ["new"]


def test_what_is_sold_out_is_not_recommended(stack: Stack, index: str) -> None:
    said = recommended(stack, index, item_ids=["0"], strategy="content", size=100)
    assert "sold-out" not in ids(said)


def test_a_dial_above_0_varies_any_list_and_says_so(stack: Stack, index: str) -> None:
    whom = {"user_id": "u1", "size": 12}
    for strategy in ("hybrid", "content"):
        plain = recommended(stack, index, strategy=strategy, **whom)
        assert "diversity" not in plain
        assert ids(recommended(stack, index, strategy=strategy, diversity=0, **whom)) == ids(plain)
        found = recommended(stack, index, strategy=strategy, diversity=1, **whom)
        assert found["diversity"] == {"dial": 1.0, "by": "vectors"}
        assert ids(found) != ids(plain)
        scores = [item["score"] for item in found["items"]]
        assert scores == sorted(scores, reverse=True)


def test_quotas_of_the_index_hold_for_recommendations(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, name = tmp_path_factory.mktemp("quota"), f"t{uuid.uuid4().hex[:12]}"
    config = folder / "index.yaml"
    quotas = "diversity: {default: 0.5, page: 4, brand_max: 1, floor: 0.0}\n"
    config.write_text(f"encoder: hashed:32\n{quotas}")
    stack.run("create", name, "--config", str(config))
    brands = ("acme", "acme", "acme", "acme", "zeta", "omni", "luma", "acme")
    products = [
        {"id": f"p{n}", "title": f"red lamp {n}", "brand": brand} for n, brand in enumerate(brands)
    ]
    stack.run("catalogue", name, lines(folder / "products.jsonl", products))
    asked = {"item_ids": ["p7"], "strategy": "content", "size": 4}
    found = recommended(stack, name, **asked)
    assert found["diversity"]["dial"] == 0.5
    brand_of = {item["id"]: item["brand"] for item in products}
    assert sorted(brand_of[item] for item in ids(found)) == ["acme", "luma", "omni", "zeta"]
    plain = recommended(stack, name, diversity=0, **asked)
    assert sorted(brand_of[item] for item in ids(plain)) != ["acme", "luma", "omni", "zeta"]


def test_a_deed_is_seen_in_the_next_recommendation(stack: Stack, index: str) -> None:
    user, item = f"new-{uuid.uuid4().hex[:6]}", "1"
    event = {
        "application": index,
        "action_name": "purchase",
        "user_id": user,
        "timestamp": iso(made_up.rounds()[-1].timestamp),
        "event_attributes": {"object": {"object_id": item}},
    }
    assert recommended(stack, index, user_id=user)["items"][0]["source"] == "trending"
    assert requests.post(f"{stack.sidecar_url}/events", json=event, timeout=30).status_code == 202
    found = recommended(stack, index, user_id=user, repeats=False)
    assert colour(ids(found)[0]) == "blue"


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"strategy": "magic"}, "strategy"),
        ({"size": 0}, "size"),
        ({"item_ids": "1"}, "item_ids"),
        ({"wrong": 1}, "unknown field"),
        ({"filter": []}, "filter"),
        ({"repeats": "no"}, "repeats"),
        ({"diversity": 1.5}, "diversity is 1.5"),
        ({"diversity": True}, "diversity"),
    ],
)
def test_a_wrong_wish_is_refused_with_what_to_do(
    stack: Stack, index: str, sent: dict[str, Any], says: str
) -> None:
    answer = requests.post(
        f"{stack.sidecar_url}/recommend", json={"index": index, **sent}, timeout=30
    )
    assert answer.status_code == 400
    assert says in answer.text


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"no_such_query": {}}, "unknown query [no_such_query]"),
        ({"range": {"price": {"lt": "cheap"}}}, 'For input string: "cheap"'),
    ],
)
def test_a_filter_that_elasticsearch_refuses_is_told_as_it_says(
    stack: Stack, index: str, wanted: dict[str, Any], says: str
) -> None:
    answer = requests.post(
        f"{stack.sidecar_url}/recommend", json={"index": index, "filter": wanted}, timeout=30
    )
    assert answer.status_code == 400
    assert says in answer.json()["error"]["reason"]


def test_vectors_of_old_versions_are_tidied_away_but_for_the_last(
    es: Elasticsearch, index: str
) -> None:
    there = es.indices.get(index=f"hitweave_taste-{index}-*", expand_wildcards="all").body
    assert len(there) == 1
    other = taste_index.write(es, index, "20200101T000000", ["a"], ONES)
    neighbour = taste_index.write(es, f"{index}-b", "20200101T000000", ["a"], ONES)
    version = next(iter(there)).removeprefix(f"hitweave_taste-{index}-")
    assert taste_index.tidy(es, index, [version]) == [other]
    assert es.indices.exists(index=neighbour)
    es.indices.delete(index=neighbour)


def test_vectors_that_cannot_be_read_are_told_and_the_other_sources_go_on(
    stack: Stack, es: Elasticsearch, index: str
) -> None:
    alone = {"user_id": "u1", "strategy": "collaborative", "size": 3}
    whole = recommended(stack, index, **alone)
    assert (len(whole["items"]), whole["degraded"]) == (3, None)
    (target,) = es.indices.get(index=f"hitweave_taste-{index}-*", expand_wildcards="all").body
    es.indices.close(index=target)
    try:
        without = recommended(stack, index, **alone)
        assert (without["items"], without["degraded"]) == ([], "collaborative_unavailable")
        mixed = recommended(stack, index, user_id="u1", size=3)
        assert (len(mixed["items"]), mixed["degraded"]) == (3, "collaborative_unavailable")
        assert recommended(stack, index, size=3)["degraded"] is None
    finally:
        es.indices.open(index=target)
    es.cluster.health(index=target, wait_for_status="yellow")
    assert recommended(stack, index, **alone)["items"] == whole["items"]


def test_the_terminal_shows_titles_and_reasons(stack: Stack, index: str) -> None:
    shown = stack.run("recommend", index, "--user", "u1", "--size", "3")
    assert "blue" in shown.stdout


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts another registry in the place of the stack's."""

    def put(name: str) -> None:
        monkeypatch.setenv("HITWEAVE_MODELS", str(tmp_path / name))
        settings.load.cache_clear()

    yield put
    settings.load.cache_clear()


def test_it_is_learned_beside_the_searches_as_after_them(
    index: str,
    models: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a process of its own where there is enough to learn, to the same end."""
    schedule, until = tmp_path / "schedule.yaml", iso(made_up.rounds()[-1].timestamp)
    short = {**SCHEDULE, "cases": 60, "held_out_cases": 30, "epochs": 1, "visit_epochs": 1}
    schedule.write_text(json.dumps(short))
    begun: list[object] = []
    carried_out = beside.carried_out

    def watched(*given: Any) -> Any:
        begun.append(given[0])
        return carried_out(*given)

    monkeypatch.setattr(beside, "carried_out", watched)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(job, "BESIDE_EVENTS_MIN", 0)
    found = []
    for least in (0, short["visit_cases"] + 1):
        models(f"from-{least}")
        monkeypatch.setattr(job, "BESIDE_VISITS_MIN", least)
        found.append(launch.alone(launch.Asked(index, until, schedule, "full")))
    one, other = (it["recommendations"] for it in found)
    assert len(begun) == 1
    assert (one["after"], one["training"]) == (other["after"], other["training"])
    assert found[0]["after"] == found[1]["after"]
