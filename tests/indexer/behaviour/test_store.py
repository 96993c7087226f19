"""Behaviour state on a real Valkey: exactly once in effect, whatever is delivered how often."""

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import WatchError

from indexer.behaviour import state, store
from indexer.behaviour.event import BehaviourEvent
from indexer.behaviour.store import Applied

T0 = 1_300_000_000.0
run_often = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Counting:
    """The smallest state there is: how often each item was acted on."""

    def basket_keys(self, events: Iterable[BehaviourEvent]) -> list[str]:
        return []

    def keys_for(
        self, events: Sequence[BehaviourEvent], baskets: Mapping[str, bytes | None]
    ) -> list[str]:
        return sorted({f"count:{event.item_id}" for event in events})

    def fold(
        self, values: Mapping[str, bytes | None], events: Sequence[BehaviourEvent]
    ) -> dict[str, bytes]:
        counts = Counter(f"count:{event.item_id}" for event in events)
        return {name: b"%d" % (int(values[name] or 0) + n) for name, n in counts.items()}


def event(number: int, item: str | None = None) -> BehaviourEvent:
    return BehaviourEvent(
        event_id=f"e{number}",
        action="purchase",
        item_id=f"i{number % 5}" if item is None else item,
        timestamp=T0 + number * 60,
        user=f"u{number % 3}",
        session=f"s{number % 7}",
        basket=f"s{number % 7}",
        query_key="mug" if number % 2 else None,
        position=1 + number % 4,
    )


def contents(valkey: redis.Redis, index: str) -> dict[bytes, object]:
    """Everything that is kept of an index, without how long it is still kept."""
    found: dict[bytes, object] = {}
    for name in valkey.scan_iter(f"hw:{index}:*", count=10_000):
        is_set = valkey.type(name) == b"set"
        found[name] = valkey.smembers(name) if is_set else valkey.get(name)
    return found


def counts(valkey: redis.Redis, index: str) -> dict[str, int]:
    names = list(valkey.scan_iter(f"hw:{index}:count:*", count=10_000))
    return {name.decode().split(":")[-1]: int(valkey.get(name) or 0) for name in names}


def expected(events: Iterable[BehaviourEvent]) -> dict[str, int]:
    return dict(Counter(it.item_id for it in {it.event_id: it for it in events}.values()))


deliveries = st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=8)


@run_often
@given(deliveries)
def test_any_chunks_orders_and_repetitions_count_each_event_once(
    valkey: redis.Redis, index_name: str, chunks: list[list[int]]
) -> None:
    index_name += uuid.uuid4().hex[:8]
    delivered = [[event(number) for number in chunk] for chunk in chunks]
    applied = [store.apply(valkey, index_name, it, folding=Counting()) for it in delivered]
    everything = [it for chunk in delivered for it in chunk]
    assert counts(valkey, index_name) == expected(everything)
    assert sum(it.accepted for it in applied) == len({it.event_id for it in everything})
    assert sum(it.accepted + it.duplicate for it in applied) == len(everything)


@run_often
@given(st.sets(st.integers(0, 60), min_size=1), st.randoms(use_true_random=False))
def test_a_redelivery_changes_no_byte_of_the_real_state(
    valkey: redis.Redis, index_name: str, numbers: set[int], random: object
) -> None:
    index_name += uuid.uuid4().hex[:8]
    events = [event(number) for number in sorted(numbers)]
    store.apply(valkey, index_name, events)
    before = contents(valkey, index_name)
    assert before[store.key(index_name, state.WATERMARK).encode()]
    random.shuffle(events)  # type: ignore[attr-defined]
    for chunk in (events[::2], events[1::2], events):
        assert store.apply(valkey, index_name, chunk) == Applied(0, len(chunk))
    assert contents(valkey, index_name) == before


def test_concurrent_appliers_lose_and_double_nothing(valkey: redis.Redis, index_name: str) -> None:
    chunks = [[event(n) for n in range(start, start + 40)] for start in range(0, 200, 10)] * 2
    with ThreadPoolExecutor(6) as pool:
        applied = list(
            pool.map(lambda it: store.apply(valkey, index_name, it, folding=Counting()), chunks)
        )
    everything = [it for chunk in chunks for it in chunk]
    assert counts(valkey, index_name) == expected(everything)
    assert sum(it.accepted for it in applied) == len({it.event_id for it in everything})


def test_concurrent_appliers_are_right_without_the_lock_too(
    valkey: redis.Redis, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_courtesy_lock", no_lock)
    chunks = [[event(n) for n in range(start, start + 10)] for start in range(0, 80, 5)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda it: store.apply(valkey, index_name, it, folding=Counting()), chunks))
    assert counts(valkey, index_name) == expected(it for chunk in chunks for it in chunk)


def no_lock(valkey: redis.Redis, index: str) -> object:
    from contextlib import nullcontext

    return nullcontext()


