"""Texts of successful searches: counted in any order, hidden until enough shoppers agree."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.behaviour import phrases, state
from indexer.behaviour.event import BehaviourEvent

DAY = 86_400.0
START = 1_300_000_000.0
ENOUGH = 2


def event(
    text: str | None = "red lamp", user: str | None = "u", action: str = "click", day: float = 0.0
) -> BehaviourEvent:
    return BehaviourEvent(
        event_id="e", action=action, item_id="a", timestamp=START + day * DAY, user=user,
        query_key=text,
    )  # fmt: skip


def folded(*chunks: Sequence[BehaviourEvent], enough: int = ENOUGH) -> dict[str, bytes]:
    folding, values = phrases.Folding(enough), dict[str, bytes]()
    for chunk in chunks:
        keys = folding.keys_for(chunk, {})
        new = folding.fold({key: values.get(key) for key in keys}, chunk)
        assert set(new) <= set(keys)
        values.update(new)
    return values


def known(values: dict[str, bytes]) -> dict[str, float]:
    found = [it for key in phrases.KEYS for it in phrases.read(values.get(key))]
    assert len({it.text for it in found}) == len(found)
    return {it.text: it.strength for it in found}


events = st.builds(
    event,
    text=st.sampled_from(["red lamp", "lamp", "台灯", None]),
    user=st.sampled_from(["u", "v", "w", None]),
    action=st.sampled_from(["impression", "click", "view", "add_to_cart", "purchase", "dismiss"]),
    day=st.floats(0, 100),
)


@given(
    st.lists(events, min_size=1, max_size=30),
    st.integers(0, 30),
    st.randoms(use_true_random=False),
)
def test_neither_order_nor_chunks_change_what_is_known(
    found: list[BehaviourEvent], cut: int, random: Random
) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    # The watermark lets no event of a first batch count as later: the latest one comes first.
    last = event(None, action="purchase", day=100)
    one = known(folded([last], found))
    other = known(folded([last], *[it for it in (shuffled[:cut], shuffled[cut:]) if it]))
    assert one == pytest.approx(other, abs=1e-6)


@given(st.lists(events, min_size=1, max_size=30), st.integers(1, 4))
def test_a_text_is_kept_only_when_enough_shoppers_searched_for_it(
    found: list[BehaviourEvent], enough: int
) -> None:
    values = folded(found, enough=enough)
    for text in ("red lamp", "lamp", "台灯"):
        shoppers = {it.user for it in found if it.query_key == text and phrases.succeeded(it)}
        agreed = len(shoppers - {None}) >= enough
        assert (text in known(values)) is agreed
        if not agreed:
            assert text.encode() not in values.get(phrases.key_of(text), b"")


def test_state_is_what_it_is_without_phrases() -> None:
    chunk = [event(), event(user="v", action="purchase")]
    values = folded(chunk)
    alone = state.fold(dict.fromkeys(state.keys_for(chunk, {})), chunk)
    assert {key: it for key, it in values.items() if key not in phrases.KEYS} == alone


def test_a_purchase_tells_more_than_a_click_and_old_counts_fade() -> None:
    two = [event("lamp", user) for user in "uv"]
    bought = [event("desk", user, "purchase") for user in "uv"]
    old = [event("chair", user, "purchase", day=-phrases.HALF_LIFE_DAYS * 4) for user in "uv"]
    strength = known(folded([*two, *bought, *old]))
    assert strength["desk"] > strength["lamp"] > strength["chair"]
    assert strength["desk"] - strength["chair"] == pytest.approx(4.0, abs=1e-6)


def test_a_shopper_without_an_id_counts_but_agrees_with_nobody() -> None:
    assert known(folded([event(user=None)] * 9)) == {}


def test_the_weakest_texts_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phrases, "ENTRIES_MAX", 2)
    texts = [text for text in map(str, range(3000)) if phrases.key_of(text) == phrases.KEYS[0]]
    strong, rest = texts[:2], texts[2:9]
    chunk = [event(text, user, "purchase") for text in strong for user in "uv"]
    chunk += [event(text, user) for text in rest for user in "uv"]
    assert set(known(folded(chunk))) == set(strong)


def test_what_is_no_bucket_reads_as_none() -> None:
    assert phrases.read(None) == []
    bucket = folded([event(user=user) for user in "uv"])[phrases.key_of("red lamp")]
    assert [it.text for it in phrases.read(bucket)] == ["red lamp"]


def test_a_very_long_text_is_not_counted() -> None:
    assert not phrases.succeeded(event("x" * (phrases.TEXT_CHARACTERS_MAX + 1)))
