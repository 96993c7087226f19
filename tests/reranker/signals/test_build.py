"""Signals: declared and computed columns agree, missing is not zero, order does not matter."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.catalogue import card
from reranker.signals import build, definition
from reranker.signals.definition import INDEX, NAMES
from reranker.signals.listwise import places
from tests.reranker.signals.situations import DAY, DIMS, NOW, purchase, situation, vector

IDS = ["a", "b", "c", "d", "e"]


def column(made: build.ModelInput, name: str) -> list[float]:
    return [float(value) for value in made["signals"][:, INDEX[name]]]


def raw(name: str, *args: object, **kwargs: object) -> list[float]:
    found = situation(*args, **kwargs)  # type: ignore[arg-type]
    return [float(value) for value in build.columns(found)[name]]


def test_every_declared_signal_is_computed_and_no_other() -> None:
    assert sorted(build.columns(situation(IDS))) == sorted(NAMES)


def test_names_are_unique_and_defaults_lie_within_their_range() -> None:
    assert len(set(NAMES)) == len(NAMES)
    for signal in definition.SIGNALS:
        assert signal.low <= signal.default <= signal.high, signal.name


def test_the_digest_changes_with_a_declaration(monkeypatch: pytest.MonkeyPatch) -> None:
    before = definition.digest()
    changed = (replace(definition.SIGNALS[0], default=0.5), *definition.SIGNALS[1:])
    monkeypatch.setattr(definition, "SIGNALS", changed)
    definition.digest.cache_clear()
    try:
        assert definition.digest() != before
    finally:
        definition.digest.cache_clear()


def test_nobody_known_and_nothing_sold_still_gives_finite_signals() -> None:
    bare = situation(IDS, user=None, query_vector=None, query="")
    made = build.assemble(replace(bare, cards_present=np.zeros(5, dtype=bool)))
    assert np.isfinite(made["signals"]).all()
    assert made["history_vectors"].shape == (0, 16)


def test_what_cannot_be_known_takes_the_declared_default_not_zero() -> None:
    made = build.assemble(situation(IDS, user=None))
    default = definition.SIGNALS[INDEX["own_days"]].default
    assert column(made, "own_days") == [default] * 5
    assert column(made, "days_since_sale") == [7.0] * 5


ids = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=8, unique=True)


@settings(deadline=None)
@given(ids, st.randoms(use_true_random=False))
def test_permuting_the_candidates_permutes_the_signals(names: list[str], random: Random) -> None:
    events = [purchase(i, d, basket=b) for i, d, b in (("a", 3, "x"), ("b", 3, "x"), ("z", 9, "y"))]
    one = situation(names, events, table=True)
    order = list(range(len(names)))
    random.shuffle(order)
    rows = np.array(order)
    other = replace(
        one,
        candidates=one.candidates.take(rows),
        cards=one.cards[rows],
        popularity=replace(one.popularity, records=one.popularity.records[rows]),
    )
    a, b = build.assemble(one), build.assemble(other)
    for name in ("signals", "item_vectors", "item_rows"):
        np.testing.assert_allclose(a[name][rows], b[name], rtol=1e-5, atol=1e-6)


def test_what_only_rounding_tells_apart_has_one_place() -> None:
    a, b = np.float32(0.2459835), np.nextafter(np.float32(0.2459835), np.float32(1))
    values = np.array([a, b, 0.9, -1.0, np.nan, np.nan], dtype=np.float32)
    everywhere, known_only = np.array([False]), np.array([True])
    expected = [0.6, 0.6, 1.0, 0.4, 0.0, 0.0]
    assert places(values[None], everywhere)[0].tolist() == pytest.approx(expected)
    expected[-2:] = [np.nan, np.nan]
    assert places(values[None], known_only)[0].tolist() == pytest.approx(expected, nan_ok=True)
    lists = np.array([[3.0, 1.0, 2.0, 2.0], [1e-3, 1.1e-3, 0.0, 0.0]], dtype=np.float32)
    assert places(lists, np.array([False, False])).tolist() == [
        pytest.approx([1, 0, 1 / 3, 1 / 3]),
        pytest.approx([2 / 3, 1, 0, 0]),
    ]
    assert places(np.array([[5.0]], dtype=np.float32), everywhere).tolist() == [[0.0]]


def test_relevance_keeps_scores_shares_and_gaps() -> None:
    assert raw("bm25_share", IDS) == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    gaps = raw("bm25_gap", IDS)
    assert gaps[0] == 0.0
    assert gaps == sorted(gaps)
    assert np.isnan(raw("knn_rank", IDS)).tolist() == [False, True, False, True, False]


def test_a_client_that_boosts_its_query_changes_no_share() -> None:
    one = situation(IDS)
    boosted = replace(one, candidates=replace(one.candidates, bm25=one.candidates.bm25 * 3))
    for name in ("bm25_share", "bm25_gap", "bm25_rank"):
        np.testing.assert_allclose(
            build.columns(one)[name], build.columns(boosted)[name], rtol=1e-6
        )


TITLES = {
    "a": "Red birthday card",
    "b": "Card holder RED",
    "c": "Birthday cards, red card",
    "d": "cup",
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("query_covered", [1.0, 1.0, 1.0, 0.0]),
        ("title_covered", [2 / 3, 2 / 3, 3 / 4, 0.0]),
        ("phrase", [0.0, 0.0, 1.0, 0.0]),
        ("ends_with", [0.5, 0.0, 1.0, 0.0]),
        ("starts_with", [0.5, 0.0, 0.0, 0.0]),
        ("words_after", [0.0, 0.0, 0.0, np.nan]),
        ("words_before", [0.0, 0.0, np.log(2), np.nan]),
    ],
)
def test_title_signals_tell_where_the_query_stands(name: str, expected: Sequence[float]) -> None:
    found = raw(name, ["a", "b", "c", "d"], titles=TITLES, query="red cards")
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_chinese_titles_are_compared_character_by_character() -> None:
    titles = {"a": "蓝牙无线耳机", "b": "无线耳机收纳盒"}
    assert raw("ends_with", ["a", "b"], titles=titles, query="无线耳机") == [1.0, 0.0]
    assert raw("phrase", ["a", "b"], titles=titles, query="无线耳机") == [1.0, 1.0]


def test_own_history_counts_purchases_and_days() -> None:
    events = [purchase("a", 10), purchase("a", 4), purchase("b", 2, user="other")]
    assert raw("own_purchases", IDS, events) == pytest.approx([np.log(3), 0, 0, 0, 0])
    assert raw("own_days", IDS, events)[0] == pytest.approx(np.log1p(4))
    assert raw("own_due", IDS, events)[0] == pytest.approx(np.log1p(4 / 6))
    assert np.isnan(raw("own_days", IDS, events)[1])


def test_the_shoppers_newest_item_stands_first_among_those_of_one_day() -> None:
    events = [purchase("a", 10.02), purchase("c", 10.0), purchase("b", 300)]
    assert raw("own_newest", IDS, events) == pytest.approx([0.75, 0.5, 1.0, 0.0, 0.0])


def test_popularity_counts_everybody() -> None:
    events = [purchase("a", 30, user=str(n)) for n in range(3)]
    assert raw("purchases_30d", IDS, events)[0] == pytest.approx(np.log1p(1.5))
    assert raw("purchases_30d_place", IDS, events) == [1.0, 0, 0, 0, 0]
    assert raw("buyers", IDS, events)[0] == pytest.approx(np.log1p(3), rel=0.01)


def test_what_was_bought_with_the_history_is_known() -> None:
    events = [
        purchase("b", 9, user="v", basket="x"),
        purchase("z", 9, user="v", basket="x"),
        purchase("z", 5, user="u", basket="y"),
    ]
    found = raw("bought_with", IDS, events)
    assert found[1] == pytest.approx(np.log1p(1 / 2**0.5))
    assert found[0] == found[2] == 0.0


def test_price_is_compared_with_the_shoppers_usual_price() -> None:
    found = raw("price_to_shopper", IDS, [purchase("z", 3)], prices={"z": 4.0, "a": 8.0})
    assert found[0] == pytest.approx(np.log(2))
    assert np.isnan(raw("price_to_shopper", IDS)).all()


def test_an_item_is_not_like_itself() -> None:
    found = raw("likeness_max", ["a", "z"], [purchase("z", 3)])
    assert found[1] == -1.0
    assert found[0] > -1.0


def test_an_unknown_item_takes_its_behavioural_vector_from_its_text() -> None:
    made = situation(IDS, [purchase("a", 3)], table=True)
    assert made.item_table is not None
    rows = made.item_table.lookup(made.items, made.vectors)
    np.testing.assert_allclose(rows[-1], made.vectors[-1] @ made.item_table.projection, rtol=1e-5)


def test_the_hour_comes_with_the_request_and_the_season_from_event_time() -> None:
    at_six = raw("hour_sine", IDS, context={"hour": 6, "weekday": 6, "device": "Mobile"})
    assert at_six == pytest.approx([1.0] * 5)
    assert raw("weekend", IDS, context={"weekday": 6}) == [1.0] * 5
    assert np.isnan(raw("hour_sine", IDS, context={"hour": "noon"})).all()
    half_a_year = raw("season_cosine", IDS, now=NOW + 182.6 * DAY)
    assert half_a_year == pytest.approx([-x for x in raw("season_cosine", IDS)], abs=0.05)


def test_history_features_tell_age_count_and_kind() -> None:
    made = build.assemble(situation(IDS, [purchase("z", 3), purchase("z", 1)]))
    np.testing.assert_allclose(
        made["history_features"], [[np.log1p(1), np.log1p(2), 0, 0, 0, 1]], rtol=1e-5
    )


def test_what_is_declared_list_wide_is_equal_for_all_candidates_and_nothing_else_is() -> None:
    events = [purchase(i, d, basket=b) for i, d, b in (("a", 3, "x"), ("b", 9, "x"), ("z", 3, "x"))]
    where = {"hour": 5, "weekday": 2, "device": "mobile", "page": "category/lamps", "domain": "de"}
    found = build.columns(situation(IDS, events, titles=TITLES, table=True, context=where))
    for name in definition.LIST_WIDE:
        assert len(np.unique(found[name])) == 1, name
    differing = {name for name in NAMES if len(np.unique(found[name])) > 1}
    assert len(differing) > 40
    assert not differing & definition.LIST_WIDE
    assert {s.name for s in definition.CONTEXT} - definition.LIST_WIDE == {
        "same_domain",
        "same_page",
    }


def carded(**fields: object) -> dict[str, object]:
    """Cards of `IDS`, `fields` said of the first one alone."""
    blobs = [
        card.pack(title=i, vector=vector(i), **(fields if i == "a" else {}))  # type: ignore[arg-type]
        for i in IDS
    ]
    return {"cards": card.unpack_many(blobs, DIMS)[0]}


def test_freshness_counts_days_since_the_catalogues_update() -> None:
    at = NOW - 6 * DAY
    found = raw("days_updated", IDS, **carded(updated_at_seconds=at))
    assert found[0] == pytest.approx(np.log1p(6))
    assert np.isnan(found[1:]).all()


def test_an_update_after_the_moment_is_not_known_at_the_moment() -> None:
    just_now = raw("days_updated", IDS, **carded(updated_at_seconds=NOW + 0.5 * DAY))
    later = raw("days_updated", IDS, **carded(updated_at_seconds=NOW + 40 * DAY))
    assert just_now[0] == 0.0
    assert np.isnan(later[0])


def test_the_page_tells_its_kind_and_what_it_is_about() -> None:
    fields = carded(brand="Lux", categories=["Lamps", "Office"])
    for page, about in (("category/lamps", 1.0), ("brand:LUX", 1.0), ("category/chairs", 0.0)):
        context = {"page": page}
        assert raw("page_listing", IDS, context=context, **fields) == [1.0] * 5
        assert raw("page_item", IDS, context=context, **fields) == [0.0] * 5
        assert raw("same_page", IDS, context=context, **fields) == [about, 0, 0, 0, 0]
    assert raw("page_cart", IDS, context={"page": "Checkout"}) == [1.0] * 5


def test_a_weekday_is_a_point_on_a_circle_and_none_is_its_middle() -> None:
    sunday = [raw(f"weekday_{part}", IDS, context={"weekday": 6})[0] for part in ("sine", "cosine")]
    assert np.hypot(*sunday) == pytest.approx(1.0)
    made = build.assemble(situation(IDS))
    assert column(made, "weekday_sine") == column(made, "weekday_cosine") == [0.0] * 5


def test_the_best_co_viewed_history_item_is_told_apart_from_the_sum() -> None:
    events = [
        replace(purchase(item, 9, user=user, basket=user), action="add_to_cart")
        for user, item in (("v", "b"), ("v", "y"), ("w", "b"), ("w", "z"))
    ]
    events += [purchase("y", 5, basket="p"), purchase("z", 4, basket="q")]
    both, best = (raw(name, IDS, events)[1] for name in ("viewed_with", "viewed_with_max"))
    assert both > best > 0.0


def test_any_deed_with_an_item_is_remembered_not_only_purchases() -> None:
    seen = replace(purchase("a", 4), action="view")
    assert raw("own_touched", IDS, [seen])[0] == pytest.approx(np.log1p(4))
    assert np.isnan(raw("own_days", IDS, [seen])[0])
    assert np.isnan(raw("own_touched", IDS, [seen])[1])


def test_a_shopper_who_was_away_for_years_still_has_a_taste() -> None:
    years = 365.0 * 24
    ids = ["z", "y", "a"]
    recent = [purchase("z", 3), purchase("y", 5)]
    away = [purchase("z", years + 3), purchase("y", years + 5)]
    for name in ("taste", "likeness"):
        now = raw(name, ids, recent, table=True)
        then = raw(name, ids, away, table=True)
        np.testing.assert_allclose(then, now, atol=1e-5)
        assert np.abs(now).max() > 0.1