class Interrupted(Counting):
    """Something else changes the state while it is folded, a given number of times."""

    def __init__(self, valkey: redis.Redis, index: str, times: int) -> None:
        self.valkey, self.index, self.left = valkey, index, times
        self.folds = 0

    def fold(
        self, values: Mapping[str, bytes | None], events: Sequence[BehaviourEvent]
    ) -> dict[str, bytes]:
        self.folds += 1
        if self.left:
            self.left -= 1
            other = [event(1000 + self.left, item="i1")]
            store.apply(self.valkey, self.index, other, folding=Counting())
        return super().fold(values, events)


def test_a_change_in_between_makes_it_start_over(
    valkey: redis.Redis, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_courtesy_lock", no_lock)
    folding = Interrupted(valkey, index_name, times=2)
    assert store.apply(valkey, index_name, [event(1)], folding=folding) == Applied(1, 0)
    assert folding.folds == 3
    assert counts(valkey, index_name) == {"i1": 3}


def test_it_gives_up_with_a_named_error_when_others_never_stop(
    valkey: redis.Redis, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_courtesy_lock", no_lock)
    monkeypatch.setattr(store, "RETRY_SECONDS_MAX", 0.3)
    with pytest.raises(WatchError):
        store.apply(
            valkey, index_name, [event(1)], folding=Interrupted(valkey, index_name, times=10**9)
        )
    assert store.apply(valkey, index_name, [event(1)], folding=Counting()) == Applied(1, 0)


def test_nothing_is_half_done_when_it_fails_before_the_end(
    valkey: redis.Redis, index_name: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the process ends here")

    with pytest.raises(RuntimeError):
        store.apply(valkey, index_name, [event(1)], folding=Counting(), also=fail)
    assert counts(valkey, index_name) == {}
    assert store.apply(valkey, index_name, [event(1)], folding=Counting()) == Applied(1, 0)
    assert counts(valkey, index_name) == {"i1": 1}


def test_a_lock_that_a_dead_worker_left_holds_nobody_up(
    valkey: redis.Redis, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCK_WAIT_SECONDS", 0.05)
    valkey.set(store.key(index_name, "lock"), "the dead one's", ex=60)
    assert store.apply(valkey, index_name, [event(1)], folding=Counting()) == Applied(1, 0)
    assert valkey.get(store.key(index_name, "lock")) == b"the dead one's"


def test_an_event_without_an_item_is_known_but_folded_into_nothing(
    valkey: redis.Redis, index_name: str
) -> None:
    events = [event(1, item=""), event(2)]
    assert store.apply(valkey, index_name, events, folding=Counting()) == Applied(2, 0)
    assert counts(valkey, index_name) == {"i2": 1}
    assert store.apply(valkey, index_name, events, folding=Counting()) == Applied(0, 2)


def test_the_revision_moves_with_every_change_and_with_nothing_else(
    valkey: redis.Redis, index_name: str
) -> None:
    def revision() -> bytes | None:
        return store.read(valkey, index_name, ["revision"])[0]

    store.apply(valkey, index_name, [event(1)], folding=Counting())
    first = revision()
    store.apply(valkey, index_name, [event(1)], folding=Counting())
    assert revision() == first
    store.apply(valkey, index_name, [event(2)], folding=Counting())
    assert revision() != first


def test_known_events_are_kept_as_packed_integers(valkey: redis.Redis, index_name: str) -> None:
    store.apply(valkey, index_name, [event(n) for n in range(500)], folding=Counting())
    buckets = list(valkey.scan_iter(f"hw:{index_name}:seen:*", count=10_000))
    assert sum(valkey.scard(bucket) for bucket in buckets) == 500
    assert {valkey.object("encoding", bucket) for bucket in buckets} == {b"intset"}


def test_open_baskets_expire_and_counts_do_not(valkey: redis.Redis, index_name: str) -> None:
    store.apply(valkey, index_name, [event(1)])
    (basket,) = valkey.scan_iter(f"hw:{index_name}:basket:*", count=10_000)
    assert 0 < valkey.ttl(basket) <= state.BASKET_TTL_SECONDS
    assert valkey.ttl(store.key(index_name, state.popularity_key("i1"))) == -1


def test_values_are_read_in_the_order_asked_for(valkey: redis.Redis, index_name: str) -> None:
    store.apply(valkey, index_name, [event(1), event(2)], folding=Counting())
    assert store.read(valkey, index_name, ["count:i2", "count:none", "count:i1"]) == [
        b"1",
        None,
        b"1",
    ]
    assert store.read(valkey, index_name, []) == []


def test_indices_know_nothing_of_each_other(valkey: redis.Redis, index_name: str) -> None:
    store.apply(valkey, index_name, [event(1)], folding=Counting())
    assert store.apply(valkey, f"{index_name}x", [event(1)], folding=Counting()) == Applied(1, 0)
