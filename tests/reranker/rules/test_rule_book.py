"""What is live is known to a process within a look, and stays known while Elasticsearch is away."""

from collections.abc import Iterator

import pytest
from elasticsearch import Elasticsearch

from indexer.errors import ElasticsearchUnavailable, InvalidRequest
from reranker.rules import rule
from reranker.rules.rule_book import RuleBook
from reranker.rules.rule_store import RULES_INDEX, RuleStore, Stored
from tests.conftest import free_port


@pytest.fixture
def store(es: Elasticsearch, index_name: str) -> Iterator[RuleStore]:
    yield RuleStore(es, clock=lambda: 1_780_000_000.0)
    if es.indices.exists(index=RULES_INDEX):
        es.options(ignore_status=404).delete(index=RULES_INDEX, id=index_name, refresh=True)


def hides(index: str, name: str, item: str = "x") -> rule.Rule:
    return rule.read({"then": {"hide": [item]}}, index, name)


def live(book: RuleBook, index: str) -> list[str]:
    return [it.id for it in book.find(index).rules]


def test_what_is_published_is_live_at_the_next_look(store: RuleStore, index_name: str) -> None:
    book = RuleBook(store, poll_seconds=60)
    store.put(hides(index_name, "a"))
    book.look()
    assert live(book, index_name) == []
    store.publish(index_name)
    book.look()
    assert live(book, index_name) == ["a"]
    assert store.delete(index_name, "a")
    book.look()
    assert live(book, index_name) == ["a"]
    store.publish(index_name)
    book.look()
    assert live(book, index_name) == []


def test_without_elasticsearch_what_was_known_last_holds(store: RuleStore, index_name: str) -> None:
    book = RuleBook(store, poll_seconds=0.01)
    store.put(hides(index_name, "a"))
    store.publish(index_name)
    book.look()
    away = Elasticsearch(f"http://127.0.0.1:{free_port()}", max_retries=0)
    book.store = RuleStore(away)
    with pytest.raises(ElasticsearchUnavailable):
        book.look()
    book.start()
    book.close()
    assert live(book, index_name) == ["a"]


def test_a_rule_of_another_version_is_left_out_alone(
    store: RuleStore, es: Elasticsearch, index_name: str
) -> None:
    store.put(hides(index_name, "a"))
    store.publish(index_name)
    found = es.get(index=RULES_INDEX, id=index_name)["_source"]
    found["live"].append({"id": "b", "index": index_name, "then": {"colour": "red"}})
    es.index(index=RULES_INDEX, id=index_name, document=found, refresh=True)
    assert list(store.read(index_name).live) == ["a"]


def test_who_was_overtaken_reads_again(store: RuleStore, index_name: str) -> None:
    overtaken = []

    def slowly(before: Stored) -> Stored:
        if not overtaken:
            overtaken.append(before)
            store.put(hides(index_name, "theirs"))
        return Stored({**before.draft, "mine": hides(index_name, "mine")}, {}, None, before.place)

    store.change(index_name, slowly)
    assert set(store.read(index_name).draft) == {"mine", "theirs"}


def test_there_is_a_last_rule(
    store: RuleStore, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reranker.rules.rule_store.RULES_MAX", 1)
    store.put(hides(index_name, "a"))
    store.put(hides(index_name, "a", "y"))
    with pytest.raises(InvalidRequest, match="at the most"):
        store.put(hides(index_name, "b"))
