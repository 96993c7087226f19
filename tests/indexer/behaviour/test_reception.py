"""How much is handed over before it is folded, and what is known of applications meanwhile."""

from typing import Any

import pytest
import redis
from elasticsearch import Elasticsearch
from redis.backoff import NoBackoff
from redis.retry import Retry

from indexer import inbox
from indexer.behaviour import applications, fold, intake
from indexer.behaviour.applications import Applications
from indexer.behaviour.reception import Reception
from indexer.errors import ElasticsearchUnavailable, StackFailed, ValkeyUnavailable
from tests.conftest import Stack, free_port
from tests.indexer.behaviour.test_messages import click

CHUNK = 3


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, index_name: str) -> list[str]:
    """The names of the indices there are; and no worker is woken, so the test folds itself."""
    names = [index_name]
    monkeypatch.setattr(inbox, "submit", lambda *_, **__: None)
    monkeypatch.setattr(
        applications,
        "read",
        lambda _: Applications({name: frozenset({name}) for name in names}),
    )
    return names


@pytest.fixture
def reception(es: Elasticsearch, valkey: redis.Redis, known: list[str]) -> Reception:
    return Reception(es, valkey, pseudonym_key="k", chunk_events=CHUNK)


def lines(index: str, *numbers: int) -> list[tuple[int, Any]]:
    return [(it, click(application=index, event_id=f"{index}-{it}")) for it in numbers]


def hand_over(reception: Reception, taken: intake.Intake) -> None:
    for index, documents in reception.chunks(taken):
        reception.hand_over(index, documents)


def test_no_more_than_two_chunks_wait_to_be_folded(
    es: Elasticsearch, valkey: redis.Redis, reception: Reception, index_name: str
) -> None:
    hand_over(reception, reception.take(lines(index_name, *range(2 * CHUNK))))
    more = reception.take(lines(index_name, 100))
    with pytest.raises(StackFailed, match=f"2 chunks of {index_name} wait"):
        hand_over(reception, more)
    fold.drain(es, valkey, index_name, documents_max=CHUNK, seconds_max=60)
    hand_over(reception, more)
    fold.drain(es, valkey, index_name, documents_max=CHUNK, seconds_max=60)
    names = valkey.scan_iter(f"hw:{index_name}:seen:*", count=10_000)
    assert sum(valkey.scard(name) for name in names) == 2 * CHUNK + 1


def test_an_index_made_a_moment_ago_is_known(reception: Reception, known: list[str]) -> None:
    assert reception.take(lines(known[0], 1)).accepted == 1
    known.append("new")
    assert reception.take(lines("new", 1)).accepted == 1
    assert reception.take(lines("nowhere", 1)).rejected


def test_nothing_is_rejected_before_there_is_an_index(
    reception: Reception, known: list[str], index_name: str
) -> None:
    known.clear()
    with pytest.raises(StackFailed, match="hitweave create"):
        reception.take(lines(index_name, 1))
    known.append(index_name)
    assert reception.take(lines(index_name, 1)).accepted == 1


def test_nothing_is_rejected_because_elasticsearch_is_away(valkey: redis.Redis) -> None:
    nowhere = Elasticsearch(f"http://127.0.0.1:{free_port()}", max_retries=0)
    with nowhere, pytest.raises(ElasticsearchUnavailable, match="see whether"):
        Reception(nowhere, valkey, pseudonym_key="k", chunk_events=1).take(lines("x", 1))


def test_a_valkey_that_is_away_is_an_error(
    stack: Stack, es: Elasticsearch, known: list[str]
) -> None:
    nowhere = redis.Redis(port=free_port(), retry=Retry(NoBackoff(), 0))
    reception = Reception(es, nowhere, pseudonym_key="k", chunk_events=CHUNK)
    with pytest.raises(ValkeyUnavailable, match="ConnectionError"):
        hand_over(reception, reception.take(lines(known[0], 1)))
