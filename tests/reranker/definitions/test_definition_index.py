"""Definitions are written over the state that was seen, or not at all."""

from collections.abc import Iterator

import pytest
from elasticsearch import Elasticsearch

from indexer.errors import ElasticsearchUnavailable
from reranker.definitions.definition_index import DefinitionIndex, place_of
from tests.conftest import free_port


@pytest.fixture
def kept(es: Elasticsearch, index_name: str) -> Iterator[DefinitionIndex]:
    yield DefinitionIndex(es, index_name, "things", {"state": {"type": "keyword"}})
    es.indices.delete(index=index_name, ignore_unavailable=True)


def test_who_was_overtaken_writes_nothing(kept: DefinitionIndex) -> None:
    assert kept.read("a") is None
    assert kept.write("a", {"state": "first"}, None)
    assert not kept.write("a", {"state": "also first"}, None)
    found = kept.read("a")
    assert found is not None
    assert kept.write("a", {"state": "second"}, found[1])
    assert not kept.write("a", {"state": "third"}, found[1])
    (hit,) = kept.search(10, seq_no_primary_term=True)
    assert kept.read("a") == ({"state": "second"}, place_of(hit))
    assert kept.delete("a")
    assert not kept.delete("a")


def test_what_is_not_there_yet_is_empty(kept: DefinitionIndex) -> None:
    assert kept.read("a") is None
    assert kept.search(10) == []
    assert not kept.delete("a")


def test_without_elasticsearch_it_is_said_which_definitions_are_away() -> None:
    away = Elasticsearch(f"http://127.0.0.1:{free_port()}", max_retries=0)
    kept = DefinitionIndex(away, "hitweave_things", "things", {})
    for ask in (
        lambda: kept.read("a"),
        lambda: kept.search(10),
        lambda: kept.write("a", {}, None),
        lambda: kept.delete("a"),
    ):
        with pytest.raises(ElasticsearchUnavailable, match=r"the things .* hitweave_things"):
            ask()
