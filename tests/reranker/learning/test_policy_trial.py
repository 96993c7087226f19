"""Before a policy may serve: SNIPS and DR on searches that another order answered."""

from typing import Any

import numpy as np
import pytest

from indexer.behaviour.event import BehaviourEvent
from reranker.learning import explored_searches, policy_trial, slate_job
from reranker.learning.policy_trial import Judged
from reranker.learning.reinforce import Adds
from reranker.signals import definition, served
from reranker.signals.served import Served

WIDTH = len(definition.SIGNALS)
TASTE = definition.INDEX["taste"]
N, PLACES = 8, 3
EXAMINED = 1.0 / np.log2(np.arange(2, PLACES + 2))


def searches(count: int, seed: int) -> list[Judged]:
    """Lists drawn with known chances, whose items earn by a signal that the scores do not know."""
    random, found = np.random.default_rng(seed), []
    for _ in range(count):
        signals = np.zeros((N, WIDTH), np.float32)
        signals[:, TASTE] = random.permutation(np.linspace(-1, 1, N))
        scores = random.permutation(np.linspace(0.6, 0.0, N))
        drawn = np.argsort(-(scores + random.gumbel(size=(400, N))), axis=1)[:, :PLACES]
        shown, chances = drawn[0], (drawn == drawn[0]).mean(axis=0)
        likes = 0.3 + 0.25 * signals[shown, TASTE]
        rewards = (random.random(PLACES) < likes * EXAMINED).astype(float)
        found.append(Judged(signals, scores, shown, chances, rewards))
    return found


def by_taste(signals: Any) -> Any:
    return 3.0 * signals[:, TASTE].astype(float)


def against_taste(signals: Any) -> Any:
    return -by_taste(signals)


@pytest.mark.parametrize(
    ("adds", "why"),
    [(by_taste, None), (against_taste, policy_trial.NOT_BETTER)],
    ids=["better", "worse"],
)
def test_only_what_earns_more_may_serve(adds: Adds, why: str | None) -> None:
    said = policy_trial.verdict(searches(2000, 1), adds, seed=1)
    assert said["why"] == why
    better = adds is by_taste
    for gain in said["gain"].values():
        assert (gain["value"] > 0) == better
    truth = float(np.mean((0.3 + 0.25 * np.linspace(1, -1, N)[:PLACES]) * EXAMINED))
    if better:
        for name in ("snips", "dr"):
            low, high = said["policy"][name]["interval"]
            assert low <= truth <= high


def test_the_order_that_serves_is_not_better_than_itself() -> None:
    said = policy_trial.verdict(searches(500, 2), lambda signals: np.zeros(len(signals)), seed=1)
    assert said["why"] is not None
    assert all(gain["value"] == pytest.approx(0.0) for gain in said["gain"].values())


@pytest.mark.parametrize("count", [0, 40])
def test_a_handful_of_searches_proves_nothing(count: int) -> None:
    said = policy_trial.verdict(searches(count, 3), by_taste, seed=1)
    assert said["why"] == policy_trial.TOO_FEW


def test_searches_of_one_shape_are_a_log_to_learn_from() -> None:
    found = policy_trial.as_log(searches(10, 4))
    assert found is not None
    assert found.signals.shape == (10, N, WIDTH)
    np.testing.assert_array_equal(found.returns, found.rewards)
    assert policy_trial.as_log([]) is None


def record(**changes: Any) -> dict[str, Any]:
    """A search as the journal has it: two hits shown, one more behind them."""
    signals = np.arange(3 * WIDTH, dtype=np.float16).reshape(3, WIDTH) / WIDTH
    logged = Served("v1", signals, np.zeros(0, np.uint64), np.zeros((0, 5), np.float16))
    told = {
        "explored": True,
        "propensities": [0.5, 0.25],
        "further": ["c"],
        "scores": [1.0, "0.5", 2.0],
    }
    attributes = {"from": 0, "exploration": told, **changes}
    kept = served.encode(logged)
    return {
        "query_id": "q",
        "query_response_hit_ids": ["a", "b"],
        "query_attributes": attributes,
        "hitweave": {"served": kept},
    }


def test_a_recorded_search_is_read_with_what_stood_behind_it() -> None:
    (found,) = explored_searches.judged(record(), {("q", "b"): 4.0, ("other", "a"): 1.0})
    assert found.scores.tolist() == [1.0, 0.5, 2.0]
    assert found.shown.tolist() == [0, 1]
    assert found.chances.tolist() == [0.5, 0.25]
    assert found.rewards.tolist() == [0.0, 4.0]
    assert found.signals.shape == (3, WIDTH)


@pytest.mark.parametrize(
    "changes",
    [{"rules": ["summer"]}, {"exploration": {}}, {"exploration": None}],
    ids=["under a rule", "without chances", "without exploration"],
)
def test_what_cannot_be_judged_is_left_out(changes: dict[str, Any]) -> None:
    assert list(explored_searches.judged(record(**changes), {})) == []


def deed(action: str, item: str, user: str = "u", time: float = 0.0) -> BehaviourEvent:
    return BehaviourEvent(f"{action}{item}{time}", action, item, time, user=user, query_id="q")


def test_a_click_and_a_purchase_of_a_search_count_once_each() -> None:
    events = [deed("click", "a"), deed("click", "a", time=1.0), deed("purchase", "a")]
    assert explored_searches.earned(events) == {("q", "a"): 4.0}


def test_purchases_of_one_basket_are_one_visit() -> None:
    bought = [deed("purchase", f"i{n}", time=float(n % 2) * 90_000.0) for n in range(20)]
    visits, items = slate_job.visits([*bought, deed("click", "z")])
    assert (len(visits), items) == (2, 20)
    with pytest.raises(ValueError, match="too few items"):
        slate_job.visits(bought[:3])
