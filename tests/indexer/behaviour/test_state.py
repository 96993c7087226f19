"""The behaviour state: what folding promises, whatever the order and the chunks."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.behaviour import (
    copurchase,
    popularity,
    query_stats,
    shopper_profile,
    state,
    trending,
    watermark,
)
from indexer.behaviour.event import BehaviourEvent
from indexer.identity import hash64

DAY = 86_400.0
START = 1_300_000_000.0


def event(
    item: str = "a",
    action: str = "purchase",
    day: float = 0.0,
    user: str | None = "u",
    basket: str | None = None,
    query: str | None = None,
    position: int | None = None,
) -> BehaviourEvent:
    return BehaviourEvent(
        event_id="e",
        action=action,
        item_id=item,
        timestamp=START + day * DAY,
        user=user,
        basket=basket,
        query_key=query,
        position=position,
    )


def folded(*chunks: Sequence[BehaviourEvent]) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    for chunk in chunks:
        baskets = {key: values.get(key) for key in state.basket_keys(chunk)}
        keys = state.keys_for(chunk, baskets)
        new = state.fold({key: values.get(key) for key in keys}, chunk)
        assert set(new) <= set(keys)
        values.update(new)
    return values


def popular(values: dict[str, bytes], item: str, day: float = 0.0) -> popularity.Popularity:
    return popularity.unpack_many([values.get(state.popularity_key(item))], START + day * DAY)


actions = st.sampled_from(
    ["impression", "view", "click", "add_to_cart", "purchase", "dismiss", "remove_from_cart"]
)
events = st.builds(
    event,
    item=st.sampled_from("abcdé中"),
    action=actions,
    day=st.floats(0, 0.9),
    user=st.sampled_from(["u", "v", None]),
    basket=st.sampled_from(["1", "2", None]),
    query=st.sampled_from(["red", "blue", None]),
    position=st.sampled_from([None, 1, 7]),
)


@settings(deadline=None)
@given(st.lists(events, min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_events_changes_no_count(found: list[BehaviourEvent], random: Random) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    now = START + 2 * DAY
    one, other = folded(found), folded(shuffled)
    assert one.keys() == other.keys()
    items = [state.popularity_key(i) for i in "abcdé中"]
    a, b = (popularity.unpack_many([v.get(k) for k in items], now) for v in (one, other))
    for name in ("decayed", "total", "buyers", "first_age_days", "last_age_days"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-4)
    for user in "uv":
        c, d = (shopper_profile.decode(v.get(state.shopper_key(user))) for v in (one, other))
        assert c.ids(len(c)) == d.ids(len(d))
        np.testing.assert_array_equal(c.records, d.records)
        np.testing.assert_array_equal(c.header, d.header)


@settings(deadline=None)
@given(st.lists(events, min_size=1, max_size=30), st.integers(0, 30))
def test_chunks_change_no_count(found: list[BehaviourEvent], cut: int) -> None:
    chunks = [c for c in (found[:cut], found[cut:]) if c]
    one, other = folded(found), folded(*chunks)
    now = START + 2 * DAY
    items = [state.popularity_key(i) for i in "abcdé中"]
    a, b = (popularity.unpack_many([v.get(k) for k in items], now) for v in (one, other))
    np.testing.assert_allclose(a.decayed, b.decayed, rtol=1e-4)
    assert one.keys() == other.keys()
    for query in ("red", "blue"):
        c, d = (query_stats.decode(v.get(state.query_stats_key(query))) for v in (one, other))
        np.testing.assert_array_equal(c.records["item"], d.records["item"])
        np.testing.assert_allclose(c.records["count"], d.records["count"], rtol=1e-4)
        np.testing.assert_allclose(c.records["exposure"], d.records["exposure"], rtol=1e-4)


def test_a_decayed_count_halves_in_its_half_life() -> None:
    values = folded([event()])
    counts = popular(values, "a", day=30.0).decayed[0, popularity.PURCHASE]
    np.testing.assert_allclose(counts, [2.0 ** (-30 / h) for h in popularity.HALF_LIVES_DAYS])


def by_half_life(hours: float, *chunks: Sequence[BehaviourEvent]) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    for chunk in chunks:
        before = {key: values.get(key) for key in state.keys_for(chunk)}
        values.update(state.fold(before, chunk, hours))
    return values


def test_counts_halve_in_the_half_lives_that_go_with_the_one_that_is_said() -> None:
    counts = popular(by_half_life(24.0, [event()]), "a", day=1.0)
    ladder = [h / 30.0 for h in popularity.HALF_LIVES_DAYS]
    expected = [2.0 ** (-1.0 / h) for h in ladder]
    np.testing.assert_allclose(counts.decayed[0, popularity.PURCHASE], expected, rtol=1e-6)
    assert counts.total[0, popularity.PURCHASE] == 1
    assert counts.pace[0] == pytest.approx(1 / 30)


def test_the_usual_half_life_leaves_every_value_as_it_was() -> None:
    found = [event(item, day=day) for item in "ab" for day in (0.0, 3.0)]
    values = by_half_life(popularity.USUAL_HALF_LIFE_HOURS, found)
    assert values == by_half_life(720.0, found) == folded(found)
    assert len(values[state.popularity_key("a")]) == popularity.RECORD.itemsize
    assert values[trending.BOARD].startswith(b"[[")


def test_another_half_life_goes_on_with_what_a_steady_stream_would_have_left() -> None:
    steady = [event(day=-n / 10) for n in range(5000, 0, -1)]
    there = by_half_life(720.0, steady)
    key, board = state.popularity_key("a"), trending.BOARD
    again = {k: state.fold(there, [event()], 24.0)[k] for k in (key, board)}
    fresh = by_half_life(24.0, [*steady, event()])
    after, whole = (
        popular(values, "a").decayed[0, popularity.PURCHASE] for values in (again, fresh)
    )
    np.testing.assert_allclose(after, whole, rtol=0.1)
    counts = [dict(trending.decode(values[board]))["a"] for values in (again, fresh)]
    assert counts[0] == pytest.approx(counts[1], abs=0.1)
    back = state.fold(again, [event()], 720.0)
    kept = popular(back, "a").total[0, popularity.PURCHASE]
    assert (kept, len(back[key])) == (5002, popularity.RECORD.itemsize)


def test_records_of_both_kinds_are_read_together() -> None:
    usual, short = by_half_life(720.0, [event()]), by_half_life(24.0, [event()])
    key, now = state.popularity_key("a"), START + DAY
    both = popularity.unpack_many([usual[key], None, short[key]], now)
    for row, alone in ((0, usual[key]), (1, None), (2, short[key])):
        one = popularity.unpack_many([alone], now)
        np.testing.assert_array_equal(both.decayed[row], one.decayed[0])
    assert both.present.tolist() == [True, False, True]
    assert not both.without(np.array([True, False, True])).present.any()


def test_a_late_event_counts_by_its_own_age() -> None:
    values = folded([event(day=30.0)] * 8, [event(day=0.0)])
    counts = popular(values, "a", day=30.0).decayed[0, popularity.PURCHASE]
    expected = [8 + 2.0 ** (-30 / h) for h in popularity.HALF_LIVES_DAYS]
    np.testing.assert_allclose(counts, expected, rtol=1e-6)


def test_an_unknown_item_is_missing_not_zero_days_old() -> None:
    unknown = popular({}, "a")
    assert not unknown.present[0]
    assert unknown.total.sum() == 0
    assert np.isnan(unknown.first_age_days[0])
    assert np.isnan(unknown.last_age_days).all()


def test_an_unknown_action_changes_nothing() -> None:
    assert folded([event(action="hover")]) == {}


def test_one_stray_event_neither_moves_the_watermark_nor_wipes_out_counts() -> None:
    usual = [event(item=str(n % 90), day=min(n, 90) / 100) for n in range(100)]
    before = folded(usual)
    after = folded(usual, [event(item="3", day=5000.0)])
    mark = watermark.decode(after[state.WATERMARK])
    assert mark.at == watermark.decode(before[state.WATERMARK]).at
    old, new = (popular(v, "3", day=1.0).decayed[0, popularity.PURCHASE] for v in (before, after))
    assert (new > old).all()


def test_the_watermark_follows_a_bulk_of_events() -> None:
    values = folded([event(day=0.0)] * 10, [event(day=300.0 + n / 100) for n in range(100)])
    mark = watermark.decode(values[state.WATERMARK])
    assert mark.at == pytest.approx(START + 300.92 * DAY)


@pytest.mark.parametrize("blob", [b"", b"x", b"\0" * popularity.RECORD.itemsize])
def test_a_foreign_value_reads_as_empty(blob: bytes) -> None:
    assert not popularity.unpack_many([blob], START).present[0]
    assert len(shopper_profile.decode(blob)) == 0
    assert len(query_stats.decode(blob).records) == 0


def test_distinct_buyers_are_counted_once_each() -> None:
    found = [event(user=str(n % 200)) for n in range(1000)]
    assert popular(folded(found), "a").buyers[0] == pytest.approx(200, rel=0.1)


def test_a_profile_keeps_counts_times_and_ids() -> None:
    values = folded(
        [
            event("中文", "view", 0.0),
            event("中文", "purchase", 0.1),
            event("中文", "purchase", 0.3),
            event("b", "add_to_cart", 0.2),
        ]
    )
    profile = shopper_profile.decode(values[state.shopper_key("u")])
    assert profile.ids(2) == ["中文", "b"]
    np.testing.assert_array_equal(profile.records["count"], [[0, 1, 0, 2], [0, 0, 1, 0]])
    assert profile.records["last_kind"].tolist() == [popularity.PURCHASE, popularity.CART]


def test_a_profile_drops_the_items_touched_longest_ago() -> None:
    found = [event(item=str(n), day=n / 2000) for n in range(shopper_profile.ITEMS_MAX + 5)]
    profile = shopper_profile.decode(folded(found)[state.shopper_key("u")])
    assert len(profile) == shopper_profile.ITEMS_MAX
    assert "4" not in profile.ids(len(profile))
    assert profile.header["events"][popularity.PURCHASE] == shopper_profile.ITEMS_MAX + 5


def test_items_of_a_basket_become_partners_of_each_other() -> None:
    values = folded([event(i, basket="1") for i in "abc"] + [event(i, basket="2") for i in "ab"])
    row = copurchase.unpack(values[state.partners_key("a")])
    found = dict(zip(row["item"].tolist(), row["purchase"].tolist(), strict=True))
    expected = {hash64("b"): 1 / 3**0.5 + 1 / 2**0.5, hash64("c"): 1 / 3**0.5}
    assert found == pytest.approx(expected)


def test_a_basket_that_grows_in_a_later_chunk_adds_each_pair_once() -> None:
    values = folded([event("a", basket="1")], [event("b", basket="1")], [event("b", basket="1")])
    for item, partner in (("a", "b"), ("b", "a")):
        row = copurchase.unpack(values[state.partners_key(item)])
        assert row["item"].tolist() == [hash64(partner)]
        assert row["purchase"].tolist() == pytest.approx([1 / 2**0.5])


def test_items_viewed_together_are_not_counted_as_bought_together() -> None:
    values = folded([event(i, "view", basket="1") for i in "ab"])
    row = copurchase.unpack(values[state.partners_key("a")])
    assert row["purchase"].tolist() == [0.0]
    assert row["view"][0] > 0


def test_a_partner_row_keeps_the_strongest() -> None:
    many = [event(str(n), basket=f"b{n}") for n in range(200)]
    hub = [event("hub", basket=f"b{n}") for n in range(200)]
    strong = [event(i, basket=f"s{n}") for n in range(3) for i in ("hub", "7")]
    row = copurchase.unpack(folded(many, hub, strong)[state.partners_key("hub")])
    assert len(row) == copurchase.PARTNERS_MAX
    assert row["item"][0] == hash64("7")


def test_query_counts_are_read_by_item_at_a_later_time() -> None:
    values = folded(
        [
            event("a", "impression", query="red", position=1),
            event("b", "impression", query="red", position=2),
            event("b", "click", query="red", position=2),
        ]
    )
    stats = query_stats.decode(values[state.query_stats_key("red")])
    asked = np.array([hash64("b"), hash64("a"), hash64("z")], dtype=np.uint64)
    found = query_stats.at(stats, asked, START + query_stats.HALF_LIFE_DAYS * DAY)
    np.testing.assert_allclose(found["count"][:, popularity.VIEW], [0.5, 0, 0])
    np.testing.assert_allclose(found["exposure"], [0.5 * 2**-0.7, 0.5, 0], rtol=1e-6)


def folded_profiles(*events: BehaviourEvent) -> dict[str, shopper_profile.ShopperProfile]:
    values: dict[str, bytes | None] = dict.fromkeys(state.keys_for(events))
    changed = state.fold(values, events)
    return {
        key: shopper_profile.decode(blob)
        for key, blob in changed.items()
        if key.startswith("shopper:")
    }


def deed(number: int, item: str, user: str, action: str = "click", **said: Any) -> BehaviourEvent:
    return BehaviourEvent(f"d{number}", action, item, START + number, user=user, **said)


def test_a_client_becomes_the_user_who_logs_in_with_all_that_it_did() -> None:
    before = [deed(0, "a", "c-1"), deed(1, "a", "c-1", "purchase"), deed(2, "b", "c-1")]
    login = deed(3, "c", "u", client="c-1")
    found = folded_profiles(*before, login)
    assert not len(found["shopper:c-1"])
    user = found["shopper:u"]
    assert set(user.ids(len(user))) == {"a", "b", "c"}
    alone = folded_profiles(*(replace(it, user="u", client=None) for it in [*before, login]))
    assert shopper_profile.encode(user) == shopper_profile.encode(alone["shopper:u"])


def test_what_a_client_does_after_a_login_is_the_next_users() -> None:
    found = folded_profiles(
        deed(0, "a", "c-1"),
        deed(1, "b", "u", client="c-1"),
        deed(2, "c", "c-1"),
        deed(3, "d", "w", client="c-1"),
    )
    ids = {key: set(profile.ids(len(profile))) for key, profile in found.items()}
    assert ids == {"shopper:u": {"a", "b"}, "shopper:w": {"c", "d"}, "shopper:c-1": set()}


def test_a_return_counts_against_an_item_and_its_buyer() -> None:
    bought = [deed(n, "a", "u", "purchase") for n in range(2)]
    events = [*bought, deed(2, "a", "u", "return")]
    changed = state.fold(dict.fromkeys(state.keys_for(events)), events)
    counts = popularity.unpack_many([changed[state.popularity_key("a")]], START + 2)
    assert counts.total[0, popularity.PURCHASE] == 1.0
    assert counts.decayed[0, popularity.PURCHASE, 0] == pytest.approx(1.0, abs=1e-3)
    (record,) = shopper_profile.decode(changed[state.shopper_key("u")]).records
    assert record["count"][popularity.PURCHASE] == 1.0
    assert record["dismissed"] == 0.0


def test_more_returned_than_bought_counts_as_nothing_bought() -> None:
    events = [deed(0, "a", "u", "refund")]
    changed = state.fold(dict.fromkeys(state.keys_for(events)), events)
    counts = popularity.unpack_many([changed[state.popularity_key("a")]], START)
    assert counts.total[0, popularity.PURCHASE] == 0.0
    assert (counts.decayed >= 0).all()
