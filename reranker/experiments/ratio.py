"""A metric as a ratio of sums over units, and the values whose mean behaves like it. Pure.

Units are independent, searches of one unit are not: a click rate over searches is a ratio of two
means over units. The delta method (Deng, Knoblich and Lu 2018, "Applying the Delta Method in Metric
Analytics", doi 10.1145/3219819.3219919) makes it a mean of one value a unit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """One value a unit in each array [n]: `top` over `bottom` is the metric of an arm.

    `bottom` is one where the metric is a mean over units. `top_before`, `bottom_before` are the
    same from before the experiment; zero for units that were not there.
    """

    top: Floats
    bottom: Floats
    top_before: Floats | None = None
    bottom_before: Floats | None = None

    def __len__(self) -> int:
        return len(self.top)

    def only(self, rows: NDArray[np.bool_]) -> "Sums":
        """Some of the units."""
        past = (self.top_before, self.bottom_before)
        before = [None if it is None else it[rows] for it in past]
        return Sums(self.top[rows], self.bottom[rows], *before)

    @property
    def value(self) -> float:
        """The metric; nan where nothing was counted."""
        below = float(self.bottom.sum())
        return float(self.top.sum()) / below if below else float("nan")


def linear(top: Floats, bottom: Floats) -> Floats:
    """Values [n] whose mean is the ratio, and whose variance over n is the ratio's."""
    below = float(bottom.mean()) if len(bottom) else 0.0
    if not below:
        return np.zeros_like(top)
    ratio = float(top.mean()) / below
    values: Floats = ratio + (top - ratio * bottom) / below
    return values
