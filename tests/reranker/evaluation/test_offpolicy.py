from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reranker.evaluation import offpolicy
from reranker.evaluation.offpolicy import Estimate, Impressions

Estimator = Callable[[Impressions], Estimate]

CONTEXTS, ITEMS, ROWS = 6, 12, 1500
PLANTED = np.random.default_rng(3)
REWARD = PLANTED.beta(1.5, 9.0, size=(CONTEXTS, ITEMS))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


OLD = softmax(PLANTED.normal(size=(CONTEXTS, ITEMS)))
NEW = softmax(6.0 * REWARD + PLANTED.normal(0, 0.3, size=(CONTEXTS, ITEMS)))
TRUTH = float((NEW * REWARD).sum(axis=1).mean())
OLD_VALUE = float((OLD * REWARD).sum(axis=1).mean())
WRONG_MODEL = np.full_like(REWARD, REWARD.mean())


def logged(
    seed: int, model: NDArray[np.float64] = REWARD, believed: NDArray[np.float64] = OLD
) -> Impressions:
    """Choices of OLD with the planted rewards; `believed` is what the log says of OLD."""
    rng = np.random.default_rng(seed)
    context = rng.integers(0, CONTEXTS, size=ROWS)
    item = (OLD[context].cumsum(axis=1) > rng.random((ROWS, 1))).argmax(axis=1)
    reward = (rng.random(ROWS) < REWARD[context, item]).astype(float)
    return Impressions(
        reward=reward,
        logged=believed[context, item],
        target=NEW[context, item],
        model_shown=model[context, item],
        model_target=(NEW * model).sum(axis=1)[context],
    )


def test_the_policies_planted_here_differ_enough_to_tell_apart() -> None:
    assert TRUTH > 1.2 * OLD_VALUE
    assert 0.1 * ROWS < offpolicy.ips(logged(0)).effective_impressions < 0.7 * ROWS


@pytest.mark.parametrize("model", [REWARD, WRONG_MODEL], ids=["right model", "wrong model"])
@pytest.mark.parametrize("estimator", [offpolicy.ips, offpolicy.snips, offpolicy.dr])
def test_the_intervals_cover_the_planted_truth_as_often_as_they_promise(
    estimator: Estimator, model: NDArray[np.float64]
) -> None:
    found = [estimator(logged(seed, model)).interval for seed in range(300)]
    covered = np.mean([low <= TRUTH <= high for low, high in found])
    assert 0.90 <= covered <= 0.99


@pytest.mark.parametrize("estimator", [offpolicy.ips, offpolicy.snips, offpolicy.dr])
def test_the_mean_over_many_logs_is_the_planted_truth(estimator: Estimator) -> None:
    found = [estimator(logged(seed, WRONG_MODEL)).value for seed in range(300)]
    assert np.mean(found) == pytest.approx(TRUTH, abs=3.5 * np.std(found) / np.sqrt(300))


def test_the_standard_error_is_the_spread_over_many_logs() -> None:
    for estimator in (offpolicy.ips, offpolicy.snips, offpolicy.dr):
        found = [estimator(logged(seed)) for seed in range(300)]
        spread = np.std([it.value for it in found])
        assert np.mean([it.standard_error for it in found]) == pytest.approx(spread, rel=0.15)


def test_a_good_model_makes_the_doubly_robust_estimate_steadier() -> None:
    plain, robust = (
        np.std([estimator(logged(seed)).value for seed in range(200)])
        for estimator in (offpolicy.ips, offpolicy.dr)
    )
    assert robust < 0.9 * plain


def test_a_right_model_saves_the_doubly_robust_estimate_from_wrong_propensities() -> None:
    believed = softmax(np.log(OLD) * 0.3)
    found = [logged(seed, REWARD, believed) for seed in range(200)]
    robust = np.mean([offpolicy.dr(seen).value for seen in found])
    plain = np.mean([offpolicy.ips(seen).value for seen in found])
    assert robust == pytest.approx(TRUTH, abs=0.004)
    assert abs(plain - TRUTH) > 5 * abs(robust - TRUTH)
    assert abs(np.mean([offpolicy.ips(seen).mean_weight for seen in found]) - 1) > 0.05


