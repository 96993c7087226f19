"""Logged searches come back from the journal with their positions and what was served."""

from typing import Any

import numpy as np
import pytest
from elasticsearch import Elasticsearch

from indexer.behaviour import journal, journal_index, ubi
from indexer.behaviour.journal_index import EVENTS, QUERIES
from reranker.learning.material import read_searches
from reranker.serving.recorder import Search, journalled
from reranker.signals import definition
from reranker.signals.build import HISTORY_FEATURES
from reranker.signals.served import Served

NOW = 1_700_000_000.0


def was_served(hits: int) -> Served:
    random = np.random.default_rng(hits)
    return Served(
        model="v3",
        signals=random.random((hits, len(definition.SIGNALS))).astype(np.float16),
        history=np.array([7, 2**64 - 1], dtype=np.uint64),
        history_features=random.random((2, HISTORY_FEATURES)).astype(np.float16),
    )


def shown(query_id: str, *ids: str, **fields: Any) -> dict[str, Any]:
    return {
        "query_id": query_id,
        "user_query": "Red  Mug",
        "user_id": "7",
        "query_response_hit_ids": list(ids),
        "timestamp": NOW - 50,
        **fields,
    }


def record(es: Elasticsearch, index: str, *searches: Search, own: bool = True) -> None:
    journal_index.ensure(es)
    documents = [journalled(search, "key", NOW) for search in searches]
    journal.write_queries(es, index, documents, received_at=NOW, own=own)
    es.indices.refresh(index=QUERIES)


def test_what_was_served_comes_back_with_the_search(es: Elasticsearch, index_name: str) -> None:
    served = was_served(2)
    pages = [
        Search(shown("q", "a", "b", query_attributes={"from": 0}), served),
        Search(shown("q", "c", query_attributes={"from": 2})),
    ]
    for page in pages:
        record(es, index_name, page)
    first, second = read_searches(es, index_name, None)
    assert (first.text, first.shown, first.start) == ("red mug", ("a", "b"), 0)
    assert (second.shown, second.start, second.served) == (("c",), 2, None)
    assert first.served is not None
    assert first.served.model == "v3"
    np.testing.assert_array_equal(first.served.signals, served.signals)
    np.testing.assert_array_equal(first.served.history, served.history)
    np.testing.assert_array_equal(first.served.history_features, served.history_features)


def test_the_context_of_a_search_comes_back_with_it(es: Elasticsearch, index_name: str) -> None:
    said = {"device": "phone", "weather": "rain", "degrees": 3.5}
    record(es, index_name, Search(shown("q", "a", query_attributes={"context": said})))
    record(es, index_name, Search(shown("r", "a", query_attributes={"context": "none"})))
    assert [search.context for search in read_searches(es, index_name, None)] == [said, {}]


def test_the_context_of_a_deed_comes_back_with_it(es: Elasticsearch, index_name: str) -> None:
    journal_index.ensure(es)
    attributes = {"object": {"object_id": "a"}, "context": {"weather": "rain"}}
    raw = {"action_name": "click", "timestamp": NOW - 50, "event_attributes": attributes}
    _, document = ubi.read(raw, key="key", now=NOW, live=False)
    journal.write_events(es, index_name, [document], received_at=NOW)
    es.indices.refresh(index=EVENTS)
    assert [it.context for it in journal.scan(es, index_name)] == [{"weather": "rain"}]


def test_a_client_that_logs_its_searches_too_neither_doubles_nor_hides_them(
    es: Elasticsearch, index_name: str
) -> None:
    theirs = Search(shown("q", "a", "b", query_attributes={"colour": "red"}))
    record(es, index_name, theirs, own=False)
    record(
        es, index_name, Search(shown("q", "a", "b", query_attributes={"from": 0}), was_served(2))
    )
    (only,) = read_searches(es, index_name, None)
    assert only.served is not None


@pytest.mark.parametrize(
    ("said", "start"),
    [("-3; drop", 0), (-3, 0), (None, 0), ([20], 0), ("20", 20), (20, 20), ("9" * 40, 1_000_000)],
)
def test_a_start_is_a_number_that_can_be_or_none(
    es: Elasticsearch, index_name: str, said: object, start: int
) -> None:
    record(es, index_name, Search(shown("q", "a", query_attributes={"from": said})))
    assert [search.start for search in read_searches(es, index_name, None)] == [start]
