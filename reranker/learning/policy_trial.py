"""A slate policy before it may serve: judged by SNIPS and DR on searches of another. Pure.

A search is a list with its scores, what stood where, with which chance and what it earned. The
policy's own order is held against the order by the scores alone, both on the same log: an item
counts for a policy where that has it at the place where it stood (the item-position model of Li et
al. 2018, Offline evaluation of ranking policies with click models, doi 10.1145/3219819.3220028).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour import adaptive
from reranker.evaluation import offpolicy
from reranker.evaluation.offpolicy import Impressions
from reranker.learning.reinforce import Adds, Log, nothing

Floats = NDArray[np.float64]
FOLDS, RIDGE = 2, 10.0
EFFECTIVE_MIN = 100.0
TOO_FEW = "there are too few searches with recorded chances in which the policy's order was shown"
NOT_BETTER = "it does not earn more than what serves, beyond noise"


@dataclass(frozen=True, eq=False)
class Judged:
    """One search: candidates [n], of which `shown` [k] stood at the first places."""

    signals: NDArray[np.float32]  # [n, signals]
    scores: Floats  # [n] without any policy or chance
    shown: NDArray[np.int64]  # [k] rows
    chances: Floats  # [k]
    rewards: Floats  # [k]


def verdict(searches: Sequence[Judged], adds: Adds, seed: int) -> dict[str, Any]:
    """What the policy would have earned an impression; `why` it must not serve, or None."""
    if not searches:
        return {"why": TOO_FEW, "searches": 0}
    new, plain = impressions(searches, adds, seed), impressions(searches, nothing, seed)
    said: dict[str, Any] = {"searches": len(searches), "impressions": len(new.reward)}
    if not new.target.any() or not plain.target.any():
        return {**said, "why": TOO_FEW}
    for name, seen in (("policy", new), ("without", plain)):
        said[name] = {
            it.__name__: _rounded(asdict(it(seen))) for it in (offpolicy.snips, offpolicy.dr)
        }
    gains = offpolicy.gains(new, plain)
    said["gain"] = {name: _rounded(asdict(gain)) for name, gain in gains.items()}
    why = None if all(gain.interval[0] > 0 for gain in gains.values()) else NOT_BETTER
    if min(offpolicy.snips(it).effective_impressions for it in (new, plain)) < EFFECTIVE_MIN:
        why = TOO_FEW
    return {**said, "why": why}


def impressions(searches: Sequence[Judged], adds: Adds, seed: int) -> Impressions:
    """The log as rows, for the order by scores and what is added to them."""
    group = np.concatenate([np.full(len(it.shown), at) for at, it in enumerate(searches)])
    order = [_order(it, adds) for it in searches]
    seen = np.concatenate([_about(it, it.shown) for it in searches])
    meant = np.concatenate([_about(it, own) for it, own in zip(searches, order, strict=True)])
    reward = np.concatenate([it.rewards for it in searches])
    of_shown, of_target = _cross_fitted(seen, meant, reward, group, seed)
    same = [it.shown == own for it, own in zip(searches, order, strict=True)]
    return Impressions(
        reward=reward,
        logged=np.concatenate([it.chances for it in searches]),
        target=np.concatenate(same).astype(float),
        model_shown=of_shown,
        model_target=of_target,
        group=group,
    )


def as_log(searches: Sequence[Judged]) -> Log | None:
    """Searches of the most common shape as a log to learn from.

    What came later is not known, and the chance of a place stands for that of the page, which is
    no smaller: weights are too large rather than too small, and capped.
    """
    shapes = Counter((len(it.scores), len(it.shown)) for it in searches)
    if not shapes:
        return None
    (shape, _), *_ = shapes.most_common(1)
    alike = [it for it in searches if (len(it.scores), len(it.shown)) == shape]
    rewards = np.stack([it.rewards for it in alike])
    return Log(
        signals=np.stack([it.signals for it in alike]),
        scores=np.stack([it.scores for it in alike]),
        slate=np.stack([it.shown for it in alike]),
        beta=np.stack([it.chances for it in alike]),
        rewards=rewards,
        returns=rewards,
        episode=np.arange(len(alike)),
    )


def _order(search: Judged, adds: Adds) -> NDArray[np.int64]:
    """Rows at the places that were shown, as the policy would have them."""
    order = np.argsort(-(search.scores + adds(search.signals)), kind="stable")
    return order[: len(search.shown)].astype(np.int64)


def _about(search: Judged, rows: NDArray[np.int64]) -> Floats:
    """What the reward model knows of items at the first places [k, features]."""
    features = adaptive.features(search.signals)[rows].astype(np.float64)
    place = 1.0 / np.log2(np.arange(2, len(rows) + 2))
    score = search.scores - search.scores.mean()
    own = np.stack([place, np.ones_like(place), score[rows] * place], axis=1)
    return np.concatenate([own, features * place[:, None]], axis=1)


def _cross_fitted(
    seen: Floats, meant: Floats, reward: Floats, group: NDArray[np.int64], seed: int
) -> tuple[Floats, Floats]:
    """Ridge predictions of both, each by the searches of the other fold."""
    fold = np.random.default_rng(seed).integers(0, FOLDS, int(group.max()) + 1)[group]
    of_shown, of_target = np.zeros(len(reward)), np.zeros(len(reward))
    for number in range(FOLDS):
        out, rest = fold == number, fold != number
        if not out.any() or not rest.any():
            continue
        x = seen[rest]
        weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ reward[rest])
        of_shown[out], of_target[out] = seen[out] @ weights, meant[out] @ weights
    return of_shown, of_target


def _rounded(said: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [round(it, 6) for it in value] if isinstance(value, tuple) else round(value, 6)
        for name, value in said.items()
    }
