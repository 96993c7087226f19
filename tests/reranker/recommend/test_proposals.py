"""Sources' lists become one, and what each says is what it rests on."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer import identity
from indexer.behaviour import copurchase, popularity, shopper_profile, state, trending
from indexer.behaviour.shopper_profile import ShopperEvent
from reranker.recommend import seeds, sources
from reranker.recommend.proposals import SHARES, SHARES_BESIDE_SEEDS, merged
from reranker.recommend.reason import Grounds
from reranker.recommend.sources import Ranked
from reranker.serving import sentences
from reranker.serving.reasons import Reason
from reranker.signals.past import Past
from tests.reranker.signals.situations import DAY, NOW, folded, purchase, vector


def ranked(*ids: str) -> Ranked:
    return Ranked(ids, np.linspace(1, 0.1, len(ids)).astype(np.float32))


def past(events: list, user: str | None = "u", now: float = NOW) -> Past:
    values = folded(events)
    shopper = shopper_profile.decode(values.get(state.shopper_key(user)) if user else None)
    partners = [
        copurchase.unpack(values.get(state.partners_key(i))) for i in shopper.ids(len(shopper))
    ]
    return Past(shopper, None, partners, now)


def resolve(*ids: str):
    by_hash = {identity.hash64(i): i for i in ids}
    return lambda hashes: [by_hash.get(h) for h in hashes.tolist()]


items = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=8)


@given(st.dictionaries(st.sampled_from(sorted(SHARES)), items), st.sets(st.sampled_from("abc")))
def test_every_item_comes_once_best_first_and_none_that_is_left_out(
    lists: dict[str, list[str]], without: set[str]
) -> None:
    found = merged({name: ranked(*ids) for name, ids in lists.items()}, window=100, without=without)
    offered = {item for ids in lists.values() for item in ids} - without
    assert sorted(found.ids) == sorted(offered)
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.scores > 0) & (found.scores <= 1 + 1e-6)).all()
    for item, source in zip(found.ids, found.source, strict=True):
        assert item in lists[source]


def test_what_two_sources_name_stands_before_what_one_names() -> None:
    found = merged({"content": ranked("x", "both"), "trending": ranked("y", "both")}, window=2)
    assert found.ids[0] == "both"
    assert len(found) == 2


def test_beside_seeds_what_goes_with_them_comes_first_and_bestsellers_fill() -> None:
    best = [f"best-{n}" for n in range(100)]
    near = [f"near-{n}" for n in range(99)]
    lists = {
        "bought_together": ranked("partner"),
        "content": ranked(*near, "best-0"),
        "trending": ranked(*best),
    }
    found = merged(lists, window=160, shares=SHARES_BESIDE_SEEDS)
    assert found.ids[0] == "partner"
    assert {*found.ids[1:101]} == {*near, "best-0"}
    assert found.ids[1:4] == near[:3]
    assert found.ids[101:] == best[1:60]


def test_without_seeds_the_own_past_comes_first_and_bestsellers_before_mere_neighbours() -> None:
    lists = {
        "own": ranked("due"),
        "bought_together": ranked("partner"),
        "content": ranked("near-0", "near-1"),
        "trending": ranked("best-0", "best-1"),
    }
    found = merged(lists, window=10).ids
    assert {*found[:2]} == {"due", "partner"}
    assert found[2:] == ["best-0", "best-1", "near-0", "near-1"]


def test_proposals_take_the_place_of_the_vector_leg() -> None:
    found = merged({"own": ranked("a", "b")}, window=10).candidates()
    assert found.ids == ["a", "b"]
    assert np.isnan(found.bm25).all()
    assert np.isnan(found.bm25_rank).all()
    assert found.knn_rank.tolist() == [1.0, 2.0]


def test_what_was_bought_often_and_lately_is_due_first() -> None:
    events = [purchase("often", d) for d in (30, 20, 10)]
    events += [purchase("once", 10), purchase("long ago", 900)]
    found = sources.own(past(events), 10)
    assert list(found.ids) == ["often", "once", "long ago"]
    assert sources.own(past(events), 1).ids == ["often"]


def test_who_comes_back_after_decades_is_proposed_what_they_were_proposed_then() -> None:
    events = [purchase(item, 9, user="v", basket="b") for item in ("milk", "bread", "tea")]
    events += [purchase("milk", 3), purchase("lamp", 1), purchase("bulb", 1, "v", "c")]
    events += [purchase("lamp", 1, "v", "c")]
    names = resolve("milk", "bread", "tea", "lamp", "bulb")
    vectors = np.stack([vector("lamp"), vector("milk")])
    then, now = past(events), past(events, now=NOW + 40 * 365 * DAY)
    assert sources.together(now, names, 9).ids == sources.together(then, names, 9).ids
    assert set(sources.together(now, names, 9).ids) >= {"bread", "tea", "bulb"}
    np.testing.assert_allclose(
        sources.direction(vectors, now.recency_share),
        sources.direction(vectors, then.recency_share),
        atol=1e-5,
    )


def test_what_is_bought_together_with_the_seeds_is_proposed_by_its_share() -> None:
    baskets = [("milk", "bread"), ("milk", "bread"), ("milk", "tea"), ("lamp", "bulb")]
    events = [
        purchase(item, 10, user=f"v{n}", basket=f"b{n}")
        for n, basket in enumerate(baskets)
        for item in basket
    ]
    values = folded(events)
    alone = seeds.touched_now(shopper_profile.empty(), ["milk"], NOW)
    rows = [copurchase.unpack(values.get(state.partners_key("milk")))]
    start = Past(alone, None, rows, NOW)
    found = sources.together(start, resolve("milk", "bread", "tea", "lamp", "bulb"), 10)
    assert list(found.ids) == ["bread", "tea"]
    unknown = sources.together(start, resolve("tea"), 10)
    assert list(unknown.ids) == ["tea"]


def test_seeds_are_the_newest_of_a_history_in_their_order() -> None:
    known = past([purchase("old", 5)]).shopper
    whole = seeds.touched_now(known, ["first", "second"], NOW)
    assert whole.ids(3) == ["second", "first", "old"]
    assert seeds.touched_now(known, [], NOW) is known


def test_a_shopper_without_a_past_gets_what_is_popular_alone() -> None:
    nobody = Past(shopper_profile.empty(), None, (), NOW)
    assert len(sources.own(nobody, 10).ids) == 0
    assert len(sources.together(nobody, resolve("a"), 10).ids) == 0
    assert sources.direction(None, np.ones(0, np.float32)) is None
    board = folded([purchase("a", 3, "v"), purchase("a", 2, "w"), purchase("b", 1, "x")])
    assert list(sources.popular(board["trending"], 10).ids) == ["a", "b"]
    assert list(sources.popular(None, 10).ids) == []


def counted(sold_at: Sequence[float]) -> bytes:
    """The popularity record of an item sold at these times, to a different buyer each time."""
    n = len(sold_at)
    columns = popularity.ItemEvents(
        row=np.zeros(n, dtype=np.intp),
        kind=np.full(n, popularity.PURCHASE),
        time=np.array(sold_at),
        buyer=np.arange(n),
        sign=np.ones(n, dtype=np.float32),
    )
    return popularity.fold([None], columns)[0]


def test_what_fell_out_of_fashion_falls_behind_what_sells_now() -> None:
    old = counted([NOW - (300 + n) * DAY for n in range(20)])
    new = counted([NOW - n * DAY for n in (2, 3, 4)])
    board = trending.fold(None, {"old": old, "new": new})
    assert list(sources.popular(board, 10).ids) == ["new", "old"]
    again = trending.fold(board, {"old": counted([NOW] * 9)})
    assert list(sources.popular(again, 10).ids) == ["old", "new"]


def test_the_board_keeps_the_best_only() -> None:
    many = {f"i{n}": counted([NOW - n * DAY]) for n in range(trending.BOARD_MAX + 5)}
    kept = trending.decode(trending.fold(None, many))
    assert len(kept) == trending.BOARD_MAX
    assert kept[0][0] == "i0"


def test_a_reason_names_the_deed_that_it_rests_on() -> None:
    events = [
        *(purchase(i, 10, user="v", basket="b") for i in ("milk", "bread")),
        purchase("milk", 5),
    ]
    own = past(events)
    vectors = np.stack([vector("milk")]), np.stack([vector("milk"), vector("other")])
    grounds = Grounds(own, {"content": lambda: vectors})
    assert grounds.of("own", 0, "milk").key == "bought_before"
    partner = grounds.of("bought_together", 0, "bread")
    assert (partner.key, partner.item_id) == ("bought_with_purchase", "milk")
    alike = grounds.of("content", 0, "cream")
    assert (alike.key, alike.item_id) == ("like_purchase", "milk")
    assert grounds.of("trending", 0, "tea").key == "popular"


def test_what_was_returned_is_no_reason() -> None:
    events = [
        *(purchase(i, 10, user="v", basket="b") for i in ("milk", "bread", "tea")),
        purchase("milk", 5),
        purchase("tea", 6),
    ]
    returned = [ShopperEvent("milk", "return", NOW)]
    kept = past(events)
    profile = shopper_profile.fold(shopper_profile.encode(kept.shopper), returned)
    rest = Past(shopper_profile.decode(profile), None, kept.partners, NOW)
    assert Grounds(kept, {}).of("bought_together", 0, "bread").item_id == "milk"
    assert Grounds(rest, {}).of("bought_together", 0, "bread").item_id == "tea"
    nothing = shopper_profile.fold(profile, [ShopperEvent("tea", "refund", NOW)])
    none = Past(shopper_profile.decode(nothing), None, kept.partners, NOW)
    assert Grounds(none, {}).of("bought_together", 0, "bread").key == "popular"


def test_a_reason_claims_no_deed_of_what_a_recommendation_was_told_to_start_from() -> None:
    values = folded([purchase(i, 10, user="v", basket="b") for i in ("milk", "bread")])
    rows = [copurchase.unpack(values.get(state.partners_key("milk")))]
    alone = seeds.touched_now(shopper_profile.empty(), ["milk"], NOW)
    vectors = np.stack([vector("milk")]), np.stack([vector("milk"), vector("other")])
    look = {source: lambda: vectors for source in ("content", "collaborative")}
    grounds = Grounds(Past(alone, None, rows, NOW), look, seeded=True)
    said = [
        grounds.of(source, 0, item)
        for source, item in (("bought_together", "bread"), ("content", "c"), ("collaborative", "d"))
    ]
    assert {ground.item_id for ground in said} == {"milk"}
    for ground in said:
        for title in ("Milk", None):
            for language in ("en", "zh"):
                sentence = sentences.say(Reason(ground.key, ground.item_id), language, title)
                assert not {"you", "your"} & set(sentence.casefold().split())
                assert "您" not in sentence
                assert title is None or title in sentence


def test_recommending_direction_leans_to_what_was_touched_last() -> None:
    vectors = np.eye(2, dtype=np.float32)
    found = sources.direction(vectors, np.array([1.0, 0.1], np.float32))
    assert found is not None
    assert found[0] > found[1] > 0
    assert abs(float(np.linalg.norm(found)) - 1) < 1e-6


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), max_size=12), st.integers(1, 14))
def test_the_best_are_the_highest_and_of_equal_ones_the_first(
    scores: list[float], limit: int
) -> None:
    rising = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    wanted = [place for place in rising[:limit] if scores[place] > 0]
    assert sources._best(np.array(scores, np.float32), limit).tolist() == wanted


visits = st.lists(
    st.tuples(st.sampled_from("uvw"), st.lists(st.sampled_from("abcdef"), min_size=2, max_size=4)),
    max_size=9,
)


@given(visits)
def test_a_partner_counts_by_its_share_of_each_item_it_goes_with(
    visits: list[tuple[str, list[str]]],
) -> None:
    days = range(len(visits), 0, -1)
    baskets = [(item, day, who) for day, (who, it) in zip(days, visits, strict=True) for item in it]
    start = past([purchase(item, day, who) for item, day, who in baskets])
    wanted: dict[int, float] = {}
    for share, partners in zip(start.recency_share, start.partners, strict=True):
        weights = partners["purchase"] + sources.VIEW_SHARE * partners["view"]
        for item, weight in zip(partners["item"].tolist(), weights.tolist(), strict=True):
            part = weight * share / np.sqrt(max(weights.sum(), 1e-9))
            wanted[item] = wanted.get(item, 0.0) + part
    found = sources.together(start, resolve(*"abcdef"), 9)
    hashed = [identity.hash64(item) for item in found.ids]
    assert set(hashed) == {item for item, score in wanted.items() if score > 0}
    np.testing.assert_allclose(found.scores, [wanted[item] for item in hashed], rtol=1e-5)
    assert (np.diff(found.scores) <= 0).all()
