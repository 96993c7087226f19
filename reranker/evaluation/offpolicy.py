"""What a new policy would have earned, from impressions that another policy chose. Pure.

Every estimate comes with an interval; a value without one says nothing here, because a few
impressions that the old policy hardly ever showed can carry most of the weight. Look at
`effective_impressions` and `mean_weight` first: the former far below the number of impressions,
or the latter far from 1, means the log cannot answer the question.

- IPS, inverse propensity scoring: Horvitz and Thompson (1952, doi 10.1080/01621459.1952.10483446);
  on logged choices Strehl et al. (2010, arXiv 1003.0120). Unbiased with the right propensities.
- SNIPS, self-normalised: Swaminathan and Joachims (2015, "The self-normalized estimator for
  counterfactual learning", NIPS 28). A little biased, far steadier, moves with a shift of rewards.
- DR, doubly robust: Dudík, Langford and Li (2011, arXiv 1103.4601). Right where either the
  propensities or the reward model are, and steadier than IPS where the model explains anything.
- Clipped weights: Ionides (2008, doi 10.1198/106186008X320456). Less variance for a bias towards
  the old policy (DR: towards the model), which no interval covers.

Standard errors are those of the influence values; impressions of one search (`group`) are not
independent, so their influences are added up first. A log with few clicks, or with few rows that
the new policy would show, has hardly ever seen what carries most weight: normal intervals then end
far too low (tests/bench/offpolicy.py). So where no reward is negative, intervals are those of a
gamma variable with the mean and the error of the rewarded part; the upper end, which must reckon
with what was not seen, has one reward more, as in Fay and Feuer (1997, Confidence intervals for
directly standardized rates, Statistics in Medicine 16). Theirs has the largest weight of all,
which is safe and useless here; ours the root mean square of the weights of what the new policy
shows, which covers as promised where the other covers always.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

Floats = NDArray[np.float64]

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Impressions:
    """What was shown and what came of it, one row an item shown: arrays [n].

    `logged` and `target` are the probabilities with which the old and the new policy show this
    item here. `model_shown` is the predicted reward of the item shown, `model_target` that of the
    new policy's choice in expectation; only DR needs them. `group` numbers the searches.
    """

    reward: Floats
    logged: Floats
    target: Floats
    model_shown: Floats | None = None
    model_target: Floats | None = None
    group: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        given = (self.logged, self.target, self.model_shown, self.model_target, self.group)
        if not self.reward.size or any(
            it is not None and it.shape != self.reward.shape for it in given
        ):
            raise ValueError("impressions must be arrays of one length, at least one row")
        if not ((self.logged > 0) & (self.logged <= 1)).all():
            raise ValueError("logged propensities must be above 0 and at most 1: what was shown")
        if not ((self.target >= 0) & (self.target <= 1)).all():
            raise ValueError("target probabilities must be from 0 to 1")

    def weights(self, clip: float | None) -> Floats:
        """How much more often the new policy shows this item here; at most `clip`."""
        ratio = self.target / self.logged
        return ratio if clip is None else np.minimum(ratio, clip)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The value of the new policy a row, its error, and what that rests on."""

    value: float
    standard_error: float
    interval: tuple[float, float]
    effective_impressions: float
    mean_weight: float
    clipped_share: float


@dataclass(frozen=True, slots=True)
class Gain:
    """How much more a new policy is worth than another, estimated from one log."""

    value: float
    interval: tuple[float, float]


def ips(seen: Impressions, clip: float | None = None) -> Estimate:
    """Mean of reward times weight."""
    weighted = seen.weights(clip) * seen.reward
    value = float(weighted.mean())
    return _estimate(seen, clip, value, weighted - value, weighted.size)


def snips(seen: Impressions, clip: float | None = None) -> Estimate:
    """The weighted mean of the rewards; its error by the delta method.

    Raises where the new policy shows nothing that was logged.
    """
    value, influence = _snips(seen, clip)
    return _estimate(seen, clip, value, influence, float(seen.weights(clip).sum()))


def dr(seen: Impressions, clip: float | None = None) -> Estimate:
    """What the model predicts for the new policy, corrected by what it got wrong on the log.

    The model must not have seen the rewards it is used on: see `reward_table.cross_fitted`.
    """
    value, influence = _dr(seen, clip)
    return _estimate(seen, clip, value, influence, influence.size)


