"""Items that nobody had bought yet are neither punished for it nor confused with known ones."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.behaviour import copurchase, query_stats
from indexer.behaviour.event import query_key
from indexer.behaviour.query_stats import QueryEvent
from indexer.identity import hashes
from reranker.fusion.baseline import prior
from reranker.learning import cold_start, dataset, moments
from reranker.learning.cases import Case
from reranker.learning.dataset import Assembly, ListSet
from reranker.learning.vectors import tensors
from reranker.learning.world import World
from reranker.signals import build
from reranker.signals.definition import INDEX, SIGNALS
from reranker.signals.item_table import ItemTable
from reranker.signals.situation import Situation
from tests.reranker.learning import lists as made_up
from tests.reranker.learning import shop
from tests.reranker.signals import situations

IDS = ("a", "b", "c", "d", "e", "f", "g", "h")
Deeds = list[tuple[str, int, str]]
DEEDS = st.lists(
    st.tuples(st.sampled_from(IDS), st.integers(1, 60), st.sampled_from("uvw")), max_size=12
)
ROWS = st.lists(st.booleans(), min_size=len(IDS), max_size=len(IDS)).map(np.array)


def scene(drawn: Deeds, without: frozenset[str] = frozenset()) -> Situation:
    """What was bought, one thing at a time, seen and bought together; but for some items."""
    left = [item for item in IDS if item not in without]
    events = [situations.purchase(item, days, user) for item, days, user in drawn if item in left]
    events += [situations.purchase(f"other {n}", 0, "z") for n in range(20)]  # the clock
    clicks = [QueryEvent(item, "click", situations.NOW - 60) for item in left]
    stats = query_stats.decode(query_stats.fold(None, clicks) if clicks else None)
    partners = np.zeros(len(left), copurchase.PARTNER)
    partners["item"], partners["purchase"], partners["view"] = hashes(left), 2.0, 1.0
    depth = len({item for item, _, user in drawn if user == "u"})
    table = situations.item_table(IDS)
    rows = np.isin(table.items, hashes(left))
    return situations.situation(
        IDS,
        events,
        query_stats=stats,
        partners=[partners] * depth,
        item_table=ItemTable(table.items[rows], table.vectors[rows], table.projection),
    )


def known_to_the_shopper(drawn: Deeds) -> np.ndarray:
    own = {item for item, _, user in drawn if user == "u"}
    return np.array([item in own for item in IDS])


@given(DEEDS, ROWS, st.floats(0, 1), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_only_what_is_labelled_and_the_shopper_does_not_know_is_hidden_and_by_the_seed(
    drawn: Deeds, labelled: np.ndarray, odds: float, seed: int
) -> None:
    situation = scene(drawn)
    hidden, again = (
        cold_start.to_hide(situation, labelled, odds, np.random.default_rng(seed)) for _ in range(2)
    )
    may_be = labelled & ~known_to_the_shopper(drawn)
    assert not (hidden & ~may_be).any()
    np.testing.assert_array_equal(hidden, again)
    always = cold_start.to_hide(situation, labelled, 1.0, np.random.default_rng(seed))
    np.testing.assert_array_equal(always, may_be)


@given(DEEDS, ROWS)
@settings(max_examples=25, deadline=None)
def test_a_hidden_item_is_as_if_nobody_had_ever_touched_it(
    drawn: Deeds, labelled: np.ndarray
) -> None:
    hidden = labelled & ~known_to_the_shopper(drawn)
    gone = frozenset(item for item, is_gone in zip(IDS, hidden, strict=True) if is_gone)
    found = build.assemble(cold_start.without(scene(drawn), hidden))
    for name, expected in build.assemble(scene(drawn, gone)).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_share_without_behaviour_is_of_the_candidates_that_are_not_labelled() -> None:
    situation = scene([("a", 3, "v"), ("b", 3, "w")])
    labelled = np.arange(len(IDS)) == 0
    assert cold_start.share_untouched(situation, labelled) == pytest.approx(6 / 7)
    assert cold_start.share_untouched(situation, np.ones(len(IDS), dtype=bool)) == 0.0


def test_doubt_draws_as_the_prior_ranks_and_as_often_as_it_is_told() -> None:
    signals = np.zeros((3, len(SIGNALS)), dtype=np.float32)
    signals[:, INDEX["knn"]] = [0.5, 0.3, 0.0]
    odds = np.exp(cold_start.STEEPNESS * prior(signals).astype(float))
    random = np.random.default_rng(4)
    drawn = [cold_start.doubted(signals, 0.5, random) for _ in range(4000)]
    rows = [row for row in drawn if row is not None]
    assert len(rows) / len(drawn) == pytest.approx(0.5, abs=0.04)
    shares = np.bincount(rows, minlength=3) / len(rows)
    np.testing.assert_allclose(shares, odds / odds.sum(), atol=0.04)
    assert cold_start.doubted(signals, 0.0, random) is None


QUERY = query_key("card")
AT = shop.START + 100 * shop.DAY
GOODS = shop.goods()
CARDS = [GOODS.ids[row] for row, title in enumerate(GOODS.titles) if "card" in title]
PLAIN = Assembly(keep=None, windows=(100,), keyword_jitter=0.0)


def assembled(case: Case, assembly: Assembly, sold: set[str]) -> ListSet:
    """The list of a case in a shop that sells nothing but `sold` among the cards."""
    events = [e for e in shop.events() if e.timestamp <= AT]
    events = [e for e in events if e.item_id in sold or e.item_id not in CARDS]
    (found,), (vector,) = shop.find([QUERY], 100)
    world = World(
        goods=GOODS,
        found={QUERY: found},
        query_vectors={QUERY: vector},
        query_row={QUERY: 0},
        tables=[shop.nothing_learned()],
        table_of_moment=[0],
    )
    replayed = enumerate(moments.replay(events, [AT]))
    (lists,) = dataset.assemble([([case], assembly)], replayed, world)
    assert lists is not None
    return lists


def bought(item: str, user: str | None = None) -> Case:
    return Case(0, AT + 60, user, QUERY, {item: (0.0, 0.0, 1.0)}, item)


EAGER = replace(PLAIN, cold_start=1.0, label_doubt=1.0)


def test_where_all_candidates_have_behaviour_nothing_changes() -> None:
    case = bought(CARDS[1])
    plain, eager = (assembled(case, how, set(CARDS)) for how in (PLAIN, EAGER))
    for name in ListSet.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(plain, name), getattr(eager, name))


def test_beside_untouched_goods_the_bought_item_is_shown_as_untouched_too() -> None:
    item = CARDS[1]
    hiding = replace(PLAIN, cold_start=1.0)
    plain, shown = (assembled(bought(item), how, {item}) for how in (PLAIN, hiding))
    np.testing.assert_array_equal(shown.item[shown.hidden], [GOODS.row[item]])
    np.testing.assert_array_equal(shown.labels, plain.labels)
    column = INDEX["purchases"]
    assert plain.signals[plain.target, column] > 0
    assert shown.signals[shown.target, column] == 0


def test_beside_untouched_goods_a_doubted_label_is_on_one_row() -> None:
    doubting = [
        assembled(bought(CARDS[1]), replace(PLAIN, label_doubt=1.0, seed=seed), {CARDS[1]})
        for seed in range(12)
    ]
    wanted = {int(lists.item[lists.target][0]) for lists in doubting}
    assert wanted - {GOODS.row[CARDS[1]]}
    for lists in doubting:
        np.testing.assert_array_equal(lists.labels[:, 2] > 0, lists.target)
        assert lists.labels.sum() == 1.0


def test_a_logged_search_is_taken_at_its_word() -> None:
    case = replace(bought(CARDS[1]), target=None)
    plain, eager = (assembled(case, how, {CARDS[1]}) for how in (PLAIN, EAGER))
    for name in ListSet.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(plain, name), getattr(eager, name))


def test_the_network_reads_of_a_hidden_item_what_its_text_says() -> None:
    vectors, lists = made_up.vectors(), made_up.list_set(3)
    hidden = np.zeros(len(lists.item), dtype=bool)
    hidden[1] = True
    picked, rows = next(dataset.batches(lists, np.arange(3), 3))
    plain, _ = tensors(lists, vectors, picked, rows)
    shown, _ = tensors(replace(lists, hidden=hidden), vectors, picked, rows)
    changed = (plain.item_rows != shown.item_rows).any(dim=-1).numpy()
    np.testing.assert_array_equal(changed, rows == 1)
    said = vectors.text[int(lists.item[1])] @ vectors.projections[int(lists.table[0])]
    np.testing.assert_allclose(shown.item_rows[0, 1], said, rtol=1e-4, atol=1e-5)
