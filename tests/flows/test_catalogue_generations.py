"""The next generation is built beside the served one, compared and swapped; and the way back."""

from pathlib import Path
from typing import Any

import pytest
import redis
from elasticsearch import Elasticsearch

from indexer.catalogue import card_store, generation, rebuild, stored
from indexer.catalogue.audit import audit, differences
from indexer.catalogue.card import card_dtype
from indexer.errors import AskedWrongly, IncompatibleIndex, InvalidConfig, WriteFailed
from tests.conftest import Stack
from tests.flows import commands
from tests.flows.commands import counts, created, sent

PRODUCTS: list[dict[str, Any]] = [
    {"id": f"p{number}", "title": f"Mug {number}", "price": number} for number in range(30)
]


@pytest.fixture
def index(stack: Stack, index_name: str, tmp_path: Path) -> str:
    """An index with products."""
    created(index_name, "--config", commands.config(tmp_path, "encoder: hashed:64"))
    sent(index_name, commands.feed(tmp_path, *PRODUCTS))
    return index_name


def rebuilt(index: str, folder: Path, text: str) -> dict[str, Any]:
    return created(index, "--rebuild", "--config", commands.config(folder, text))


def served(es: Elasticsearch, index: str) -> str:
    (name,) = es.indices.get_alias(name=index).body
    (writes,) = es.indices.get_alias(name=generation.write_alias(index)).body
    assert name == writes
    return str(name)


def test_the_same_recipe_takes_the_vectors_along(
    es: Elasticsearch, valkey: redis.Redis, index: str, tmp_path: Path
) -> None:
    before = stored.read_documents(es, generation.resolve(es, index), ["p7"])["p7"]
    answer = rebuilt(index, tmp_path, "encoder: hashed:64\nanalyzer: standard")
    assert counts(answer) == {"before": f"{index}-000001", "updated": len(PRODUCTS)}
    made = generation.resolve(es, index)
    assert served(es, index) == made.concrete == f"{index}-000002"
    assert made.config.analyzer == "standard"
    assert audit(es, valkey, made).is_clean
    after = stored.read_documents(es, made, ["p7"])["p7"]
    assert (after.source, after.engine_version) == (before.source, before.engine_version)
    assert after.vector is not None
    assert before.vector is not None
    assert (after.vector == before.vector).all()


def test_declared_fields_are_found_by_and_stay_so_through_rebuilds(
    es: Elasticsearch, stack: Stack, index_name: str, tmp_path: Path
) -> None:
    article = {"id": "a", "title": "Storm", "published": "2026-03-01", "author": {"name": "Ann"}}
    created(index_name, "--config", commands.config(tmp_path, "encoder: hashed:64"))
    sent(index_name, commands.feed(tmp_path, article))
    asked: dict[str, Any] = {
        "filter": [
            {"range": {"published": {"gte": "2026-02-01"}}},
            {"term": {"author.name": "Ann"}},
        ]
    }
    es.indices.refresh(index=index_name)
    assert es.count(index=index_name, query={"bool": asked})["count"] == 0
    declared = "mappings: {published: {type: date}, author.name: {type: keyword}}"
    rebuilt(index_name, tmp_path, f"encoder: hashed:64\n{declared}")
    assert es.count(index=index_name, query={"bool": asked})["count"] == 1
    created(index_name, "--rebuild")
    assert es.count(index=index_name, query={"bool": asked})["count"] == 1


def test_what_was_mapped_by_hand_stays_through_a_rebuild_and_what_was_undeclared_goes(
    es: Elasticsearch, stack: Stack, index_name: str, tmp_path: Path
) -> None:
    declared = "encoder: hashed:64\nmappings: {section: {type: keyword}}"
    created(index_name, "--config", commands.config(tmp_path, declared))
    by_hand = {
        "published": {"type": "date"},
        "title": {
            "type": "text",
            "analyzer": "bilingual",
            "fields": {"exact": {"type": "keyword"}},
        },
    }
    es.indices.put_mapping(index=index_name, properties=by_hand)
    article = {"id": "a", "title": "Storm", "published": "2026-03-01", "section": "weather"}
    sent(index_name, commands.feed(tmp_path, article))
    rebuilt(index_name, tmp_path, "encoder: hashed:64\nanalyzer: standard")
    asked: list[dict[str, Any]] = [
        {"range": {"published": {"gte": "2026-02-01"}}},
        {"term": {"title.exact": "Storm"}},
        {"term": {"section": "weather"}},
    ]
    assert [es.count(index=index_name, query=it)["count"] for it in asked] == [1, 1, 0]
    made = es.indices.get_mapping(index=index_name).popitem()[1]["mappings"]["properties"]
    assert made["title"]["fields"] == {"exact": {"type": "keyword"}}
    assert made["title"].get("analyzer") != "bilingual"


