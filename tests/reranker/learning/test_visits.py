"""Visits become lists without a query; what they propose is what serving proposes."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from indexer.behaviour.event import BehaviourEvent
from reranker.evaluation import metrics
from reranker.learning import contest, measure, moments, run, visits
from reranker.learning.proposing import Proposer
from reranker.learning.run import Learned
from reranker.signals import definition
from tests.reranker.learning import shop
from tests.reranker.learning.test_gate import SMALL

VISITS = SMALL.model_copy(update={"visit_cases": 300, "held_out_visits": 100})


def deed(item: str, at: float, action: str = "view", **more: str) -> BehaviourEvent:
    fields: dict = {"user": "u", **more}
    return BehaviourEvent(
        event_id=f"{item}{at}", action=action, item_id=item, timestamp=at, **fields
    )


def test_a_pause_ends_a_visit_and_a_basket_is_one() -> None:
    events = [
        *(deed("a", 0.0), deed("b", 600.0), deed("c", 600.0 + visits.PAUSE_SECONDS + 1)),
        *(deed("d", 9000.0, "purchase", basket="x"), deed("e", 99000.0, "purchase", basket="x")),
    ]
    found = visits.visits(events, set("abcde"))
    assert [[d.item_id for d in visit.deeds] for visit in found] == [["a", "b"], ["c"], ["d", "e"]]


def test_shoppers_and_unknown_items_are_kept_apart() -> None:
    events = [deed("a", 0.0), deed("b", 1.0, user="v"), deed("gone", 2.0), deed("a", 3.0, "search")]
    found = visits.visits(events, {"a", "b"})
    assert [(visit.user, len(visit.deeds)) for visit in found] == [("u", 1), ("v", 1)]


def test_labels_say_click_cart_and_purchase_of_each_item() -> None:
    events = [deed("a", 0.0), deed("a", 1.0, "add_to_cart"), deed("b", 2.0, "purchase")]
    assert visits.labels_of(events) == {"a": (1.0, 1.0, 0.0), "b": (0.0, 0.0, 1.0)}


def test_a_case_never_knows_what_it_is_to_foretell() -> None:
    events = shop.events()
    plan = visits.plan(events, set(map(str, range(24))), VISITS)
    assert plan is not None
    assert {case.query for case in [*plan.train, *plan.held_out]} == {""}
    assert any(case.seeds for case in plan.train)
    assert not any(case.seeds for case in plan.held_out)
    for case in [*plan.train, *plan.held_out]:
        assert plan.at[case.moment] < case.time
        assert not set(case.seeds) & set(case.labels)
        assert case.labels
    assert max(case.time for case in plan.train) <= plan.cut < min(c.time for c in plan.held_out)


def test_what_is_measured_may_know_the_state_of_its_own_time() -> None:
    events, items = shop.events(), set(map(str, range(24)))
    follows = VISITS.model_copy(update={"held_out_state": "moment"})
    for schedule, latest in ((VISITS, False), (follows, True)):
        found = visits.plan(events, items, schedule)
        assert found is not None
        ends = [*found.at[1:], np.inf]
        fresh = [found.at[it.moment] < it.time <= ends[it.moment] for it in found.held_out]
        assert all(fresh) == latest


def test_few_visits_are_learned_from_again_and_measured_once() -> None:
    many = VISITS.model_copy(update={"visit_cases": 3000, "held_out_visits": 3000})
    events, items = shop.events(), set(map(str, range(24)))
    plan = visits.plan(events, items, many)
    assert plan is not None
    begun = [visit.begun for visit in visits.visits(events, items)]
    early = sum(plan.at[0] < it <= plan.cut for it in begun)
    assert early < len(plan.train) <= visits.TIMES_MAX * early
    assert len(plan.held_out) <= sum(it > plan.cut for it in begun)
    assert {case.user for case in plan.late} <= {
        case.user for case in [*plan.train, *plan.held_out]
    }


def test_half_of_what_is_learned_from_stands_as_it_is_served() -> None:
    plan = visits.plan(shop.events(), set(map(str, range(24))), VISITS)
    assert plan is not None
    days = [(case.time - plan.at[case.moment]) / shop.DAY for case in plan.train]
    fresh = np.mean([it <= visits.FRESH_DAYS for it in days])
    assert 0.4 < fresh < 0.8
    assert max(days) > 14


def test_one_visit_is_entered_at_its_beginning_or_in_its_midst() -> None:
    visit = visits.Visit("u", (deed("a", 0.0), deed("b", 5.0), deed("c", 9.0)))
    entered = [visit.entered(np.random.default_rng(seed)).begun for seed in range(60)]
    assert {0.0, 5.0, 9.0} == set(entered)


@pytest.fixture(scope="module")
def learned() -> tuple[Learned, float]:
    """What the made-up shop teaches, and how good the order of the sources alone is."""
    material = replace(shop.material(), events=shop.rounds())
    prepared = run.prepare_visits(material, VISITS)
    assert prepared is not None
    found = run.learn(material, *prepared, VISITS)
    assert found is not None
    return found, ndcg(found, "knn")


def ndcg(found: Learned, system: str) -> float:
    lists, scores = found.held_out, found.scores[system]
    orders, right = {}, {}
    for number, (a, b) in enumerate(zip(lists.start[:-1], lists.start[1:], strict=True)):
        best = np.argsort(-scores[a:b], kind="stable")[:5]
        orders[str(number)] = [str(i) for i in lists.item[a:b][best]]
        labelled = lists.item[a:b][lists.labels[a:b].any(axis=1)]
        right[str(number)] = {str(i): 1.0 for i in labelled}
    return float(metrics.per_query(orders, right, ["ndcg@10"])["ndcg@10"].mean())


def test_what_is_learned_orders_better_than_the_sources_together(
    learned: tuple[Learned, float],
) -> None:
    found, sources_alone = learned
    assert ndcg(found, "fused") > sources_alone + 0.1
    assert measure.reciprocal(found.scores["fused"], found.held_out).mean() > 0.5


def test_what_serves_is_measured_on_the_lists_of_the_challenger() -> None:
    material = replace(shop.material(), events=shop.rounds())
    prepared = run.prepare_visits(material, VISITS)
    assert prepared is not None
    made, world = prepared
    few: Any = Proposer(world.goods, window=6)  # as of many goods only some are proposed
    own = replace(world, propose=few)
    lists = run.assembled(material.events, made, own, VISITS)
    assert lists is not None
    table = own.tables[0]
    other: Any = SimpleNamespace(item_table=replace(table, vectors=-table.vectors[::-1]))
    nothing: Any = None
    asked = contest.Contest(nothing, nothing, VISITS, material, made, own)
    seen = asked._assembled(made.held_out, other, lists.at_cut)
    assert seen is not None
    np.testing.assert_array_equal(seen.start, lists.held_out.start)
    np.testing.assert_array_equal(seen.item, lists.held_out.item)
    taste = definition.NAMES.index("taste")
    assert not np.array_equal(seen.signals[:, taste], lists.held_out.signals[:, taste])


def test_seeds_are_in_the_past_and_not_among_the_proposals() -> None:
    material = shop.material()
    prepared = run.prepare_visits(material, VISITS)
    assert prepared is not None
    plan, world = prepared
    proposer = Proposer(world.goods)
    case = next(c for c in plan.train if c.seeds)
    moment = next(
        m for n, m in enumerate(moments.replay(material.events, plan.at)) if n == case.moment
    )
    proposals, past = proposer.proposed(case, moment, world.table_at(case.moment))
    assert len(proposals) > 0
    assert not set(case.seeds) & set(proposals.ids)
    assert past.shopper.ids(len(case.seeds)) == list(reversed(case.seeds))
