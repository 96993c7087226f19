"""Cases: queries from titles, snapshots before the basket, labels from what was done."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.behaviour.event import BehaviourEvent
from reranker.learning import cases, plan
from reranker.learning.cases import LoggedSearch, Sampling
from reranker.learning.derived_queries import SpanStyle, chances, derive
from reranker.learning.position_bias import PositionBias
from reranker.learning.schedule import Schedule
from tests.reranker.learning import shop

DAY = shop.DAY
TITLES = dict(zip(shop.goods().ids, shop.goods().titles, strict=True))
AT = cases.moments(shop.START + 20 * DAY, shop.START + 110 * DAY, 10)


@given(st.text(max_size=40), st.integers(0, 99))
def test_a_derived_query_is_a_span_of_its_title(title: str, seed: int) -> None:
    query = derive(title, SpanStyle(), np.random.default_rng(seed))
    if query is not None:
        assert query
        assert all(word in title.lower() for word in query.split())


def test_spans_are_of_many_forms() -> None:
    random = np.random.default_rng(0)
    found = {derive("red birthday card holder", SpanStyle(), random) for _ in range(300)}
    assert {"holder", "card holder", "birthday", "red birthday"} <= found


def test_some_queries_are_wordy_and_hold_words_that_no_title_has() -> None:
    random, style = np.random.default_rng(0), SpanStyle(wordy=1.0)
    title, others = "red birthday card holder", ["blue lamp", "clock"]
    found = [derive(title, style, random, others) or "" for _ in range(400)]
    assert title in found
    words = {word for query in found for word in query.split()}
    assert {"blue", "lamp", "clock", "kcolc", "eulb"} <= words
    strange = sum(1 for query in found if set(query.split()) - set(title.split()))
    assert 0.6 < strange / len(found) < 0.8


def test_of_a_long_chinese_title_a_few_characters_are_asked() -> None:
    random = np.random.default_rng(0)
    found = {derive("真无线蓝牙降噪耳机运动款", SpanStyle(), random) for _ in range(50)}
    assert all(query and 2 <= len(query) <= 4 for query in found)


@pytest.mark.parametrize(
    "titles",
    [
        ["red red card", "red card", "card"],
        ["t-light holder 50's", "holder", "holder set of four t-light"],
        ["真无线蓝牙耳机", "蓝牙耳机 red", "耳机"],
    ],
)
def test_the_chance_of_a_query_is_how_often_a_title_gives_it(titles: list[str]) -> None:
    random, style, draws = np.random.default_rng(0), SpanStyle(strange=0.0), 20_000
    drawn = [Counter(derive(it, style, random, titles) for _ in range(draws)) for it in titles]
    for query in {query for found in drawn for query in found if query}:
        often = [found[query] / draws for found in drawn]
        np.testing.assert_allclose(chances(query, titles, style), often, atol=0.02)


def test_beside_a_word_from_elsewhere_the_others_tell_which_title_a_query_is_of() -> None:
    titles = ["red card holder", "card box", "lamp", "!"]
    for query in ("zzz card holder", "card holder zzz", "Holder ZZZ"):
        likely = chances(query, titles, SpanStyle())
        assert likely[0] > 0
        assert not likely[1:].any()
    first, second, *others = chances("card zzz", titles, SpanStyle())
    assert first > 0 < second
    assert not any(others)
    # Of words that all stand in one title nobody thinks that one of them is from elsewhere.
    first, second, *_ = chances("card box", ["card box", "card"], SpanStyle())
    assert first > 100 * second > 0
    assert not chances("zzz", titles, SpanStyle()).any()
    assert not chances("", titles, SpanStyle()).any()


def test_moments_end_with_the_last_and_are_evenly_spaced() -> None:
    assert AT[-1] == shop.START + 110 * DAY
    assert {round((b - a) / DAY) for a, b in pairwise(AT)} == {10}


def test_no_case_sees_its_own_basket_or_a_state_older_than_the_gap() -> None:
    found = cases.derived(shop.events(), TITLES, AT, Sampling(cases=400, gap_days_max=20), 3)
    begun = {e.timestamp for e in shop.events()}
    assert len(found) > 300
    assert len({case.moment for case in found}) > 5
    for case in found:
        assert case.time in begun
        assert AT[case.moment] < case.time
        assert case.time - AT[case.moment] <= 20 * DAY or case.time > AT[-1]
        assert case.target in case.labels


def test_strangers_are_a_share_unless_the_known_are_too_few() -> None:
    events = [e for e in shop.events() if e.timestamp > AT[3]]
    first = {e.user: e.timestamp for e in reversed(events)}

    def strangers(found: list[cases.Case]) -> int:
        return sum(first[case.user] > AT[case.moment] for case in found)

    some = cases.derived(events, TITLES, AT, Sampling(cases=200), 3)
    assert len(some) == 200
    assert 0 < strangers(some) <= 20
    # Each shopper's first basket alone: then there is nobody but strangers.
    begun = [e for e in events if e.timestamp == first[e.user]]
    every = cases.derived(begun, TITLES, AT, Sampling(cases=30), 3)
    assert len(every) == strangers(every) == 30
    assert every == sorted(every, key=lambda case: (case.moment, case.time))


def test_equal_seeds_draw_equal_cases() -> None:
    one, other = (cases.derived(shop.events(), TITLES, AT, Sampling(cases=50), 3) for _ in "ab")
    assert one == other
    assert cases.derived(shop.events(), TITLES, AT, Sampling(cases=50), 4) != one


def deed(action: str, item: str, query_id: str | None = "q") -> BehaviourEvent:
    return BehaviourEvent("e", action, item, AT[2] + DAY, "u", query_id=query_id, query_key="red")


def test_a_logged_search_is_labelled_by_the_deeds_with_its_id() -> None:
    search = LoggedSearch("q", AT[2] + DAY, "u", "red", ("1", "2", "3"))
    deeds = [deed("click", "2"), deed("purchase", "2"), deed("click", "9"), deed("click", "1", "x")]
    (case,) = cases.logged([search], [*deeds, deed("impression", "3")], AT)
    assert case.labels == {"2": (1.0, 0.0, 1.0)}
    assert case.moment == 2
    assert not case.derived


def test_a_search_that_nothing_was_done_after_is_no_case() -> None:
    search = LoggedSearch("q", AT[2] + DAY, "u", "red", ("1",))
    assert cases.logged([search], [deed("impression", "1")], AT) == []


def test_only_clicks_on_shown_items_are_weighted_by_where_they_stood() -> None:
    bias = PositionBias((1.0, 0.5, 0.01))
    search = LoggedSearch("q", AT[2] + DAY, "u", "red", ("1", "2", "3"), start=0)
    deeds = [deed("click", "1"), deed("click", "2"), deed("purchase", "2"), deed("click", "3")]
    (case,) = cases.logged([search], deeds, AT, bias)
    assert case.labels == {"1": (1.0, 0.0, 0.0), "2": (2.0, 0.0, 1.0), "3": (10.0, 0.0, 0.0)}
    unknown = LoggedSearch("q", AT[2] + DAY, "u", "red", ())
    (case,) = cases.logged([unknown], deeds, AT, bias)
    assert {label[0] for label in case.labels.values()} == {1.0}


def test_a_later_page_goes_on_counting_and_an_impression_knows_better() -> None:
    search = LoggedSearch("q", AT[2] + DAY, "u", "red", ("1", "2", "3"), start=20)
    seen = [replace(deed("impression", "2"), position=7), deed("impression", "3")]
    foreign = replace(deed("impression", "9"), position=1)
    (case,) = cases.logged([search], [*seen, foreign, deed("click", "1")], AT)
    assert case.shown == ("1", "2", "3")
    assert case.positions == (21, 7, 23)


def test_impressions_number_each_item_of_each_text_and_say_what_was_clicked() -> None:
    searches = [
        LoggedSearch("q", AT[2], "u", "red", ("1", "2")),
        LoggedSearch("r", AT[2], "v", "red", ("2", "1")),
        LoggedSearch("s", AT[2], "v", "blue", ("1",), start=10),
    ]
    deeds = [deed("click", "1"), deed("click", "1"), deed("purchase", "2"), deed("click", "7")]
    found = cases.impressions(searches, deeds)
    assert found.pair.tolist() == [0, 1, 1, 0, 2]
    assert found.position.tolist() == [1, 2, 1, 2, 11]
    assert found.clicked.tolist() == [True, False, False, False, False]


def test_the_plan_splits_by_time_alone() -> None:
    schedule = Schedule(cases=300, held_out_cases=100, moments_max=8)
    made = plan.plan(shop.events(), [], TITLES, schedule)
    assert made is not None
    assert all(case.time <= made.cut for case in made.train)
    assert all(case.time > made.cut for case in made.held_out)
    assert all(case.time > made.cut for case in made.late)
    assert {made.at[case.moment] for case in made.held_out} == {made.cut}
    follows = schedule.model_copy(update={"held_out_state": "moment"})
    fresh = plan.plan(shop.events(), [], TITLES, follows)
    assert fresh is not None
    ends = [*fresh.at[1:], np.inf]
    assert all(fresh.at[it.moment] < it.time <= ends[it.moment] for it in fresh.held_out)
    assert len(made.at) <= 8 + 1 + schedule.lively_moments


def brief_lives(shoppers: int = 400, days: int = 4000) -> list[BehaviourEvent]:
    """Shoppers who buy five things within five minutes and never come again, over many years."""
    return [
        BehaviourEvent(
            event_id=f"{shopper}/{number}",
            action="purchase",
            item_id=str((shopper + number) % len(TITLES)),
            timestamp=shop.START + shopper * days / shoppers * DAY + 60.0 * number,
            user=f"u{shopper}",
        )
        for shopper in range(shoppers)
        for number in range(5)
    ]


def test_shoppers_of_one_short_visit_are_learned_from_with_what_they_just_did() -> None:
    made = plan.plan(brief_lives(), [], TITLES, Schedule(cases=400, held_out_cases=100))
    assert made is not None
    for found in (made.train, made.held_out):
        begun = [shop.START + int((case.user or "u0")[1:]) * 10 * DAY for case in found]
        known = [made.at[case.moment] >= first for case, first in zip(found, begun, strict=True)]
        assert len(found) >= 100
        assert sum(known) > 0.8 * len(found)
        assert all(made.at[case.moment] < case.time for case in found)


def test_years_of_thin_behaviour_are_measured_on_more_than_its_last_days() -> None:
    thin = brief_lives(shoppers=300)
    schedule = Schedule(held_out_days=35.0)
    after = [e for e in thin if e.timestamp > plan.cut_of(thin, schedule)]
    assert len(after) >= 0.1 * len(thin) - 1
    dense = shop.events()
    days = (dense[-1].timestamp - plan.cut_of(dense, schedule)) / DAY
    assert days == pytest.approx(0.25 * (dense[-1].timestamp - dense[0].timestamp) / DAY)


def test_behaviour_of_one_moment_gives_no_plan() -> None:
    events = shop.events()
    moment = [event for event in events if event.timestamp == events[0].timestamp]
    assert plan.plan(moment, [], TITLES, Schedule()) is None


@pytest.mark.parametrize("gap", [0.0, 5.0])
def test_the_snapshot_is_the_latest_where_no_gap_is_wanted(gap: float) -> None:
    found = cases.derived(shop.events(), TITLES, AT, Sampling(cases=100, gap_days_max=gap), 3)
    for case in found:
        later = [time for time in AT[case.moment + 1 :] if time < case.time]
        assert not later or gap > 0
