"""Beforehand: what an experiment on an index would find, by what units did in the last weeks. Pure.

One past window after the other is taken as if it had been the experiment, so that units who come
back, and those who never do, are counted as they are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from indexer.errors import InvalidRequest
from reranker.experiments import cuped, power
from reranker.experiments.experiment import Arm, Experiment
from reranker.experiments.metric import METRICS
from reranker.experiments.power import Baseline
from reranker.experiments.ratio import Sums
from reranker.experiments.tally import DAY_SECONDS, Document, Tally

DAYS = (7, 14, 28)


@dataclass(frozen=True, slots=True)
class Wish:
    """What shall be found: a relative change of a metric, by equal arms over such units."""

    index: str
    metric: str = "ctr"
    unit: str = "user"
    effect: float = 0.05
    arms: int = 2
    alpha: float = 0.05
    before_days: float = 28.0

    def check(self) -> None:
        """Raise InvalidRequest for what no experiment can find."""
        if self.metric not in METRICS:
            raise InvalidRequest(f"metric is {self.metric!r}: use one of {', '.join(METRICS)}")
        if not self.effect:
            raise InvalidRequest(
                "effect is 0: name the relative change that shall be found, as 0.05"
            )
        if not -1 < self.effect < math.inf:
            raise InvalidRequest(
                f"effect is {self.effect:g}: use a relative change above -1, as -0.05 for 5 % less"
            )
        try:
            self.experiment()
        except ValidationError as error:
            told = (f"{'.'.join(map(str, it['loc']))}: {it['msg']}" for it in error.errors())
            raise InvalidRequest(f"there can be no such experiment: {'; '.join(told)}") from None

    def experiment(self) -> Experiment:
        """As an experiment; raises pydantic's ValidationError for what cannot be one."""
        return Experiment.model_validate(
            {
                "name": "plan",
                "index": self.index,
                "unit": self.unit,
                "metrics": (self.metric,),
                "alpha": self.alpha,
                "before_days": self.before_days,
                "arms": tuple(Arm(name=f"arm-{number}") for number in range(self.arms)),
            }
        )


class Rehearsal:
    """Takes the documents of the past by time; one tally for each window that ends at `now`."""

    def __init__(self, wish: Wish, now: float) -> None:
        self._wish = wish
        experiment = wish.experiment()
        self.since = now - (max(DAYS) + wish.before_days) * DAY_SECONDS
        self._tallies = {
            days: Tally(experiment, now - days * DAY_SECONDS, everyone=True) for days in DAYS
        }

    def take(self, document: Document) -> None:
        """One search or deed."""
        for tally in self._tallies.values():
            tally.take(document)

    def result(self) -> dict[str, Any]:
        """The plan as JSON."""
        metric = METRICS[self._wish.metric]
        sums = {days: it.counted().sums(metric)[0] for days, it in self._tallies.items()}
        return _planned(self._wish, sums)


def _planned(wish: Wish, sums: Mapping[int, Sums]) -> dict[str, Any]:
    alpha = power.alpha_of_one(wish.alpha, wish.arms)
    shares = [1.0] * wish.arms
    windows = [_window(days, it, shares, alpha, wish.effect) for days, it in sums.items()]
    known = [it for it in windows if it["units_needed"] is not None]
    enough = [it for it in known if it["units"] >= it["units_needed"]]
    answer: dict[str, Any] = {
        "index": wish.index,
        "metric": wish.metric,
        "unit": wish.unit,
        "effect": wish.effect,
        "alpha": wish.alpha,
        "power": power.POWER,
        "windows": windows,
        "units_needed": None,
        "days_needed": None,
    }
    if known:
        best = (enough or known[-1:])[0]
        days = best["days"] if enough else best["days"] * best["units_needed"] / best["units"]
        answer |= {"units_needed": best["units_needed"], "days_needed": math.ceil(days)}
    return answer


def _window(
    days: int, sums: Sums, shares: Sequence[float], alpha: float, effect: float
) -> dict[str, Any]:
    """What so many days would have found."""
    units = len(sums)
    found: dict[str, Any] = {"days": days, "units": units, "units_needed": None}
    if units < 2 or not sums.value or math.isnan(sums.value):
        return found
    values = cuped.adjusted([sums])
    baseline = Baseline(sums.value, float(values[0].std(ddof=1)))
    return found | {
        "mean": round(baseline.mean, 6),
        "deviation": round(baseline.deviation, 6),
        "variance_reduction": round(cuped.reduction([sums], values), 4),
        "units_needed": power.units_needed(baseline, effect, shares, alpha),
        "detectable": round(power.detectable(baseline, units, shares, alpha), 5),
        "detectable_if_looked_at_once": round(
            power.detectable(baseline, units, shares, alpha, fixed=True), 5
        ),
    }
