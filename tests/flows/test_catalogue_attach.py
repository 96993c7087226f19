"""Attaching to an index that somebody else made and goes on writing to."""

from pathlib import Path
from typing import Any

import pytest
import redis
from elasticsearch import Elasticsearch

from indexer.behaviour import applications
from indexer.catalogue import attach, audit, generation, stored
from indexer.catalogue.mapping import IndexConfig
from indexer.catalogue.write import Fate, Operation, write
from indexer.errors import IncompatibleIndex, UnknownIndex
from tests.conftest import Stack
from tests.flows import commands
from tests.flows.commands import counts, created, sent

CONFIG = """
encoder: hashed:64
fields: {title: name, price: money.amount, updated_at: changed}
"""
MUG: dict[str, Any] = {"name": "Red mug", "money": {"amount": 3.5}, "ean": "401"}
CHANGED = "2026-01-01T00:00:00.000Z"


@pytest.fixture
def theirs(stack: Stack, es: Elasticsearch, index_name: str) -> str:
    """A strict index of three documents, one of which says when it changed."""
    es.indices.create(
        index=index_name,
        mappings={
            "dynamic": "strict",
            "_meta": {"owner": "them"},
            "properties": {
                "name": {"type": "text"},
                "ean": {"type": "keyword"},
                "money": {"properties": {"amount": {"type": "float"}}},
                "changed": {"type": "date"},
            },
        },
    )
    for item_id in ("1", "2"):
        es.index(index=index_name, id=item_id, document=MUG)
    es.index(index=index_name, id="3", document={**MUG, "changed": CHANGED}, refresh=True)
    return index_name


def attached(index: str, folder: Path) -> dict[str, Any]:
    return created(index, "--attach", "--config", commands.config(folder, CONFIG))


def test_documents_get_their_vectors_and_cards_and_keep_what_they_say(
    es: Elasticsearch, valkey: redis.Redis, theirs: str, tmp_path: Path
) -> None:
    assert counts(attached(theirs, tmp_path)) == {"embedded": 3}
    made = generation.resolve(es, theirs)
    assert made.is_attached
    assert audit.audit(es, valkey, made).is_clean
    document = es.get(index=theirs, id="3")["_source"]
    assert {k: v for k, v in document.items() if k != "hitweave"} == {**MUG, "changed": CHANGED}
    assert document["hitweave"]["version"] == 1767225600000
    mappings = es.indices.get_mapping(index=theirs)[theirs]["mappings"]
    assert mappings["_meta"]["owner"] == "them"
    assert mappings["dynamic"] == "strict"


def test_attaching_again_fills_only_what_is_missing(
    es: Elasticsearch, theirs: str, tmp_path: Path
) -> None:
    attached(theirs, tmp_path)
    assert counts(attached(theirs, tmp_path)) == {}
    es.index(index=theirs, id="4", document=MUG)
    es.index(index=theirs, id="1", document={**MUG, "name": "Blue mug"})
    assert counts(attached(theirs, tmp_path)) == {"embedded": 2}
    assert counts(attached(theirs, tmp_path)) == {}


def test_a_title_in_a_list_is_embedded_like_a_plain_one(
    es: Elasticsearch, theirs: str, tmp_path: Path
) -> None:
    es.index(index=theirs, id="1", document={**MUG, "name": [MUG["name"]]}, refresh=True)
    assert counts(attached(theirs, tmp_path)) == {"embedded": 3}
    stamps = [es.get(index=theirs, id=it)["_source"]["hitweave"] for it in ("1", "2")]
    assert stamps[0]["text_hash"] == stamps[1]["text_hash"]


