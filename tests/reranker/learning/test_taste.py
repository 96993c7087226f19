"""Behavioural item vectors: one long, and weighed by how much of the behaviour is theirs."""

import numpy as np

from reranker.learning import taste
from tests.reranker.learning import shop


def test_vectors_are_one_long_and_what_many_take_weighs_more() -> None:
    goods, shoppers = shop.goods(), range(0, 40, len(shop.COLOURS))
    events = [shop.bought(shopper, 1.0, kind=0) for shopper in shoppers]
    events += [shop.bought(shopper, 1.0, kind=1) for shopper in shoppers[:3]]
    table, vectors = taste.learn(events, goods, 6, 0, None)
    often, seldom, never = (str(kind * len(shop.COLOURS)) for kind in (0, 1, 2))
    rows = [goods.row[item] for item in (often, seldom)]
    np.testing.assert_allclose(np.linalg.norm(vectors[rows], axis=1), 1.0, atol=1e-3)
    sized = table.sized(goods.hashes, goods.vectors)
    length = {
        item: float(np.linalg.norm(sized[goods.row[item]])) for item in (often, seldom, never)
    }
    assert length[often] > length[seldom] >= length[never]
