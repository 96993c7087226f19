"""What others write into an index, replace there and delete from it reaches vectors and cards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from elasticsearch import Elasticsearch

from compose.local.index_checks import check_indices
from indexer import inbox
from indexer.behaviour import applications
from indexer.catalogue import attachments, card, card_store, generation, rebuild, stored
from indexer.errors import IncompatibleIndex
from tests.conftest import Stack
from tests.flows import commands
from tests.flows.worker_process import private_broker, wait_until, worker_process

REFILL = "indexer.tasks.refill_cards"
MUG: dict[str, Any] = {"title": "Red mug", "price": 3.5}


@pytest.fixture
def index(stack: Stack, index_name: str, tmp_path: Path) -> str:
    """An index of two products."""
    commands.created(index_name, "--config", commands.config(tmp_path, "encoder: hashed:64"))
    path = commands.feed(tmp_path, {"id": "1", **MUG}, {"id": "2", **MUG, "title": "Blue mug"})
    assert commands.sent(index_name, path) == {"embedded": 2}
    return index_name


@pytest.fixture
def broker(stack: Stack, index: str) -> Iterator[redis.Redis]:
    """A broker that no other worker listens to, once the index is there."""
    with private_broker(stack, 9) as client:
        yield client


def words_of_card(valkey: redis.Redis, index: str, item_id: str) -> list[int]:
    """The title as the item's card has it; empty where there is none."""
    record: Any = valkey.get(card_store.key(index, item_id))
    if record is None:
        return []
    records, _ = card.unpack_many([record], 64)
    return [word for word in records["title_words"][0].tolist() if word]


def test_workers_look_for_what_others_wrote_and_replaced(
    es: Elasticsearch, valkey: redis.Redis, index: str, broker: redis.Redis, tmp_path: Path
) -> None:
    es.index(index=index, id="3", document={"title": "Green kettle"})
    es.index(index=index, id="1", document={"title": "Red teapot"}, refresh=True)
    every = {"HITWEAVE_TAKE_UP_SECONDS": "0.2"}
    with worker_process("looking@take-up", every, tmp_path / "worker.log"):
        wait_until(lambda: words_of_card(valkey, index, "3") == card.words("Green kettle"), 60)
        wait_until(lambda: words_of_card(valkey, index, "1") == card.words("Red teapot"), 60)
    recipe = generation.resolve(es, index).recipe.digest()
    for item_id in ("1", "2", "3"):
        assert es.get(index=index, id=item_id)["_source"]["hitweave"]["recipe"] == recipe


def test_what_others_change_in_part_reaches_cards_and_vectors(
    es: Elasticsearch, valkey: redis.Redis, index: str, broker: redis.Redis, tmp_path: Path
) -> None:
    es.index(index=index, id="3", document={"title": "Green kettle", "price": 20.0}, refresh=True)
    every = {"HITWEAVE_TAKE_UP_SECONDS": "0.2"}

    def stamp_of(item_id: str) -> dict[str, Any]:
        found: dict[str, Any] = es.get(index=index, id=item_id)["_source"].get("hitweave", {})
        return found

    def price_on_card(item_id: str) -> float:
        records, _ = card.unpack_many(card_store.records(valkey, index, [item_id]), 64)
        return round(float(records["price"][0]), 2)

    with worker_process("in-part@take-up", every, tmp_path / "worker.log"):
        wait_until(lambda: "recipe" in stamp_of("3"), 60)
        before = {item_id: stamp_of(item_id) for item_id in ("1", "2", "3")}
        # Of the feed and of somebody else, a number and the text.
        es.update(index=index, id="1", doc={"price": 9.25})
        es.update(index=index, id="3", doc={"price": 12.5})
        wait_until(lambda: (price_on_card("1"), price_on_card("3")) == (9.25, 12.5), 60)
        es.update(index=index, id="2", doc={"title": "Blue teapot"})
        es.update(index=index, id="3", doc={"title": "Green teapot"})
        wait_until(lambda: words_of_card(valkey, index, "2") == card.words("Blue teapot"), 60)
        wait_until(lambda: words_of_card(valkey, index, "3") == card.words("Green teapot"), 60)
        assert stamp_of("1") == before["1"]
        assert all(stamp_of(it)["text_hash"] != before[it]["text_hash"] for it in ("2", "3"))
        assert (price_on_card("2"), price_on_card("3")) == (3.5, 12.5)

        # What was taken up is looked at once more, and left.
        concrete = generation.resolve(es, index).concrete

        def end() -> int:
            return rebuild.checkpoint(es, concrete)

        def seen() -> int:
            return max(stored.read_seen(valkey, index).values())

        wait_until(lambda: seen() == end(), 60)
        last = end()
        es.update(index=index, id="1", doc={"price": 9.5})
        wait_until(lambda: price_on_card("1") == 9.5, 60)
        wait_until(lambda: seen() == last + 1, 60)
        assert end() == last + 1


