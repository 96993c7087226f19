"""What all shoppers did: with the item, and with the item after this search; pure."""

import numpy as np

from indexer.behaviour import query_stats
from indexer.behaviour.popularity import CART, HALF_LIVES_DAYS, PURCHASE, VIEW
from reranker.signals import definition
from reranker.signals.listwise import Array, PlaceOf, log1p, log_days, share
from reranker.signals.situation import Situation

DAY_1, DAY_7, DAY_30, DAY_120 = range(len(HALF_LIVES_DAYS))
# A rate of few observations leans on this many exposures at the prior rate.
PRIOR_EXPOSURE = 10.0
PRIOR_RATES = {"click": 0.05, "cart": 0.01, "purchase": 0.01}
SEARCH_NAMES = tuple(s.name for s in definition.SEARCH)
_TREND_FLOOR = 0.05  # purchases a day below which a trend says nothing


def popularity(situation: Situation) -> dict[str, Array | PlaceOf]:
    """Columns [n] of the family `popularity`."""
    known = situation.popularity
    bought = known.decayed[:, PURCHASE]
    # A decayed count of half-life h at a steady rate r is r * h / ln 2.
    rate = bought / np.array(HALF_LIVES_DAYS, dtype=np.float32) * np.float32(np.log(2)) + (
        _TREND_FLOOR
    )
    trend = np.log(rate[:, [DAY_7, DAY_30]] / rate[:, [DAY_30, DAY_120]]).astype(np.float32)
    total, logged = known.total[:, PURCHASE], log1p(bought)
    return {
        "purchases_1d": logged[:, DAY_1],
        "purchases_7d": logged[:, DAY_7],
        "purchases_30d": logged[:, DAY_30],
        "purchases_120d": logged[:, DAY_120],
        "purchases": log1p(total),
        "views_30d": log1p(known.decayed[:, VIEW, DAY_30]),
        "carts_30d": log1p(known.decayed[:, CART, DAY_30]),
        "buyers": log1p(known.buyers),
        "loyalty": log1p(total / np.maximum(known.buyers, 1.0)),
        "trend_7d": trend[:, 0],
        "trend_30d": trend[:, 1],
        "days_since_sale": log_days(known.last_age_days[:, PURCHASE]),
        "days_known": log_days(known.first_age_days),
        "purchases_7d_place": PlaceOf(bought[:, DAY_7]),
        "purchases_30d_place": PlaceOf(bought[:, DAY_30]),
        "purchases_120d_place": PlaceOf(bought[:, DAY_120]),
        "purchases_30d_share": share(bought[:, DAY_30]),
        "purchases_120d_share": share(bought[:, DAY_120]),
    }


def search(situation: Situation) -> dict[str, Array | PlaceOf]:
    """Columns [n] of the family `search`; NaN where this search text was never seen."""
    if not len(situation.query_stats.records):
        unknown: Array | PlaceOf = np.full(len(situation.items), np.nan, dtype=np.float32)
        return dict.fromkeys(SEARCH_NAMES, unknown)
    found = query_stats.at(situation.query_stats, situation.items, situation.now)
    exposure = found["exposure"]
    clicked = _rate(found["count"][:, VIEW], exposure, PRIOR_RATES["click"])
    bought = _rate(found["count"][:, PURCHASE], exposure, PRIOR_RATES["purchase"])
    return {
        "click_rate": clicked,
        "cart_rate": _rate(found["count"][:, CART], exposure, PRIOR_RATES["cart"]),
        "purchase_rate": bought,
        "exposure": log1p(exposure),
        "click_rate_place": PlaceOf(clicked),
        "purchase_rate_place": PlaceOf(bought),
    }


def _rate(events: Array, exposure: Array, prior: float) -> Array:
    """Smoothed log rate: events a seen impression, leaning on `prior`."""
    smoothed = (events + PRIOR_EXPOSURE * prior) / (np.maximum(exposure, events) + PRIOR_EXPOSURE)
    return np.log(smoothed).astype(np.float32)
