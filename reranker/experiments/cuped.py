"""CUPED: what units did before tells part of what they do now; taken off, less noise is left. Pure.

Deng, Xu, Kohavi and Walker (2013), "Improving the Sensitivity of Online Controlled Experiments by
Utilizing Pre-Experiment Data", doi 10.1145/2433396.2433413. One slope for all arms, so that the
difference of means stays unbiased: assignment knows nothing of the past.
"""

from collections.abc import Sequence

import numpy as np

from reranker.experiments.ratio import Floats, Sums, linear


def adjusted(arms: Sequence[Sums]) -> list[Floats]:
    """Values of each arm's units whose means differ as the metric does, with what they did before
    taken off where that is known.
    """
    values = [linear(arm.top, arm.bottom) for arm in arms]
    before = _before(arms)
    if before is None or not any(map(len, before)):
        return values
    slope = _slope(values, before)
    middle = float(np.concatenate(before).mean())
    return [of_arm - slope * (past - middle) for of_arm, past in zip(values, before, strict=True)]


def reduction(arms: Sequence[Sums], after: Sequence[Floats]) -> float:
    """The share of the variance that the adjustment took off, over all units within their arms."""
    plain = sum(_spread(linear(arm.top, arm.bottom)) for arm in arms)
    return 1.0 - sum(map(_spread, after)) / plain if plain else 0.0


def _before(arms: Sequence[Sums]) -> list[Floats] | None:
    """The same metric from before, made linear over all arms alike."""
    tops, bottoms = [], []
    for arm in arms:
        if arm.top_before is None or arm.bottom_before is None:
            return None
        tops.append(arm.top_before)
        bottoms.append(arm.bottom_before)
    whole = linear(np.concatenate(tops), np.concatenate(bottoms))
    return np.split(whole, np.cumsum([len(top) for top in tops])[:-1])


def _slope(values: Sequence[Floats], before: Sequence[Floats]) -> float:
    """Of the metric over its past, within arms; 0 where the past is the same for all."""
    below = sum(map(_spread, before))
    if below <= 0.0:
        return 0.0
    pairs = zip(values, before, strict=True)
    return sum(_common(now, past) for now, past in pairs if len(now)) / below


def _common(now: Floats, past: Floats) -> float:
    return float((now - now.mean()) @ (past - past.mean()))


def _spread(values: Floats) -> float:
    return float(((values - values.mean()) ** 2).sum()) if len(values) else 0.0