def test_versions_that_others_count_themselves_stay_theirs(
    es: Elasticsearch, index: str, broker: redis.Redis, tmp_path: Path
) -> None:
    every = {"HITWEAVE_TAKE_UP_SECONDS": "0.2"}
    with worker_process("versions@take-up", every, tmp_path / "worker.log"):
        for version in (5, 6, 7):
            es.index(
                index=index,
                id="3",
                document={"title": f"Green kettle {version}"},
                version=version,
                version_type="external",
                refresh=True,
            )
            wait_until(lambda: "hitweave" in es.get(index=index, id="3")["_source"], 60)
            found = es.get(index=index, id="3")
            assert found["_version"] == version
            assert found["_source"]["title"] == f"Green kettle {version}"


def test_a_search_that_meets_such_a_document_has_it_taken_up(
    stack: Stack, es: Elasticsearch, valkey: redis.Redis, index: str
) -> None:
    es.index(index=index, id="3", document={"title": "Green kettle"}, refresh=True)
    body = {"query": {"match": {"title": "green kettle"}}}
    answer = requests.post(f"{stack.sidecar_url}/{index}/_search", json=body, timeout=30)
    assert next(hit["_id"] for hit in answer.json()["hits"]["hits"]) == "3"
    wait_until(lambda: words_of_card(valkey, index, "3") == card.words("Green kettle"), 60)


def test_cards_of_deleted_documents_go_and_those_of_others_stay(
    es: Elasticsearch, valkey: redis.Redis, index: str
) -> None:
    es.delete(index=index, id="2")
    inbox.submit(REFILL, "index", index=index, ids=["1", "2", "never-there"])
    wait_until(lambda: not words_of_card(valkey, index, "2"), 60)
    assert words_of_card(valkey, index, "1") == card.words("Red mug")


def test_what_was_deleted_elsewhere_is_recommended_no_more(
    stack: Stack, es: Elasticsearch, index: str
) -> None:
    events = [
        {
            "application": index,
            "action_name": "purchase",
            "user_id": f"u{n}",
            "event_attributes": {"object": {"object_id": item_id}},
        }
        for n in range(3)
        for item_id in ("1", "2")
    ]
    told = requests.post(f"{stack.sidecar_url}/events", json=events, timeout=30).json()
    assert told["accepted"] == len(events)

    def recommended() -> set[str]:
        asked = {"index": index, "strategy": "trending", "size": 5}
        answer = requests.post(f"{stack.sidecar_url}/recommend", json=asked, timeout=30)
        return {item["id"] for item in answer.json()["items"]}

    es.delete(index=index, id="2", refresh=True)
    wait_until(lambda: recommended() == {"1"}, 60)


def test_what_others_wrote_with_a_time_to_come_can_still_be_deleted(
    es: Elasticsearch, index: str, broker: redis.Redis, tmp_path: Path
) -> None:
    ahead = {"title": "Green kettle", "updated_at": "2100-01-01T00:00:00Z"}
    es.index(index=index, id="3", document=ahead, refresh=True)
    every = {"HITWEAVE_TAKE_UP_SECONDS": "0.2"}
    with worker_process("deleting@take-up", every, tmp_path / "worker.log"):
        wait_until(lambda: "hitweave" in es.get(index=index, id="3")["_source"], 60)
        path = commands.feed(tmp_path, {"id": "3", "deleted": True})
        assert commands.sent(index, path) == {"deleted": 1}


