"""Lists of derived cases: of a basket counts what may have been asked for, as likely as it was."""

import numpy as np
import pytest

from indexer.behaviour.event import query_key
from indexer.catalogue import card
from reranker.learning import dataset, moments
from reranker.learning import goods as catalogue
from reranker.learning.cases import Case
from reranker.learning.dataset import Assembly, ListSet
from reranker.learning.derived_queries import SpanStyle, chances
from reranker.learning.world import World
from reranker.retrieval.candidates import Candidates
from tests.reranker.learning import shop

TITLES = ("red card", "blue card", "card box with a lid", "red mug", "green card")
IDS = tuple("abcde")
BASKET = ("a", "b", "c", "d")
AT = shop.START + 100 * shop.DAY


def goods() -> catalogue.Goods:
    vector = np.full(shop.DIMS, shop.DIMS**-0.5, dtype=np.float32)
    blobs = [card.pack(title=title, vector=vector, price=2.0) for title in TITLES]
    return catalogue.goods(list(IDS), list(TITLES), blobs, shop.DIMS)


def listed(query: str, target: str, basket: tuple[str, ...] = BASKET) -> ListSet | None:
    query = query_key(query)
    legs = np.arange(1.0, len(IDS) + 1, dtype=np.float32)
    nothing = np.full(len(IDS), np.nan, dtype=np.float32)
    found = Candidates(list(IDS), np.ones(len(IDS), np.float32), legs, nothing, nothing)
    world = World(
        goods=goods(),
        found={query: found},
        query_vectors={query: np.ones(shop.DIMS, np.float32)},
        query_row={query: 0},
        tables=[shop.nothing_learned()],
        table_of_moment=[0],
    )
    labels = dict.fromkeys(basket, (0.0, 0.0, 1.0))
    case = Case(0, AT + 60, None, query, labels, target)
    how = Assembly(keep=None, windows=(100,), keyword_jitter=0.0)
    replayed = enumerate(moments.replay(shop.events(), [AT]))
    (lists,) = dataset.assemble([([case], how)], replayed, world)
    return lists


@pytest.mark.parametrize("target", ["a", "b", "c"])
def test_whatever_was_drawn_the_labels_say_how_likely_each_of_the_basket_was(target: str) -> None:
    lists = listed("card", target)
    assert lists is not None
    odds = chances("card", [TITLES[row] for row in lists.item], SpanStyle())
    odds[lists.item == IDS.index("e")] = 0.0  # not in the basket
    np.testing.assert_allclose(lists.labels[:, 2], odds / odds.sum(), rtol=1e-5)
    assert lists.labels[0, 2] == lists.labels[1, 2] > 2 * lists.labels[2, 2] > 0
    assert not lists.labels[3:].any()
    np.testing.assert_array_equal(lists.item[lists.target], [IDS.index(target)])


def test_what_no_title_would_have_given_asks_for_the_target_alone() -> None:
    lists = listed("something else", "c")
    assert lists is not None
    np.testing.assert_array_equal(lists.labels[:, 2] > 0, lists.target)
    assert lists.labels.sum() == 1.0


def test_a_list_without_its_target_is_left_out() -> None:
    assert listed("card", "not there", (*BASKET, "not there")) is None
