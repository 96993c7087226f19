"""Behaviour on its way in: an entry is in the stream or folded, whatever happens in between."""

from typing import Any, cast

import pytest
import redis
from elastic_transport import ConnectionError as NodeUnreachable
from elasticsearch import Elasticsearch

from indexer import inbox
from indexer.behaviour import arrivals, fold, journal_index, store, ubi
from indexer.behaviour.arrivals import Batch, Entries, Ticket
from indexer.behaviour.fold import Folded
from indexer.errors import StackFailed
from tests.conftest import free_port

NOW = 1_700_000_000.0


@pytest.fixture
def wakes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Indices that a worker was woken for; none is, so the test folds itself."""
    found: list[str] = []
    monkeypatch.setattr(inbox, "submit", lambda _name, _queue, index: found.append(index))
    return found


def click(number: int) -> dict[str, Any]:
    attributes = {"object": {"object_id": f"i{number}"}}
    raw = {"action_name": "click", "user_id": "u", "event_attributes": attributes, "n": number}
    return ubi.read({**raw, "timestamp": 1.3e9 + number}, key="k", now=NOW, live=True)[1]


def clicks(*numbers: int) -> Batch:
    return {"event": [click(number) for number in numbers]}


def waiting(valkey: redis.Redis, index: str) -> int:
    return int(valkey.xlen(store.key(index, "arrived")))


def drain(es: Elasticsearch, valkey: redis.Redis, index: str) -> bool:
    return fold.drain(es, valkey, index, documents_max=100, seconds_max=60)


def known(valkey: redis.Redis, index: str) -> int:
    names = valkey.scan_iter(f"hw:{index}:seen:*", count=10_000)
    return sum(valkey.scard(name) for name in names)


def test_what_is_folded_has_left_the_stream(
    es: Elasticsearch, valkey: redis.Redis, index_name: str, wakes: list[str]
) -> None:
    for number in range(5):
        arrivals.hand_over(valkey, index_name, clicks(number))
    assert waiting(valkey, index_name) == 5
    assert drain(es, valkey, index_name) is False
    assert (waiting(valkey, index_name), known(valkey, index_name)) == (0, 5)


def test_a_burst_wakes_once_and_what_comes_after_wakes_again(
    es: Elasticsearch, valkey: redis.Redis, index_name: str, wakes: list[str]
) -> None:
    for number in range(5):
        arrivals.hand_over(valkey, index_name, clicks(number))
    assert wakes == [index_name]
    drain(es, valkey, index_name)
    arrivals.hand_over(valkey, index_name, clicks(9))
    assert wakes == [index_name] * 2


def test_what_could_not_be_folded_stays(
    es: Elasticsearch, valkey: redis.Redis, index_name: str, wakes: list[str]
) -> None:
    arrivals.hand_over(valkey, index_name, clicks(1))
    nowhere = Elasticsearch(f"http://127.0.0.1:{free_port()}", max_retries=0)
    with nowhere, pytest.raises(NodeUnreachable):
        drain(nowhere, valkey, index_name)
    assert (waiting(valkey, index_name), known(valkey, index_name)) == (1, 0)
    drain(es, valkey, index_name)
    assert (waiting(valkey, index_name), known(valkey, index_name)) == (0, 1)


def test_an_end_between_journal_and_state_is_repaired_by_the_next_one(
    es: Elasticsearch,
    valkey: redis.Redis,
    index_name: str,
    wakes: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ends(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    arrivals.hand_over(valkey, index_name, clicks(1, 2))
    with monkeypatch.context() as patch:
        patch.setattr(store, "apply", ends)
        with pytest.raises(KeyboardInterrupt):
            drain(es, valkey, index_name)
    assert (waiting(valkey, index_name), known(valkey, index_name)) == (1, 0)
    drain(es, valkey, index_name)
    assert (waiting(valkey, index_name), known(valkey, index_name)) == (0, 2)
    es.indices.refresh(index=journal_index.EVENTS)
    mine = {"term": {"hitweave.index": index_name}}
    assert es.count(index=journal_index.EVENTS, query=mine)["count"] == 2


def test_an_entry_that_cannot_be_folded_goes_aside_and_holds_up_nobody(
    es: Elasticsearch, valkey: redis.Redis, index_name: str, wakes: list[str]
) -> None:
    broken: Batch = {"event": [{"event_id": "x", "no": "action"}]}
    arrivals.hand_over(valkey, index_name, clicks(1))
    arrivals.hand_over(valkey, index_name, broken)
    arrivals.hand_over(valkey, index_name, broken, Ticket(index_name, 0))
    arrivals.hand_over(valkey, index_name, clicks(2))
    drain(es, valkey, index_name)
    assert (waiting(valkey, index_name), known(valkey, index_name)) == (0, 2)
    aside = cast(Entries, valkey.xrange(store.key(index_name, "set-aside")))
    assert [fields[b"reason"] for _, fields in aside] == [b"KeyError"] * 2
    told = fold.outcomes(valkey, index_name)
    assert told == {0: Folded(rejected=1, reason="KeyError")}


def test_who_waits_is_told_of_their_own_chunk_and_once(
    es: Elasticsearch, valkey: redis.Redis, index_name: str, wakes: list[str]
) -> None:
    arrivals.hand_over(valkey, index_name, clicks(1))
    arrivals.hand_over(valkey, index_name, clicks(1, 2, 3), Ticket(index_name, 0))
    arrivals.hand_over(valkey, index_name, clicks(4))
    drain(es, valkey, index_name)
    assert fold.outcomes(valkey, index_name) == {0: Folded(accepted=2, duplicate=1)}
    arrivals.hand_over(valkey, index_name, clicks(1, 2, 3), Ticket(index_name, 0))
    drain(es, valkey, index_name)
    assert fold.outcomes(valkey, index_name) == {0: Folded(accepted=2, duplicate=1)}


def test_a_long_stream_is_left_to_the_next_turn(
    es: Elasticsearch, valkey: redis.Redis, index_name: str, wakes: list[str]
) -> None:
    for number in range(4):
        arrivals.hand_over(valkey, index_name, clicks(2 * number, 2 * number + 1))
    assert fold.drain(es, valkey, index_name, documents_max=4, seconds_max=0) is True
    assert waiting(valkey, index_name) == 2


def test_entries_whose_wake_up_was_lost_are_found(
    valkey: redis.Redis, index_name: str, wakes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals.hand_over(valkey, index_name, clicks(1))
    assert index_name not in arrivals.wake_stranded(valkey)
    valkey.delete(store.key(index_name, "woken"))
    monkeypatch.setattr(arrivals, "STRANDED_SECONDS", -1.0)
    assert index_name in arrivals.wake_stranded(valkey)
    assert index_name not in arrivals.wake_stranded(valkey)
    assert wakes.count(index_name) == 2


def test_when_too_much_waits_the_sender_is_told(
    valkey: redis.Redis, index_name: str, wakes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "ENTRIES_MAX", 2)
    arrivals.hand_over(valkey, index_name, clicks(1))
    arrivals.hand_over(valkey, index_name, clicks(2))
    with pytest.raises(StackFailed, match="wait"):
        arrivals.hand_over(valkey, index_name, clicks(3))
    assert waiting(valkey, index_name) == 2
