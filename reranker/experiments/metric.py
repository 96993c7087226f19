"""What is counted of a unit, and the metrics that come of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

# Sums of one unit. `units` is one; `bought` and `carted` are zero or one.
COLUMNS = (
    *("units", "searches", "clicked_searches", "empty_searches", "degraded_searches"),
    *("took_ms", "carted", "bought", "revenue", "preferred"),
)
COLUMN = {name: number for number, name in enumerate(COLUMNS)}


@dataclass(frozen=True, slots=True)
class Metric:
    """A ratio of two columns; `more_is_better` says which way is a harm."""

    top: str
    bottom: str
    what: str
    more_is_better: bool = True


METRICS: Mapping[str, Metric] = {
    "ctr": Metric("clicked_searches", "searches", "searches with a click"),
    "purchase_rate": Metric("bought", "units", "units that bought"),
    "cart_rate": Metric("carted", "units", "units that put something into the cart"),
    "revenue": Metric("revenue", "units", "revenue a unit"),
    "latency_ms": Metric("took_ms", "searches", "milliseconds a search", more_is_better=False),
    "zero_result_rate": Metric(
        "empty_searches", "searches", "searches without a hit", more_is_better=False
    ),
    "degraded_rate": Metric(
        "degraded_searches", "searches", "degraded searches", more_is_better=False
    ),
}
# Of interleaved searches: which ranker the clicks prefer, from -1 (first arm) to 1 (second).
PREFERENCE = Metric("preferred", "units", "preference of a unit's clicks for the second arm")
