"""What the context of a request does to the order is learned: a planted effect comes back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from indexer.behaviour.event import BehaviourEvent
from indexer.catalogue.context_keys import ContextKeys, Number
from reranker.learning import dataset, fit, moments, run
from reranker.learning.cases import Case, LoggedSearch
from reranker.learning.dataset import Assembly
from reranker.learning.material import Material
from reranker.learning.run import Learned
from reranker.learning.world import World
from tests.reranker.learning import shop
from tests.reranker.learning.test_gate import SMALL

KEYS: ContextKeys = {"weather": "word", "temperature": Number(low=-10, high=30)}
SEARCHES, DAYS, SAID_SHARE = 1800, 100, 0.7
# Of each kind there are four colours, ids 4 * kind + colour: what is bought of a kind depends on
# what its buyers' context says under a key, and on nothing else.
CARD, BAG, MUG = 0, 4, 8
PLANTED: Mapping[str, Sequence[tuple[str, Any, str]]] = {
    "card": [("device", "mobile", "0"), ("device", "desktop", "1")],
    "bag": [("weather", "rain", "6"), ("weather", "sun", "7")],
    "mug": [("temperature", -5, "8"), ("temperature", 28, "11")],
}
SCHEDULE = SMALL.model_copy(
    update={
        "epochs": 10,
        "patience": 10,
        "width": 32,
        "held_out_days": 20.0,
        "moments_max": 4,
        "taste_width": 4,
    }
)


def context(random: np.random.Generator) -> dict[str, Any]:
    """A context that says some of the keys, each value as often as the other."""
    every = {rows[0][0]: rows[int(random.integers(2))][1] for rows in PLANTED.values()}
    return {key: value for key, value in every.items() if random.random() < SAID_SHARE}


def bought(query: str, said: Mapping[str, Any], random: np.random.Generator) -> str:
    """What the context's buyers take; either of the pair where it does not say."""
    either = PLANTED[query][int(random.integers(2))][2]
    return next((item for key, value, item in PLANTED[query] if said.get(key) == value), either)


def material(*, told: bool) -> Material:
    """Searches for three kinds by people whom nobody knows, each followed by one purchase; their
    context is `told` or left out.
    """
    random = np.random.default_rng(3)
    goods, searches, events = shop.goods(), [], []
    for number in range(SEARCHES):
        query, at = tuple(PLANTED)[number % 3], shop.START + number * DAYS * shop.DAY / SEARCHES
        said, query_id = context(random), f"q{number}"
        shown = [i for i, t in zip(goods.ids, goods.titles, strict=True) if query in t.split()]
        order = tuple(random.permutation(shown).tolist())
        kept = said if told else {}
        searches.append(LoggedSearch(query_id, at, None, query, order, context=kept))
        events.append(
            BehaviourEvent(
                *(f"e{number}", "purchase", bought(query, said, random), at + 60.0),
                basket=query_id,
                query_key=query,
                query_id=query_id,
            )
        )
    return Material(events, searches, goods, shop.find, KEYS)


Taught = tuple[Learned, World, Material]


def taught(given: Material) -> Taught:
    prepared = run.prepare(given, SCHEDULE)
    assert prepared is not None
    found = run.learn(given, *prepared, SCHEDULE)
    assert found is not None
    return found, prepared[1], given


@pytest.fixture(scope="module")
def learned() -> Taught:
    return taught(material(told=True))


def scores(learned: Taught, query: str, said: Mapping[str, Any]) -> dict[str, float]:
    """How the items of a search score that says this of its context."""
    found, world, given = learned
    at = given.events[-1].timestamp
    labels = dict.fromkeys(given.goods.ids, (0.0, 0.0, 1.0))
    case = Case(0, at, None, query, labels, context=said)
    whole = Assembly(keep=None, windows=(100,), keyword_jitter=0.0)
    replayed = enumerate(moments.replay(given.events, [at]))
    (lists,) = dataset.assemble([([case], whole)], replayed, replace(world, table_of_moment=[0]))
    assert lists is not None
    values = fit.score(found.served, lists, found.vectors, found.trained.weights)
    ids = [given.goods.ids[row] for row in lists.item.tolist()]
    return dict(zip(ids, values.tolist(), strict=True))


def usual(learned: Taught, query: str, said: Mapping[str, Any]) -> dict[str, float]:
    """The same, on average over whatever else may be said."""
    one, other = (rows for name, rows in PLANTED.items() if name != query)
    beside = [{a: b, c: d} for a, b, _ in one for c, d, _ in other]
    found = [scores(learned, query, {**rest, **said}) for rest in beside]
    return {item: float(np.mean([it[item] for it in found])) for item in found[0]}


def lead(learned: Taught, query: str, said: Mapping[str, Any]) -> float:
    """By how much the one item of a planted pair stands before the other."""
    one, other = (item for _, _, item in PLANTED[query])
    found = usual(learned, query, said)
    return found[one] - found[other]


@pytest.mark.parametrize(
    ("query", "key", "value", "item"),
    [(query, *row) for query, rows in PLANTED.items() for row in rows],
)
def test_the_order_follows_the_context_as_it_was_planted(
    learned: Taught, query: str, key: str, value: Any, item: str
) -> None:
    found = usual(learned, query, {key: value})
    assert max(found, key=found.__getitem__) == item


@pytest.mark.parametrize("query", PLANTED)
def test_without_the_planted_key_neither_side_is_taken(learned: Taught, query: str) -> None:
    key = PLANTED[query][0][0]
    one, other = (lead(learned, query, {key: value}) for _, value, _ in PLANTED[query])
    assert other < 0 < one
    assert other / 2 < lead(learned, query, {}) < one / 2


def test_a_number_counts_by_where_it_lies(learned: Taught) -> None:
    cold, mild, hot = (lead(learned, "mug", {"temperature": degrees}) for degrees in (-5, 11, 28))
    assert cold > mild > hot
    assert lead(learned, "mug", {"temperature": 90}) == lead(learned, "mug", {"temperature": 30})


def test_a_key_that_is_not_declared_changes_nothing(learned: Taught) -> None:
    assert scores(learned, "bag", {"mood": "rain"}) == scores(learned, "bag", {})


def test_where_no_context_was_recorded_none_changes_the_order() -> None:
    untold = taught(material(told=False))
    for query, rows in PLANTED.items():
        orders = [scores(untold, query, {key: value}) for key, value, _ in rows]
        plain = scores(untold, query, {})
        for found in orders:
            assert found == pytest.approx(plain, abs=1e-3)