def moved(es: Elasticsearch, alias: str, target: str, documents: dict[str, dict[str, Any]]) -> None:
    """What a shop platform does: a new index is filled, gets the alias, and the one before goes."""
    es.indices.create(index=target, mappings={"properties": {"title": {"type": "text"}}})
    for item_id, document in documents.items():
        es.index(index=target, id=item_id, document=document)
    es.indices.refresh(index=target)
    before = list(es.indices.get_alias(name=alias)) if es.indices.exists_alias(name=alias) else []
    es.indices.update_aliases(
        actions=[
            {"add": {"index": target, "alias": alias}},
            *({"remove_index": {"index": name}} for name in before),
        ]
    )


def test_the_next_index_behind_a_name_that_was_attached_to_goes_on_with_it(
    stack: Stack, es: Elasticsearch, valkey: redis.Redis, index_name: str, tmp_path: Path
) -> None:
    alias, first, second = index_name, f"{index_name}_v1", f"{index_name}_v2"
    moved(es, alias, first, {"1": MUG, "2": {"title": "Blue mug"}})
    config = commands.config(tmp_path, "encoder: hashed:64\nsimilarity_floor: 0.2")
    commands.created(alias, "--attach", "--config", config)
    try:
        with private_broker(stack, 9):
            moved(es, alias, second, {"1": MUG, "3": {"title": "Green kettle"}})
            assert applications.read(es).index_of(alias) == alias
            every = {"HITWEAVE_TAKE_UP_SECONDS": "0.2"}
            with worker_process("following@take-up", every, tmp_path / "worker.log"):
                title = card.words("Green kettle")
                wait_until(lambda: words_of_card(valkey, alias, "3") == title, 60)
        made = generation.resolve(es, alias)
        assert (made.index, made.concrete, made.is_attached) == (alias, second, True)
        assert made.config.similarity_floor == 0.2
        assert es.get(index=alias, id="3")["_source"]["hitweave"]["recipe"] == made.recipe.digest()
        body = {"query": {"match": {"title": "kettle"}}}

        def answer() -> dict[str, Any]:
            asked = requests.post(f"{stack.sidecar_url}/{alias}/_search", json=body, timeout=30)
            found: dict[str, Any] = asked.json()
            return found

        wait_until(lambda: "hitweave" in answer(), 60)
        assert next(hit["_id"] for hit in answer()["hits"]["hits"]) == "3"
    finally:
        es.indices.delete(index=[first, second], ignore_unavailable=True)


def test_an_index_that_cannot_be_attached_to_stays_as_it_is_and_doctor_says_why(
    stack: Stack, es: Elasticsearch, index_name: str, tmp_path: Path
) -> None:
    first, second = f"{index_name}_v1", f"{index_name}_v2"
    moved(es, index_name, first, {"1": MUG})
    config = commands.config(tmp_path, "encoder: hashed:64")
    commands.created(index_name, "--attach", "--config", config)
    assert not [it for it in attachments.unattached(es) if it.attachment.index == index_name]
    es.indices.delete(index=first)
    numbers = {"properties": {"title": {"type": "integer"}}}
    es.indices.create(index=second, mappings=numbers, aliases={index_name: {}})
    try:
        (found,) = [it for it in attachments.unattached(es) if it.attachment.index == index_name]
        with pytest.raises(IncompatibleIndex, match="'title' is integer"):
            attachments.follow(es, found)
        told = [it for it in check_indices(es) if it.found.startswith(f"{index_name}:")]
        assert [it.level for it in told] == ["fault"]
        assert f"stands for {second} now" in told[0].found
        assert "'title' is integer" in told[0].found
        assert es.indices.get_mapping(index=second)[second]["mappings"] == numbers
    finally:
        es.indices.delete(index=second)
