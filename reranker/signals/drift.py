"""Whether the signals served are still those that a model was trained on; pure.

The reference is what the held-out lists of the training said, made as a search makes them: its
deciles, and the share of values between each two. Served values are held against it by the
population stability index (Siddiqi 2006, Credit risk scorecards): the sum over bins of
(found - expected) * ln(found / expected). Chance alone makes it (bins - 1) * (1 / m + 1 / n) on
average for m and n independent draws (Yurdakul and Naranjo 2020, Statistical properties of the
population stability index), which is taken off; the draws are lists, since the candidates of one
list are alike. Values are compared in half precision, as training keeps them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.signals import definition

DECILES = np.linspace(0.1, 0.9, 9)
CONSTANT_EDGES = 2  # of one value: just below it, and itself
SHARE_MIN = 1e-3  # an empty bin counts as this share
CHANCE_DEVIATIONS = 5.0  # chi-squared has a long tail, and there are many signals
# The calendar moves these by itself, whatever the shop does.
CALENDAR = frozenset({"season_sine", "season_cosine"})

Values = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Drift:
    """How far one signal moved: the index without what chance gives, and how much that varies."""

    index: float
    deviation: float

    def above(self, threshold: float) -> bool:
        """Whether it is above the threshold and above what chance alone could do."""
        return self.index > max(threshold, CHANCE_DEVIATIONS * self.deviation)


def reference(signals: Values, lists: int) -> dict[str, Any]:
    """What a manifest keeps of signals [rows, signals] of so many lists; plain JSON."""
    halved = _halved(signals)
    found = {}
    for column, name in enumerate(definition.NAMES):
        edges = _edges(halved[:, column])
        shares = _shares(halved[:, column], edges)
        found[name] = {
            "edges": edges.astype(float).tolist(),
            "shares": [round(share, 6) for share in shares.tolist()],
        }
    return {"lists": lists, "signals": found}


def constants(told: Mapping[str, Any]) -> dict[str, float]:
    """Signals that had one value in every row of the reference, with it; half precision."""
    return {
        name: float(said["edges"][-1])
        for name, said in told.get("signals", {}).items()
        if len(said["edges"]) == CONSTANT_EDGES
        and max(said["shares"]) == 1.0
        and name not in CALENDAR
    }


def measure(told: Mapping[str, Any], signals: Values, lists: int) -> dict[str, Drift]:
    """Drift of each signal that the reference tells of; signals [rows, signals] of so many lists.

    Empty without a reference, as of artifacts made before there was one, and without lists.
    """
    known: Mapping[str, Any] = told.get("signals", {})
    if not known or not lists or not len(signals):
        return {}
    halved, per_bin = _halved(signals), 1 / lists + 1 / max(int(told["lists"]), 1)
    return {
        name: _drift(halved[:, column], known[name], per_bin)
        for column, name in enumerate(definition.NAMES)
        if name in known
    }


def stability_index(expected: Values, found: Values) -> float:
    """The population stability index of two distributions over the same bins [bins]."""
    a, b = (np.maximum(shares, SHARE_MIN) for shares in (expected, found))
    return float(((b - a) * np.log(b / a)).sum())


def moved(found: Mapping[str, Drift], threshold: float) -> dict[str, float]:
    """Signals that are above the threshold, the farthest first."""
    above = {
        name: drift.index
        for name, drift in found.items()
        if name not in CALENDAR and drift.above(threshold)
    }
    return dict(sorted(above.items(), key=lambda it: -it[1]))


def _drift(values: Values, told: Mapping[str, Any], per_bin: float) -> Drift:
    edges, expected = np.array(told["edges"]), np.array(told["shares"])
    degrees = max(len(expected) - 1, 1)
    index = stability_index(expected, _shares(values, edges))
    chance = degrees * per_bin
    return Drift(max(index - chance, 0.0), float(np.sqrt(2 * degrees)) * per_bin)


def _edges(values: Values) -> NDArray[np.float64]:
    """Deciles; one that stands for several has a bin of its own, or less than it would look so."""
    deciles, times = np.unique(np.quantile(values, DECILES, method="nearest"), return_counts=True)
    repeated = deciles[times > 1].astype(np.float16)
    below = np.nextafter(repeated, np.float16(-np.inf)).astype(np.float64)
    return np.unique(np.concatenate([deciles, below]))


def _shares(values: Values, edges: Values) -> NDArray[np.float64]:
    """Share of the values up to each edge, and above the last [edges + 1]."""
    bins = np.searchsorted(edges, values, side="left")
    return np.bincount(bins, minlength=len(edges) + 1) / max(len(values), 1)


def _halved(signals: Values) -> NDArray[np.float64]:
    return np.asarray(signals, dtype=np.float16).astype(np.float64)
