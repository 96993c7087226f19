"""What is on its way is seen by who did it, exactly once, whenever it is folded."""

import uuid
from collections.abc import Iterator, Sequence

import pytest
import redis

from indexer.behaviour import pending, shopper_profile, state, store
from indexer.behaviour.event import BehaviourEvent
from indexer.behaviour.popularity import VIEW

T0 = 1_700_000_000.0


def event(number: int, item: str, user: str = "u", action: str = "click") -> BehaviourEvent:
    return BehaviourEvent(f"e-{number}-%d.+", action, item, T0 + number, user=user)


@pytest.fixture
def index(valkey: redis.Redis) -> Iterator[str]:
    name = f"pending-{uuid.uuid4().hex[:8]}"
    yield name
    if keys := list(valkey.scan_iter(f"hw:{name}:*", count=10_000)):
        valkey.delete(*keys)


def seen(valkey: redis.Redis, index: str, user: str = "u") -> dict[str, float]:
    """How often each item was opened, as the next search of this shopper knows it."""
    profile, due = store.read(valkey, index, [state.shopper_key(user), pending.key(user)])
    found = shopper_profile.decode(pending.over(profile, due))
    return dict(zip(found.ids(len(found)), found.records["count"][:, VIEW].tolist(), strict=True))


def taken(valkey: redis.Redis, index: str, *events: BehaviourEvent) -> None:
    with valkey.pipeline() as pipe:
        pending.note(pipe, index, events)
        pipe.execute()


def folded(valkey: redis.Redis, index: str, events: Sequence[BehaviourEvent]) -> None:
    store.apply(valkey, index, events, also=lambda pipe, _: pending.settle(pipe, index, events))


def test_a_deed_is_seen_from_when_it_is_taken_and_never_twice(
    valkey: redis.Redis, index: str
) -> None:
    first, second = event(1, "a"), event(2, "b")
    taken(valkey, index, first)
    taken(valkey, index, second, event(3, "c", user="other"))
    assert seen(valkey, index) == {"a": 1.0, "b": 1.0}
    folded(valkey, index, [first])
    assert seen(valkey, index) == {"a": 1.0, "b": 1.0}
    folded(valkey, index, [second])
    assert seen(valkey, index) == {"a": 1.0, "b": 1.0}
    assert not valkey.exists(store.key(index, pending.key("u")))
    assert seen(valkey, index, "other") == {"c": 1.0}


def test_one_that_comes_again_is_counted_once_as_soon_as_it_is_looked_at(
    valkey: redis.Redis, index: str
) -> None:
    again = event(1, "a")
    taken(valkey, index, again)
    folded(valkey, index, [again])
    taken(valkey, index, again)
    folded(valkey, index, [again])
    assert seen(valkey, index) == {"a": 1.0}


def test_what_is_no_deed_of_a_known_shopper_is_not_noted(valkey: redis.Redis, index: str) -> None:
    taken(valkey, index, event(1, "a", action="impression"), event(2, "", action="click"))
    assert not list(valkey.scan_iter(f"hw:{index}:due:*", count=10_000))


def test_a_deed_that_nobody_folds_is_forgotten_in_time(valkey: redis.Redis, index: str) -> None:
    taken(valkey, index, event(1, "a"))
    assert 0 < valkey.ttl(store.key(index, pending.key("u"))) <= pending.TTL_SECONDS  # type: ignore[operator]
