"""A/A tests on what has happened: would this shop's own numbers sound false alarms? Pure.

Nothing was different for anybody, so whatever is found is false. The units of the past are given to
two arms under many salts, and each is looked at day after day, as a real experiment would be.
"""

import math
from datetime import datetime
from typing import Any

import numpy as np

from reranker.experiments import assignment, comparison
from reranker.experiments.comparison import Terms
from reranker.experiments.metric import METRICS, Metric
from reranker.experiments.plan import Wish
from reranker.experiments.ratio import Sums
from reranker.experiments.tally import DAY_SECONDS, Document, Tally

HALVES = (1.0, 1.0)
NORMAL_95 = 1.959964


class Replay:
    """Takes the documents of the past by time and keeps a look at every day's end."""

    def __init__(
        self,
        wish: Wish,
        now: float,
        days: float,
        *,
        every: float = 1.0,
        metric: Metric | None = None,
    ) -> None:
        self._metric = metric or METRICS[wish.metric]
        self._alpha = wish.alpha
        start = now - days * DAY_SECONDS
        self.since = start - wish.before_days * DAY_SECONDS
        self._tally = Tally(wish.experiment(), start, everyone=True)
        self._every = every * DAY_SECONDS
        self._next = start + self._every
        self._looks: list[Sums] = []

    def take(self, document: Document) -> None:
        """One search or deed."""
        at = datetime.fromisoformat(document["timestamp"]).timestamp()
        while at > self._next:
            self._look()
            self._next += self._every
        self._tally.take(document)

    def result(self, salts: int) -> dict[str, Any]:
        """How many of so many A/A tests found something at some look."""
        self._look()
        units = list(self._tally.units)
        found = [self._first_alarm(units, f"replay-{number}") for number in range(salts)]
        alarms = sum(look is not None for look in found)
        return {
            "units": len(units),
            "looks": len(self._looks),
            "salts": salts,
            "alarms": alarms,
            "share": round(alarms / salts, 4),
            "interval": [round(bound, 4) for bound in share_interval(alarms, salts)],
            "alpha": self._alpha,
        }

    def _look(self) -> None:
        self._looks += self._tally.counted().sums(self._metric)

    def _first_alarm(self, units: list[str], salt: str) -> int | None:
        arm = np.array([assignment.arm_of(salt, unit, HALVES) for unit in units], np.intp)
        terms = Terms(max(1, len(units)), self._alpha)
        for number, sums in enumerate(self._looks, 1):
            arms = [sums.only(arm[: len(sums)] == side) for side in (0, 1)]
            if comparison.against_first(arms, terms)[0].is_found:
                return number
        return None


def share_interval(hits: int, tests: int, normal: float = NORMAL_95) -> tuple[float, float]:
    """Of a share, 95 % (Wilson 1927, doi 10.1080/01621459.1927.10502953)."""
    share, square = hits / tests, normal**2
    middle = (share + square / (2 * tests)) / (1 + square / tests)
    spread = share * (1 - share) / tests + square / (4 * tests**2)
    reach = normal * math.sqrt(spread) / (1 + square / tests)
    return max(0.0, middle - reach), min(1.0, middle + reach)
