"""What the diversity dial gives and costs: one measurement at each of its places. Pure.

Every place is held against the first, over the same searches. "Equal" is a mean of the main metric
within a hundredth of what it is at the first place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.evaluation import experiment
from reranker.evaluation.compare import ROUNDS, paired
from reranker.evaluation.experiment import Measured, Questions
from reranker.evaluation.variety import CUT

DISTANCE, COVERAGE = f"diversity@{CUT}", f"coverage@{CUT}"
RELEVANCE = (f"ndcg@{CUT}", f"judged_ndcg@{CUT}", "mrr")


@dataclass(frozen=True, slots=True)
class Place:
    """The dial at one place, and what was measured there."""

    dial: float
    measured: Measured

    def values(self, metric: str) -> NDArray[np.float64] | None:
        """One value a search; None where the metric is not one of single searches."""
        found: NDArray[np.float64] | None = self.measured.values.get(metric)
        return found

    def mean(self, metric: str) -> float | None:
        """The mean over all searches, or the value of a metric of lists."""
        values = self.values(metric)
        return self.measured.variety.get(metric) if values is None else float(values.mean())


@dataclass(frozen=True, slots=True)
class Turned:
    """The dial from its first place to its last."""

    questions: Questions
    places: Sequence[Place]
    seed: int = experiment.SEED

    @property
    def metrics(self) -> list[str]:
        """What the places are told apart by, as far as it was measured."""
        first = self.places[0]
        return [it for it in (*RELEVANCE, DISTANCE, COVERAGE) if first.mean(it) is not None]

    def shares(self, metric: str) -> list[float]:
        """The metric at each place over what it is at the first."""
        base = self.places[0].mean(metric) or 1.0
        return [(place.mean(metric) or 0.0) / base for place in self.places]

    def result(self) -> dict[str, Any]:
        """What the command line prints as JSON."""
        return {
            self.questions.kind: len(self.questions.searches),
            "places": [self._place(at) for at in range(len(self.places))],
        }

    def _place(self, at: int) -> dict[str, Any]:
        place, first = self.places[at], self.places[0]
        row: dict[str, Any] = {"dial": place.dial, "degraded": place.measured.degraded}
        for metric in self.metrics:
            row[metric] = round(place.mean(metric) or 0.0, 4)
            row[f"{metric} share"] = round(self.shares(metric)[at], 4)
        for metric in RELEVANCE if at else ():
            ours, theirs = place.values(metric), first.values(metric)
            if ours is not None and theirs is not None:
                compared = paired(ours, theirs, self.seed, ROUNDS)
                row[f"{metric} against"] = experiment.stated(compared)
        return row


def said(dial: float) -> str:
    """A place as it is written."""
    return f"{dial:g}"