def test_a_declared_mapping_that_elasticsearch_does_not_know_is_refused(
    stack: Stack, index_name: str, tmp_path: Path
) -> None:
    text = "encoder: hashed:64\nmappings: {published: {type: day}}"
    with pytest.raises(InvalidConfig, match="day"):
        created(index_name, "--config", commands.config(tmp_path, text))


def test_another_recipe_embeds_again_and_serves_its_own_cards(
    es: Elasticsearch, valkey: redis.Redis, index: str, tmp_path: Path
) -> None:
    answer = rebuilt(index, tmp_path, "encoder: hashed:32")
    assert counts(answer)["embedded"] == len(PRODUCTS)
    assert audit(es, valkey, generation.resolve(es, index)).is_clean
    assert valkey.strlen(card_store.key(index, "p7")) == card_dtype(32).itemsize
    assert not list(valkey.scan_iter(match=card_store.key(index, "*", staged=True)))


def test_the_way_back_takes_along_what_was_written_since(
    es: Elasticsearch, valkey: redis.Redis, index: str, tmp_path: Path
) -> None:
    rebuilt(index, tmp_path, "encoder: hashed:32")
    since = [{**PRODUCTS[1], "price": 99}, {"id": "p2", "deleted": True}]
    since += [{"id": "new", "title": "New mug"}]
    sent(index, commands.feed(tmp_path, *since))
    created(index, "--rollback")
    made = generation.resolve(es, index)
    assert served(es, index) == f"{index}-000001"
    assert made.recipe.dims == 64
    assert audit(es, valkey, made).is_clean
    assert es.get(index=index, id="p1")["_source"]["price"] == 99
    assert es.exists(index=index, id="new")
    assert not es.exists(index=index, id="p2")
    assert valkey.get(card_store.key(index, "p2")) is None
    assert sent(index, commands.feed(tmp_path, {**PRODUCTS[1], "price": 100})) == {"updated": 1}


def test_only_the_generation_before_is_kept(es: Elasticsearch, index: str, tmp_path: Path) -> None:
    for analyzer in ("standard", "english"):
        rebuilt(index, tmp_path, f"encoder: hashed:64\nanalyzer: {analyzer}")
    assert generation.generations(es, index) == [f"{index}-000002", f"{index}-000003"]


def test_a_generation_that_differs_is_not_served_and_the_old_one_goes_on(
    es: Elasticsearch, index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild.Move, "_round", lambda *_: (rebuild.Counts(), rebuild.Checkpoint()))
    with pytest.raises(WriteFailed, match="30 documents are not in"):
        rebuilt(index, tmp_path, "encoder: hashed:64")
    assert generation.generations(es, index) == [served(es, index)] == [f"{index}-000001"]
    assert sent(index, commands.feed(tmp_path, {**PRODUCTS[0], "price": 5})) == {"updated": 1}


def test_a_build_that_was_cut_off_is_removed_by_the_next(
    es: Elasticsearch, index: str, tmp_path: Path
) -> None:
    current = generation.resolve(es, index)
    generation.create_generation(es, index, f"{index}-000002", current.config)
    es.indices.add_block(index=current.concrete, block="write")
    rebuilt(index, tmp_path, "encoder: hashed:64")
    assert served(es, index) == f"{index}-000002"
    assert int(es.count(index=index)["count"]) == len(PRODUCTS)


def test_the_comparison_names_what_differs(es: Elasticsearch, index: str, tmp_path: Path) -> None:
    source = generation.resolve(es, index)
    rebuilt(index, tmp_path, "encoder: hashed:64")
    target = generation.resolve(es, index)
    assert differences(es, source, target) == []
    es.delete(index=target.concrete, id="p3", refresh=True)
    es.index(index=target.concrete, id="stranger", document={"title": "x"}, refresh=True)
    found = " ".join(differences(es, source, target))
    assert "1 documents are not in" in found
    assert "'p3'" in found
    assert "1 documents are only in" in found
    assert "1 documents" in found
    assert "no vector" in found


def test_without_an_earlier_generation_there_is_no_way_back(index: str) -> None:
    with pytest.raises(AskedWrongly, match="no earlier generation"):
        created(index, "--rollback")


def test_an_index_of_the_users_own_is_not_rebuilt(
    stack: Stack, es: Elasticsearch, index_name: str, tmp_path: Path
) -> None:
    es.indices.create(index=index_name, mappings={"properties": {"title": {"type": "text"}}})
    created(index_name, "--attach", "--config", commands.config(tmp_path, "encoder: hashed:64"))
    with pytest.raises(IncompatibleIndex, match="reindex it yourself"):
        created(index_name, "--rebuild")
