"""What was served is learned from as it was; what was not is assembled, and never is zero."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from indexer.behaviour.event import query_key
from reranker.learning import dataset, moments
from reranker.learning.cases import Case
from reranker.learning.dataset import Assembly, ListSet
from reranker.learning.world import World
from reranker.retrieval.candidates import Candidates
from reranker.signals import definition
from reranker.signals.build import HISTORY_FEATURES
from reranker.signals.definition import INDEX
from reranker.signals.served import Served
from reranker.signals.situation import HISTORY_MAX
from tests.reranker.learning import shop

QUERY = query_key("red card")
AT = shop.START + 60 * shop.DAY
SIGNALS = len(definition.SIGNALS)
GOODS = shop.goods()


def world() -> World:
    found, vectors = shop.find([QUERY], 100)
    return World(
        goods=GOODS,
        found={QUERY: found[0]},
        query_vectors={QUERY: vectors[0]},
        query_row={QUERY: 0},
        tables=[],
        table_of_moment=[0],
    )


def candidates() -> list[str]:
    return shop.find([QUERY], 100)[0][0].ids


def was_served(count: int, history: list[str] | None = None, seed: int = 5) -> Served:
    """Signals that nothing here would compute."""
    random = np.random.default_rng(seed)
    names = history or []
    rows = GOODS.rows(names)
    hashes = np.array(
        [GOODS.hashes[row] if row >= 0 else 99 for row in rows.tolist()], dtype=np.uint64
    )
    return Served(
        model="v1",
        signals=random.uniform(0.1, 0.9, size=(count, SIGNALS)).astype(np.float16),
        history=hashes,
        history_features=random.random((len(names), HISTORY_FEATURES)).astype(np.float16),
    )


def case(shown: tuple[str, ...], served: Served | None, clicked: str | None = None) -> Case:
    return Case(
        moment=0,
        time=AT + 60,
        user="u0",
        query=QUERY,
        labels={clicked or shown[0]: (1.0, 0.0, 0.0)},
        shown=shown,
        served=served,
    )


def assembled(one: Case, **how: Any) -> ListSet:
    setting = Assembly(**{"keep": None, "windows": (100,), "keyword_jitter": 0.0, **how})
    events = [e for e in shop.events() if e.timestamp <= AT]
    one_world = replace(world(), tables=[shop.nothing_learned()])
    replayed = enumerate(moments.replay(events, [AT]))
    (lists,) = dataset.assemble([([one], setting)], replayed, one_world)
    assert lists is not None
    return lists


def row_of(lists: ListSet, item_id: str) -> int:
    (row,) = np.flatnonzero(lists.item == GOODS.row[item_id]).tolist()
    return int(row)


ITEM_SIDE = [n for name, n in INDEX.items() if name not in definition.LIST_WIDE]


def test_shown_items_carry_what_was_served_and_the_others_what_is_assembled() -> None:
    shown = tuple(candidates()[2:5])
    served = was_served(3)
    lists, plain = (assembled(case(shown, served), served=use) for use in (True, False))
    assert len(lists.item) == len(plain.item) == len(candidates())
    for place, item_id in enumerate(shown):
        np.testing.assert_array_equal(lists.signals[row_of(lists, item_id)], served.signals[place])
    for item_id in set(candidates()) - set(shown):
        np.testing.assert_array_equal(
            lists.signals[row_of(lists, item_id), ITEM_SIDE],
            plain.signals[row_of(plain, item_id), ITEM_SIDE],
        )


def test_nothing_that_is_equal_for_a_whole_list_tells_who_was_shown() -> None:
    shown = tuple(candidates()[:2])
    served = was_served(2)
    wide = [INDEX[name] for name in sorted(definition.LIST_WIDE)]
    served.signals[1, wide] = served.signals[0, wide]
    found = assembled(case(shown, served), served=True).signals[:, wide]
    np.testing.assert_array_equal(found, np.broadcast_to(found[0], found.shape))


def test_keyword_scores_are_not_shaken_beside_served_ones() -> None:
    shown = tuple(candidates()[:2])
    one = case(shown, was_served(2))
    other = candidates()[-1]
    shaken = assembled(replace(one, served=None), served=True, keyword_jitter=2.0, seed=1)
    still = assembled(one, served=True, keyword_jitter=2.0, seed=1)
    assert still.signals[row_of(still, other), INDEX["bm25"]] == 1.0
    assert shaken.signals[row_of(shaken, other), INDEX["bm25"]] != 1.0


def test_a_hit_that_the_model_did_not_see_is_assembled() -> None:
    shown = tuple(candidates()[:3])
    served = was_served(3)
    served.signals[1] = np.nan
    lists, plain = (assembled(case(shown, served), served=use) for use in (True, False))
    unseen = row_of(lists, shown[1])
    assert np.isfinite(lists.signals).all()
    np.testing.assert_array_equal(
        lists.signals[unseen, ITEM_SIDE], plain.signals[unseen, ITEM_SIDE]
    )


def test_hits_beyond_those_that_were_logged_are_assembled() -> None:
    shown = tuple(candidates()[:4])
    lists, plain = (assembled(case(shown, was_served(2)), served=use) for use in (True, False))
    for item_id in shown[2:]:
        row = row_of(lists, item_id)
        np.testing.assert_array_equal(lists.signals[row, ITEM_SIDE], plain.signals[row, ITEM_SIDE])


@pytest.mark.parametrize("served", [None, was_served(0)], ids=["never logged", "empty"])
def test_a_search_without_served_signals_is_assembled_as_ever(served: Served | None) -> None:
    one = case(tuple(candidates()[:3]), served)
    lists, plain = (assembled(one, served=use, keyword_jitter=0.5) for use in (True, False))
    np.testing.assert_array_equal(lists.signals, plain.signals)
    np.testing.assert_array_equal(lists.history, plain.history)


def test_a_clicked_item_that_is_no_longer_found_is_still_learned_from() -> None:
    gone = next(item_id for item_id in GOODS.ids if item_id not in candidates())
    shown = (candidates()[0], gone)
    served = was_served(2)
    one = case(shown, served, clicked=gone)
    lists = assembled(one, served=True)
    row = row_of(lists, gone)
    assert lists.labels[row].tolist() == [1.0, 0.0, 0.0]
    np.testing.assert_array_equal(lists.signals[row], served.signals[1])


def test_an_item_that_left_the_catalogue_is_left_out() -> None:
    shown = ("never there", *candidates()[:2])
    served = was_served(3)
    lists = assembled(case(shown, served, clicked=shown[1]), served=True)
    assert len(lists.item) == len(candidates())
    np.testing.assert_array_equal(lists.signals[row_of(lists, shown[1])], served.signals[1])


def test_the_history_is_the_one_that_the_network_had() -> None:
    served = was_served(1, history=["3", "deleted since", "8"])
    lists = assembled(case(tuple(candidates()[:1]), served), served=True)
    kept = [GOODS.row["3"], GOODS.row["8"]]
    assert lists.history[0].tolist() == [*kept, *[-1] * (HISTORY_MAX - 2)]
    np.testing.assert_array_equal(lists.history_features[0, :2], served.history_features[[0, 2]])
    assert not lists.history_features[0, 2:].any()


def test_a_shortened_list_keeps_what_was_shown() -> None:
    found = shop.find([QUERY], 100)[0][0]
    many = Candidates(
        list(GOODS.ids), *(np.ones(len(GOODS.ids), dtype=np.float32) for _ in range(4))
    )
    assert len(many) > 2 * len(found)
    shown = tuple(GOODS.ids[10:16])
    one = case(shown, was_served(6))
    events = [e for e in shop.events() if e.timestamp <= AT]
    one_world = replace(world(), found={QUERY: many}, tables=[shop.nothing_learned()])
    (lists,) = dataset.assemble(
        [([one], Assembly(keep=8, windows=(100,), served=True))],
        enumerate(moments.replay(events, [AT])),
        one_world,
    )
    assert lists is not None
    assert len(lists.item) == 8
    assert {GOODS.row[item_id] for item_id in shown} <= set(lists.item.tolist())
