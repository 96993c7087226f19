"""Which events teach the adaptive layer: once in effect, within bounds, and not robots'."""

import uuid
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import redis

from indexer.behaviour import adaptive, feedback, phrases, shown_list, state, store
from indexer.behaviour.adaptive import Layer
from indexer.behaviour.event import BehaviourEvent
from indexer.behaviour.shown_list import ShownList
from indexer.identity import hashes

T0 = 1_700_000_000.0
WIDTH = 4
ITEMS = [f"i{number}" for number in range(6)]
FOLDING = feedback.Folding(phrases.Folding(3), events_max=5)
LIST = ShownList(
    model="m1",
    segment="known:",
    time=T0,
    items=hashes(ITEMS),
    features=adaptive.features(np.random.default_rng(1).normal(size=(6, WIDTH))).astype(np.float16),
    scores=np.zeros(6, dtype=np.float32),
)


def event(number: int, item: str = "i3", **said: object) -> BehaviourEvent:
    made = BehaviourEvent(
        event_id=f"e{number}",
        action="click",
        item_id=item,
        timestamp=T0 + number,
        user="u1",
        query_key="mug",
        query_id="q1",
        sender="client",
    )
    return replace(made, **said)  # type: ignore[arg-type]


def folded(*events: BehaviourEvent, **values: bytes) -> dict[str, bytes]:
    """Changed values after events on the one list that is there."""
    known = {shown_list.key("q1"): shown_list.encode(LIST), **values}
    baskets = {key: known.get(key) for key in FOLDING.basket_keys(events)}
    keys = FOLDING.keys_for(events, baskets)
    return FOLDING.fold({**{key: known.get(key) for key in keys}, **baskets}, events)


def lessons(*events: BehaviourEvent) -> int:
    return layer(folded(*events)).lessons


def layer(values: dict[str, bytes]) -> Layer:
    return adaptive.decode(values.get(feedback.layer_key("m1")), WIDTH)


def test_a_shown_list_reads_as_it_was_kept() -> None:
    read = shown_list.decode(shown_list.encode(LIST))
    assert read is not None
    assert (read.model, read.segment, read.time) == ("m1", "known:", T0)
    assert (read.features == LIST.features).all()
    assert read.place("i4") == 4
    assert read.place("elsewhere") is None
    assert shown_list.decode(None) is None


def test_a_click_raises_what_is_like_the_clicked_item() -> None:
    part = layer(folded(event(1))).part(LIST.features.astype(float), LIST.segment)
    assert part[3] > 0


def test_a_person_a_search_and_an_item_count_once() -> None:
    once, again = folded(event(1)), folded(event(1), event(2), event(3, query_id="q1"))
    assert again[feedback.layer_key("m1")] == once[feedback.layer_key("m1")]
    assert lessons(event(1), event(2, user="u2")) == 2
    assert lessons(event(1), event(2, "i4")) == 2


def test_a_purchase_after_a_click_adds_only_what_it_weighs_more() -> None:
    bought = event(2, action="purchase")
    clicked_before = layer(folded(event(1), bought))
    assert clicked_before.lessons == 2
    assert lessons(bought, event(3)) == 1


def test_a_day_later_the_same_counts_again_on_a_new_list() -> None:
    first = folded(event(1))
    kept = {key: value for key, value in first.items() if key.startswith(feedback.TAUGHT)}
    later = replace(LIST, time=T0 + 90_000)
    found = folded(
        event(90_001),
        **kept,
        **{shown_list.key("q1"): shown_list.encode(later)},
    )
    assert layer(found).lessons == 1


def test_one_person_teaches_so_much_in_a_day_and_no_more() -> None:
    many = [event(n, ITEMS[n % 6], query_key=f"words {n // 6}") for n in range(30)]
    assert lessons(*many) == FOLDING.events_max
    assert lessons(*(replace(it, sender="trusted") for it in many)) == 30


def test_one_address_cannot_hide_behind_many_names() -> None:
    many = [event(n, user=f"u{n}", address="a-1") for n in range(100)]
    assert lessons(*many) == feedback.ADDRESS_SHARE * FOLDING.events_max
    assert lessons(*(replace(it, address=None, sender="trusted") for it in many)) == 100


@pytest.mark.parametrize(
    "said",
    [
        {"sender": "robot"},
        {"user": None},  # nobody can be told apart
        {"query_id": None},
        {"query_id": "never-shown"},
        {"item_id": "elsewhere"},
        {"action": "impression"},
        {"timestamp": T0 - 3600},  # before the list was there
        {"timestamp": T0 + 2 * 86_400},
    ],
)
def test_what_teaches_nothing(said: dict[str, object]) -> None:
    assert lessons(event(1, **said)) == 0


def test_what_is_given_back_teaches_the_other_way_once() -> None:
    back = event(5, action="return")
    part = layer(folded(back)).part(LIST.features.astype(float), LIST.segment)
    assert part[3] < 0
    assert lessons(back, event(6, action="return")) == 1


def test_models_have_layers_of_their_own() -> None:
    other = replace(LIST, model="m2")
    events = [event(1), event(2, query_id="q2", user="u2")]
    found = folded(*events, **{shown_list.key("q2"): shown_list.encode(other)})
    assert {key for key in found if key.startswith(feedback.LAYER)} == {
        feedback.layer_key("m1"),
        feedback.layer_key("m2"),
    }


def test_without_a_bound_nobody_teaches() -> None:
    off = feedback.Folding(phrases.Folding(3), events_max=0)
    assert off.basket_keys([event(1)]) == phrases.Folding(3).basket_keys([event(1)])
    assert state.WATERMARK in off.keys_for([event(1)], {})


@pytest.fixture
def index(valkey: redis.Redis) -> Iterator[str]:
    """A name of nothing, with the list in Valkey."""
    name = f"feedback-{uuid.uuid4().hex[:8]}"
    valkey.set(store.key(name, shown_list.key("q1")), shown_list.encode(LIST))
    yield name
    valkey.delete(*valkey.scan_iter(f"hw:{name}:*", count=10_000))


def test_delivered_again_in_any_parts_the_layer_is_as_if_it_came_once(
    valkey: redis.Redis, index: str
) -> None:
    events = [event(n, ITEMS[n % 6], user=f"u{n}") for n in range(20)]
    for part in (events[:7], events[:12], events[5:], events, events[::-1]):
        store.apply(valkey, index, part, folding=FOLDING)
    blob = valkey.get(store.key(index, feedback.layer_key("m1")))
    assert adaptive.decode(blob, WIDTH).lessons == 20  # type: ignore[arg-type]
    before = valkey.get(store.key(index, feedback.layer_key("m1")))
    assert store.apply(valkey, index, events, folding=FOLDING).accepted == 0
    assert valkey.get(store.key(index, feedback.layer_key("m1"))) == before
    assert valkey.ttl(store.key(index, feedback.taught_key("u1"))) > 0
