"""The promotion gate, on lists of the made-up shop: better beyond noise passes, poison does not."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from reranker.learning import contest, measure, run
from reranker.learning.dataset import ListSet
from reranker.learning.plan import Plan
from reranker.learning.run import Learned, Lists
from reranker.learning.schedule import Schedule
from reranker.learning.world import World
from tests.reranker.learning import shop
from tests.reranker.learning.lists import list_set

SMALL = Schedule(
    cases=300,
    held_out_cases=150,
    moments_max=6,
    tables=1,
    windows=(100,),
    epochs=4,
    width=16,
    layers=1,
    attention_heads=2,
    taste_width=8,
    text_width=8,
    refit=False,
    learning_rate=1e-2,
    baseline=False,
)


@pytest.fixture(scope="module")
def prepared() -> tuple[Plan, World, Lists]:
    material = shop.material()
    found = run.prepare(material, SMALL)
    assert found is not None
    made, world = found
    lists = run.assembled(material.events, made, world, SMALL)
    assert lists is not None
    return made, world, lists


@pytest.fixture(scope="module")
def learn(prepared: tuple[Plan, World, Lists]) -> Callable[[Lists], Learned]:
    """Learns from given lists as a run does from its own."""
    made, world, _ = prepared

    def learned(lists: Lists) -> Learned:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(run, "assembled", lambda *_: lists)
            found = run.learn(shop.material(), made, world, SMALL)
        assert found is not None
        return found

    return learned


@pytest.fixture(scope="module")
def good(learn: Callable[[Lists], Learned], prepared: tuple[Plan, World, Lists]) -> Learned:
    return learn(prepared[2])


def shuffled(lists: ListSet, seed: int) -> ListSet:
    """Labels that say nothing: in every list they are dealt out anew."""
    random = np.random.default_rng(seed)
    order = np.concatenate([a + random.permutation(b - a) for a, b in pairwise(lists.start)])
    return replace(lists, labels=lists.labels[order], target=lists.target[order])


def test_what_has_learned_the_shop_is_let_through(
    good: Learned, prepared: tuple[Plan, World, Lists]
) -> None:
    assert contest.verdict(good, prepared[1], None, SMALL) is None


def test_an_update_of_shuffled_labels_is_refused(
    good: Learned, learn: Callable[[Lists], Learned], prepared: tuple[Plan, World, Lists]
) -> None:
    lists = prepared[2]
    poisoned = learn(replace(lists, train=shuffled(lists.train, 1)))
    why = contest.verdict(poisoned, prepared[1], good.scores["fused"], SMALL)
    assert why is not None
    assert "not better" in why


def test_poison_that_reaches_the_held_out_lists_too_is_refused(
    good: Learned, learn: Callable[[Lists], Learned], prepared: tuple[Plan, World, Lists]
) -> None:
    lists = prepared[2]
    both = replace(lists, train=shuffled(lists.train, 1), held_out=shuffled(lists.held_out, 2))
    why = contest.verdict(learn(both), prepared[1], good.scores["fused"], SMALL)
    assert why is not None


def test_the_same_model_again_is_refused(
    good: Learned, prepared: tuple[Plan, World, Lists]
) -> None:
    why = contest.verdict(good, prepared[1], good.scores["fused"], SMALL)
    assert why is not None
    assert "beyond noise" in why


def test_every_list_is_guarded_in_both_halves_of_each_split() -> None:
    lists = list_set(40)
    parts = measure.guarded(lists, ["often"] * 25 + [f"once {n}" for n in range(15)])
    assert (parts["items new to the shopper"] ^ parts["items bought before"]).all()
    assert (parts["frequent queries"] ^ parts["rare queries"]).all()
    assert parts["frequent queries"].tolist() == [True] * 25 + [False] * 15
    assert parts["new shoppers"].tolist() == (lists.history < 0).all(axis=1).tolist()


def test_a_wanted_item_that_never_sold_makes_a_list_of_new_items() -> None:
    lists = list_set(2, signal="purchases")
    signals = np.zeros_like(lists.signals)
    column = measure.definition.INDEX["purchases"]
    signals[:, column] = np.where(lists.target, 0.0, 1.0)
    signals[lists.start[1] :, column] = 1.0
    parts = measure.guarded(replace(lists, signals=signals), ["a", "b"])
    assert parts["new items"].tolist() == [True, False]


@pytest.mark.parametrize("name", list(measure.guarded(list_set(4), list("abcd"))))
def test_better_on_the_whole_but_worse_in_a_guarded_part_is_refused(name: str) -> None:
    random = np.random.default_rng(0)
    serving = random.uniform(0.3, 0.5, 400)
    part = np.arange(400) < 60
    challenger = np.where(part, serving - 0.2, serving + 0.1)
    why = measure.gate(challenger, serving, {name: part}, seed=1, alpha=0.05)
    assert why is not None
    assert name in why


def test_better_on_what_is_judged_is_better_where_purchases_only_hold_their_own() -> None:
    random = np.random.default_rng(0)
    judged = np.arange(2000) < 300
    serving = random.uniform(0.3, 0.7, 2000)
    noise = random.normal(0.0, 0.3, 2000)
    noise[~judged] -= noise[~judged].mean()
    challenger = np.where(judged, serving + 0.03 + noise / 10, serving + noise)
    assert measure.gate(challenger, serving, {measure.JUDGED: judged}, 1, 0.05) is None
    assert measure.gate(challenger, serving, {"rare queries": judged}, 1, 0.05) is not None
    few = judged & (np.arange(2000) < measure.JUDGED_MIN - 1)
    assert measure.gate(challenger, serving, {measure.JUDGED: few}, 1, 0.05) is not None
    harmed = np.where(judged, challenger, serving - 0.1)
    parts = {measure.JUDGED: judged, "frequent queries": ~judged}
    assert "frequent queries" in str(measure.gate(harmed, serving, parts, 1, 0.05))


def test_two_searches_of_a_part_decide_nothing() -> None:
    serving = np.full(400, 0.5)
    challenger: Any = np.where(np.arange(400) < 2, 0.1, 0.6)
    part = {"new items": np.arange(400) < 2}
    assert measure.gate(challenger, serving, part, seed=1, alpha=0.05) is None


def test_of_several_parts_one_that_looks_worse_by_chance_is_no_reason() -> None:
    random = np.random.default_rng(0)
    serving = random.uniform(0.1, 0.5, size=700)
    challenger = serving + random.normal(0.05, 0.1, size=700)
    challenger[:7] = serving[:7] - 0.006
    few = np.arange(700) < 7
    others = {f"part {number}": np.arange(700) % 5 == number for number in range(5)}
    assert measure.gate(challenger, serving, {"new items": few}, seed=1, alpha=0.05) is not None
    assert measure.gate(challenger, serving, others | {"new items": few}, 1, 0.05) is None
