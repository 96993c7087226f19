"""One weight a signal, tuned; listwise softmax over the same lists.

The honest simple baseline, and what the network starts from.

Softmax cross-entropy of Cao et al. (2007, ListNet, doi 10.1145/1273496.1273513) over standardised
signals; it is convex, so L-BFGS finds the one best. Signals say much the same of each other, which
makes the loss a long narrow valley: weights are stretched by its curvature until it is round, as
far as a sample of the lists tells it (Byrd, Chin, Neveitt, Nocedal 2011, On the use of stochastic
Hessian information in optimization methods for machine learning, doi 10.1137/10079923X). The
penalty is chosen on the held-out lists, then the weights are fitted anew to all lists that the
served network learns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from reranker.fusion import line
from reranker.fusion.baseline import PriorWeights, prior_parts
from reranker.learning import measure
from reranker.learning.dataset import ListSet, joined, signal_moments
from reranker.signals import definition

DEEDS = np.array([1.0, 2.0, 4.0], dtype=np.float32)  # click, cart, purchase
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
STEPS_MAX = 150
ROUNDS = (6, 6, STEPS_MAX)  # steps until the curvature is looked at anew
TOLERANCE = 1e-6  # of the loss: a step that gains a smaller share is the last one
CURVATURE_LISTS = 600
FEW_ROWS = 0.5  # of all
START_PENALTY = 1e-3
# Of the three lines of a start: the one of what the shopper bought before only says where that
# differs, and has few rows to learn from.
PENALTY_SHARES = (1.0, 1.0, 10.0)
Array = NDArray[np.float32]
Doubles = NDArray[np.float64]
Loss = Callable[[Doubles], tuple[float, Doubles]]


@dataclass(frozen=True, eq=False)
class Fitted:
    """Scores of the held-out lists [rows], the weights of all lists as JSON, and the penalty."""

    held_out: Array
    model: bytes
    penalty: float


def fit(train: ListSet, held_out: ListSet, late: ListSet | None) -> Fitted:
    """Choose the penalty on `held_out`, then fit to `train` and `late`."""
    mean, scale = signal_moments(train)
    values = _standardised(held_out, mean, scale)
    yardstick = measure.Yardstick(held_out)
    best, scores, weights = -1.0, np.zeros(len(values), np.float32), np.zeros(len(mean), np.float32)
    chosen = PENALTIES[0]
    own = _standardised(train, mean, scale)
    for penalty in PENALTIES:
        found = fitted(own, train, penalty, weights)
        reached = float(yardstick.values(values @ found).mean())
        if reached > best:
            best, scores, weights, chosen = reached, values @ found, found, penalty
    if late is not None:
        every = joined(train, late)
        weights = fitted(_standardised(every, mean, scale), every, chosen, weights)
    return Fitted(scores, as_json(weights, scale), chosen)


def start(
    lists: ListSet,
    penalty: float = START_PENALTY,
    standard: tuple[Array, Array] | None = None,
) -> Array:
    """What each head may start from [heads, LINES * signals], over standardised signals and beyond
    the prior; zeros for a head without labels. Which line is whose says `line.shares`.

    `standard` are the mean and scale [signals] to standardise by; None: those of `lists`.
    """
    mean, scale = standard or signal_moments(lists)
    values, reading = _standardised(lists, mean, scale), reading_of(lists, mean / scale)
    found = np.zeros((lists.labels.shape[1], line.LINES * len(mean)), dtype=np.float32)
    for head in np.flatnonzero((lists.labels > 0).any(axis=0)):
        only = np.zeros_like(lists.labels)
        only[:, head] = lists.labels[:, head]
        own = replace(lists, labels=only)
        weights = fitted(values, own, penalty, found[head], reading)
        found[head] = weights - prior_lines(prior_weights() * scale)
    return found


def best_penalty(train: ListSet, held_out: ListSet, penalties: Sequence[float]) -> float:
    """The largest penalty that is not behind the best one by more than one standard error of the
    paired difference of reciprocal ranks (Breiman et al. 1984, section 3.4.3): the closer to
    nothing, the more of it holds for lists of another kind.
    """
    if len(penalties) == 1:
        return penalties[0]
    mean, scale = signal_moments(train)
    values, others = _standardised(train, mean, scale), _standardised(held_out, mean, scale)
    reading, of_others = (reading_of(lists, mean / scale) for lists in (train, held_out))
    weights = np.zeros(line.LINES * len(mean), dtype=np.float32)
    reached: dict[float, NDArray[np.float64]] = {}
    yardstick = measure.Yardstick(held_out)
    for penalty in sorted(penalties):
        weights = fitted(values, train, penalty, weights, reading)
        reached[penalty] = yardstick.values(scored(others, weights, of_others))
    best = max(reached.values(), key=lambda values: float(values.mean()))
    return max(it for it, values in reached.items() if not behind(values, best))


def behind(values: NDArray[np.floating], best: NDArray[np.floating]) -> bool:
    """Whether `values` [lists] are behind the best by more than one standard error of the paired
    difference.
    """
    lost = best - values
    return bool(lost.mean() > lost.std() / np.sqrt(len(lost)))


def prior_weights() -> Array:
    """The weight that the prior gives each raw signal [signals]."""
    given = np.zeros(len(definition.SIGNALS), dtype=np.float32)
    for name, value in prior_parts(np.ones_like(given), PriorWeights()).items():
        given[definition.INDEX[name]] = value
    return given


def prior_lines(weights: Array) -> Array:
    """Weights [signals] of the prior as lines [LINES * signals]: what is bought before has none of
    its own.
    """
    return np.concatenate([weights, weights, np.zeros_like(weights)])


class Reading(NamedTuple):
    """How rows are read by several lines: how much each counts [LINES, rows], and what is added to
    standardised signals [signals] before the last one reads them.
    """

    shares: Array
    added: Array


def reading_of(lists: ListSet, added: Array) -> Reading:
    """How the lines that a network starts from read the rows of `lists` (`line.shares`); `added` is
    what standardising took off.
    """
    return Reading(line.shares(lists.signals), added)


def scored(values: Array, weights: Array, reading: Reading) -> NDArray[np.float64]:
    """Scores of the rows of `values` [rows, signals] by lines of weights one after the other."""
    return _scored(_parts(values, reading), weights, len(values))


class _Part(NamedTuple):
    """Rows that a line counts for, what it reads there [rows, signals], and how much it counts."""

    rows: slice | NDArray[np.intp]
    values: Array
    share: Array


def _parts(values: Array, reading: Reading) -> list[_Part]:
    """Each line's part. Where it counts for few rows these are copied, once instead of every row
    being read at each step.
    """
    found = []
    for number, share in enumerate(reading.shares, start=1):
        counts = np.flatnonzero(share)
        rows = counts if len(counts) < FEW_ROWS * len(values) else slice(None)
        read = values[rows]
        if number == len(reading.shares) and reading.added.any():
            read = read + reading.added
        found.append(_Part(rows, read, share[rows]))
    return found


def _scored(parts: Sequence[_Part], weights: Array, count: int) -> NDArray[np.float64]:
    total = np.zeros(count, dtype=np.float64)
    # One product a line: a narrow matrix of all takes several times as long.
    for part, it in zip(parts, np.split(weights, len(parts)), strict=True):
        total[part.rows] += (part.values @ it) * part.share
    return total


def fitted(
    values: Array, lists: ListSet, penalty: float, start: Array, reading: Reading | None = None
) -> Array:
    """Weights [signals] that make the labelled rows of `values` [rows, signals] likeliest.

    With a `reading` there are LINES of them, one after the other [LINES * signals].
    """
    loss = loss_of(values, lists, penalty, reading)
    curvature = curvature_of(values, lists, penalty, reading)
    weights = start.astype(np.float64)
    for steps in ROUNDS:
        weights = _descended(loss, weights, curvature(weights), steps)
    return weights.astype(np.float32)


def _descended(loss: Loss, weights: Doubles, curvature: Doubles, steps: int) -> Doubles:
    """Weights after so many steps downhill, stretched by the curvature [weights, weights]."""
    from scipy.linalg import cholesky, solve_triangular
    from scipy.optimize import minimize

    factor = cholesky(curvature, lower=True)

    def back(stretched: Doubles) -> Doubles:
        return np.asarray(solve_triangular(factor.T, stretched, lower=False))

    def of_stretched(stretched: Doubles) -> tuple[float, Doubles]:
        value, slope = loss(back(stretched))
        return value, np.asarray(solve_triangular(factor, slope, lower=True))

    options = {"maxiter": steps, "ftol": TOLERANCE}
    begun = factor.T @ weights
    return back(minimize(of_stretched, begun, jac=True, method="L-BFGS-B", options=options).x)


def loss_of(values: Array, lists: ListSet, penalty: float, reading: Reading | None = None) -> Loss:
    """The mean cross-entropy of a list plus the penalty, and its slope, by weights; both are
    [signals], or LINES times as many with a `reading` (see `fitted`).
    """
    wanted, each = _wanted(lists), _penalties(penalty, values.shape[1], reading)
    parts = _parts(values, reading or _one_line(values))
    first, sizes = lists.start[:-1], np.diff(lists.start)

    def loss(weights: Doubles) -> tuple[float, Doubles]:
        scores = _scored(parts, weights.astype(np.float32), len(values))
        scores -= np.repeat(np.maximum.reduceat(scores, first), sizes)
        odds = np.exp(scores)
        total = np.add.reduceat(odds, first)
        likely = odds / np.repeat(total, sizes)
        entropy = np.log(total).sum() - (wanted * scores).sum()
        beyond = (likely - wanted).astype(np.float32)
        slope = np.concatenate([part.values.T @ (beyond[part.rows] * part.share) for part in parts])
        return (
            entropy / len(lists) + 0.5 * float(weights @ (each * weights)),
            slope.astype(np.float64) / len(lists) + each * weights,
        )

    return loss


def curvature_of(
    values: Array, lists: ListSet, penalty: float, reading: Reading | None = None
) -> Callable[[Doubles], Doubles]:
    """The Hessian of `loss_of` at weights, as CURVATURE_LISTS of the lists tell it; positive
    definite, for the penalty is.
    """
    each = _penalties(penalty, values.shape[1], reading)
    picked = np.unique(np.linspace(0, len(lists) - 1, CURVATURE_LISTS).astype(np.intp))
    rows = np.concatenate([np.arange(*lists.start[i : i + 2]) for i in picked])
    sizes = np.diff(lists.start)[picked]
    first = np.cumsum(sizes) - sizes
    by = reading or _one_line(values)
    read = [values[rows]] * (len(by.shares) - 1) + [values[rows] + by.added]
    lines = zip(read, by.shares, strict=True)
    seen = np.concatenate([it * share[rows, None] for it, share in lines], axis=1, dtype=np.float64)

    def curvature(weights: Doubles) -> Doubles:
        scores = seen @ weights
        scores -= np.repeat(np.maximum.reduceat(scores, first), sizes)
        odds = np.exp(scores)
        likely = odds / np.repeat(np.add.reduceat(odds, first), sizes)
        weighed = seen * likely[:, None]
        mean = np.add.reduceat(weighed, first, axis=0)
        found: Doubles = (weighed.T @ seen - mean.T @ mean) / len(picked) + np.diag(each)
        return found

    return curvature


def _one_line(values: Array) -> Reading:
    return Reading(np.ones((1, len(values)), np.float32), np.zeros(values.shape[1], np.float32))


def _penalties(penalty: float, signals: int, reading: Reading | None) -> Doubles:
    return penalty * np.repeat([1.0] if reading is None else PENALTY_SHARES, signals)


def as_json(weights: Array, scale: Array) -> bytes:
    """Weights over raw signals, by name: standardising is folded in, the constant drops out."""
    raw = (weights / scale).astype(float).tolist()
    return orjson.dumps({"weights": dict(zip(definition.NAMES, raw, strict=True))})


def _wanted(lists: ListSet) -> NDArray[np.float64]:
    """Each list's shares of what was done [rows]; they sum to one a list."""
    deeds = (lists.labels @ DEEDS).astype(np.float64)
    total = np.add.reduceat(deeds, lists.start[:-1])
    shares: NDArray[np.float64] = deeds / np.repeat(np.maximum(total, 1e-9), np.diff(lists.start))
    return shares


def _standardised(lists: ListSet, mean: Array, scale: Array) -> Array:
    values = lists.signals.astype(np.float32)
    values -= mean
    values /= scale
    return values