def on_policy(seen: Impressions) -> Estimate:
    """The old policy's own value, for comparison: every weight is 1."""
    return ips(replace(seen, target=seen.logged))


def gains(new: Impressions, other: Impressions, clip: float | None = None) -> dict[str, Gain]:
    """By SNIPS and by DR, how much more the policy of `new` earns than that of `other`.

    Both are of the same rows, so what chance did to both is no difference. Intervals are normal:
    where clicks are rare their lower end, which promotions hang on, is the safe one.
    """
    return {"snips": _gain(new, other, _snips, clip), "dr": _gain(new, other, _dr, clip)}


def _gain(new: Impressions, other: Impressions, by: "_Valued", clip: float | None) -> Gain:
    (one, of_one), (two, of_two) = by(new, clip), by(other, clip)
    reach = NormalDist().inv_cdf((1.0 + CONFIDENCE) / 2.0)
    reach *= _standard_error(of_one - of_two, new.group)
    return Gain(one - two, (one - two - reach, one - two + reach))


_Valued = Callable[[Impressions, float | None], tuple[float, Floats]]


def _snips(seen: Impressions, clip: float | None) -> tuple[float, Floats]:
    """The value and each row's influence on it."""
    weights = seen.weights(clip)
    if not weights.any():
        raise ValueError("the target policy shows none of the logged items: nothing to estimate")
    value = float((weights * seen.reward).sum() / weights.sum())
    return value, weights * (seen.reward - value) / weights.mean()


def _dr(seen: Impressions, clip: float | None) -> tuple[float, Floats]:
    if seen.model_shown is None or seen.model_target is None:
        raise ValueError("DR needs predicted rewards: model_shown and model_target")
    corrected = seen.model_target + seen.weights(clip) * (seen.reward - seen.model_shown)
    value = float(corrected.mean())
    return value, corrected - value


def _estimate(
    seen: Impressions, clip: float | None, value: float, influence: Floats, divisor: float
) -> Estimate:
    """`divisor` is what the sum of weighted rewards is divided by in this estimate."""
    weights = seen.weights(clip)
    error = _standard_error(influence, seen.group)
    squares = float((weights**2).sum())
    return Estimate(
        value=value,
        standard_error=error,
        interval=_interval(value, error, seen.reward, weights / divisor),
        effective_impressions=float(weights.sum() ** 2 / squares) if squares else 0.0,
        mean_weight=float(weights.mean()),
        clipped_share=float((seen.target / seen.logged > weights).mean()),
    )


def _interval(value: float, error: float, reward: Floats, share: Floats) -> tuple[float, float]:
    """Limits of a value of which `share` times `reward`, summed up, is the rewarded part."""
    tail = (1.0 - CONFIDENCE) / 2.0
    reach = NormalDist().inv_cdf(1.0 - tail) * error
    if (reward < 0.0).any() or not np.isfinite(error) or not share.any():
        return value - reach, value + reach
    rewarded = float((share * reward).sum())
    more = float(np.sqrt((share**3).sum() / share.sum())) * (float(reward.max()) or 1.0)
    rest, wider = value - rewarded, float(np.hypot(error, more))
    low = rest + _gamma(rewarded, error, tail) if rewarded > 0.0 < error else value - reach
    return low, rest + _gamma(rewarded + more, wider, 1.0 - tail)


def _gamma(mean: float, error: float, quantile: float) -> float:
    """A quantile of the gamma variable of this mean and standard deviation, both above 0."""
    return float(gammaincinv((mean / error) ** 2, quantile)) * error**2 / mean


def _standard_error(influence: Floats, group: NDArray[np.int64] | None) -> float:
    """Of the mean of values whose own mean is 0 (up to rounding), dependent within a group."""
    count = influence.size
    sums = influence
    if group is not None:
        _, at = np.unique(group, return_inverse=True)
        sums = np.bincount(at, weights=influence).astype(np.float64)
    if sums.size < 2:
        return float("inf")
    return float(np.sqrt((sums**2).sum() * sums.size / (sums.size - 1)) / count)