def test_an_index_attached_to_by_an_alias_keeps_that_name_and_hands_it_on_to_the_next(
    es: Elasticsearch, theirs: str, tmp_path: Path
) -> None:
    alias, later = f"{theirs}_shop", f"{theirs}_later"
    es.indices.put_alias(index=theirs, name=alias)
    assert attached(alias, tmp_path)["index"] == alias
    assert generation.resolve(es, theirs).index == alias
    es.indices.create(index=later, mappings={"properties": {"name": {"type": "text"}}})
    try:
        es.index(index=later, id="1", document=MUG, refresh=True)
        there = {"remove": {"index": theirs, "alias": alias}}
        es.indices.update_aliases(actions=[there, {"add": {"index": later, "alias": alias}}])
        assert counts(attached(alias, tmp_path)) == {"embedded": 1}
        made = generation.resolve_any(es, later)
        assert (made.index, made.concrete, made.is_attached) == (alias, later, True)
        named = applications.read(es).named
        assert alias in named
        assert not {theirs, later} & set(named)
    finally:
        es.indices.delete(index=later)


def test_a_catalogue_can_be_sent_to_it_afterwards(
    es: Elasticsearch, theirs: str, tmp_path: Path
) -> None:
    attached(theirs, tmp_path)
    lines = [
        {"id": "1", **MUG, "money": {"amount": 9}},
        {"id": "2", **MUG, "name": "Green mug"},
        {"id": "3", **MUG, "changed": "2025-01-01T00:00:00Z"},
        {"id": "5", **MUG},
        {"id": "6", **MUG, "colour": "red"},
    ]
    path = commands.feed(tmp_path, *lines)
    assert sent(theirs, path) == {"updated": 1, "embedded": 2, "stale": 1, "rejected": 1}
    assert es.get(index=theirs, id="1")["_source"]["money"] == {"amount": 9.0}
    path = commands.feed(tmp_path, {"id": "1", "deleted": True})
    assert sent(theirs, path) == {"deleted": 1}
    assert not es.exists(index=theirs, id="1")


def test_a_document_that_changes_while_it_is_filled_keeps_the_change(
    es: Elasticsearch, theirs: str
) -> None:
    made = attach.attach(es, theirs, IndexConfig(encoder="hashed:64", fields={"title": "name"}))
    read = stored.read_documents(es, made, ["1"])["1"]
    es.index(index=theirs, id="1", document={**MUG, "name": "Changed meanwhile"})
    late = Operation(theirs, "1", read.place, b'{"name":"overwritten"}')
    assert write(es, [late], retry_seconds_max=5)[0].fate is Fate.STALE
    assert es.get(index=theirs, id="1")["_source"]["name"] == "Changed meanwhile"


def test_an_index_that_cannot_take_it_is_left_as_it_was(
    es: Elasticsearch, theirs: str, tmp_path: Path
) -> None:
    before = es.indices.get_mapping(index=theirs).body
    wrong = commands.config(tmp_path, "encoder: hashed:64\nfields: {title: ean, price: name}")
    with pytest.raises(IncompatibleIndex, match=r"'ean' is keyword.*'name' is text"):
        created(theirs, "--attach", "--config", wrong)
    assert es.indices.get_mapping(index=theirs).body == before


def test_what_is_not_there_or_is_ours_already_is_refused_with_what_to_do(
    stack: Stack, index_name: str, tmp_path: Path
) -> None:
    with pytest.raises(UnknownIndex, match="hitweave create"):
        created(index_name, "--attach")
    config = commands.config(tmp_path, "encoder: hashed:64")
    created(index_name, "--config", config)
    with pytest.raises(IncompatibleIndex, match="--rebuild"):
        created(index_name, "--attach", "--config", config)
    with pytest.raises(IncompatibleIndex, match="--rebuild"):
        created(index_name, "--config", config)
    assert created(index_name, "--if-missing", "--config", config)["created"] is False


def test_an_index_that_we_did_not_make_is_not_created_over(es: Elasticsearch, theirs: str) -> None:
    with pytest.raises(IncompatibleIndex, match="--attach"):
        created(theirs)
    with pytest.raises(UnknownIndex, match="--attach"):
        generation.resolve(es, theirs)