def test_the_old_policy_itself_is_worth_its_mean_reward() -> None:
    seen = logged(4)
    found = offpolicy.on_policy(seen)
    assert found.value == pytest.approx(seen.reward.mean())
    assert found.effective_impressions == pytest.approx(ROWS)
    spread = seen.reward.std(ddof=1) / np.sqrt(ROWS)
    assert found.standard_error == pytest.approx(spread)


def by_hand(**changed: object) -> Impressions:
    values = {
        "reward": np.array([1.0, 0.0, 1.0]),
        "logged": np.array([0.5, 0.25, 0.1]),
        "target": np.array([0.25, 0.5, 0.4]),
        "model_shown": np.array([0.6, 0.1, 0.7]),
        "model_target": np.array([0.5, 0.5, 0.5]),
    }
    return Impressions(**{**values, **changed})  # type: ignore[arg-type]


def test_each_estimate_is_its_formula() -> None:
    seen = by_hand()
    assert offpolicy.ips(seen).value == pytest.approx((0.5 * 1 + 2 * 0 + 4 * 1) / 3)
    assert offpolicy.snips(seen).value == pytest.approx((0.5 * 1 + 4 * 1) / (0.5 + 2 + 4))
    corrected = [0.5 + 0.5 * (1 - 0.6), 0.5 + 2 * (0 - 0.1), 0.5 + 4 * (1 - 0.7)]
    assert offpolicy.dr(seen).value == pytest.approx(sum(corrected) / 3)
    assert offpolicy.ips(seen).effective_impressions == pytest.approx(
        (0.5 + 2 + 4) ** 2 / (0.5**2 + 2**2 + 4**2)
    )


def test_clipping_bounds_every_weight_and_says_how_many_it_touched() -> None:
    clipped = offpolicy.ips(by_hand(), clip=2.0)
    assert clipped.value == pytest.approx((0.5 * 1 + 2 * 0 + 2 * 1) / 3)
    assert clipped.clipped_share == pytest.approx(1 / 3)
    assert offpolicy.ips(by_hand()).clipped_share == 0.0


def test_clipping_lowers_the_error_and_the_value_of_rewards_that_are_not_negative() -> None:
    for seed in range(20):
        seen = logged(seed)
        plain, clipped = offpolicy.ips(seen), offpolicy.ips(seen, clip=1.5)
        assert clipped.standard_error < plain.standard_error
        assert clipped.value <= plain.value


@given(st.floats(-3, 3), st.integers(0, 50))
def test_a_shift_of_all_rewards_moves_snips_by_as_much(shift: float, seed: int) -> None:
    seen = logged(seed)
    moved = Impressions(seen.reward + shift, seen.logged, seen.target)
    before, after = offpolicy.snips(seen), offpolicy.snips(moved)
    assert after.value == pytest.approx(before.value + shift)
    assert after.standard_error == pytest.approx(before.standard_error)


def test_rows_of_one_search_do_not_count_as_independent() -> None:
    seen = logged(1)
    once = offpolicy.ips(seen)
    doubled = Impressions(
        *(np.tile(it, 2) for it in (seen.reward, seen.logged, seen.target)),
        group=np.tile(np.arange(ROWS), 2),
    )
    found = offpolicy.ips(doubled)
    assert found.value == pytest.approx(once.value)
    assert found.standard_error == pytest.approx(once.standard_error)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"logged": np.array([0.5, 0.0, 0.1])}, "above 0"),
        ({"logged": np.array([0.5, np.nan, 0.1])}, "above 0"),
        ({"target": np.array([0.5, 1.5, 0.1])}, "from 0 to 1"),
        ({"target": np.array([0.5])}, "one length"),
        ({"reward": np.array([])}, "at least one row"),
    ],
)
def test_a_log_that_cannot_be_right_is_refused(changed: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        by_hand(**changed)


def test_a_policy_that_shows_nothing_of_the_log_cannot_be_judged_by_snips() -> None:
    with pytest.raises(ValueError, match="none of the logged items"):
        offpolicy.snips(by_hand(target=np.zeros(3)))


def test_the_doubly_robust_estimate_needs_a_model() -> None:
    with pytest.raises(ValueError, match="predicted rewards"):
        offpolicy.dr(by_hand(model_shown=None))
