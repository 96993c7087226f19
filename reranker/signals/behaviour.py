"""What all shoppers did: with the item, and with the item after this search; pure."""

import math

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour import query_stats
from indexer.behaviour.popularity import (
    BUYER_BITS,
    CART,
    DAY_SECONDS,
    HALF_LIVES_DAYS,
    PURCHASE,
    VIEW,
)
from reranker.signals import definition
from reranker.signals.compiled import (
    DOUBLE_ROWS,
    DOUBLES,
    FLOAT_BLOCKS,
    FLOAT_ROWS,
    FLOATS,
    HASH_ROWS,
    INTO,
    NUMBER,
    bit_count,
    callee,
    compiled,
    logged,
)
from reranker.signals.listwise import Array
from reranker.signals.situation import Situation

Doubles = NDArray[np.float64]
DAY_1, DAY_7, DAY_30, DAY_120 = range(len(HALF_LIVES_DAYS))
# A rate of few observations leans on this many exposures at the prior rate.
PRIOR_EXPOSURE = 10.0
PRIOR_RATES = {"click": 0.05, "cart": 0.01, "purchase": 0.01}
_CLICK, _CART, _PURCHASE = (PRIOR_RATES[kind] for kind in ("click", "cart", "purchase"))
_TREND_FLOOR = 0.05  # purchases a day below which a trend says nothing
(
    BOUGHT_1D,
    BOUGHT_7D,
    BOUGHT_30D,
    BOUGHT_120D,
    BOUGHT,
    VIEWS_30D,
    CARTS_30D,
    BUYERS,
    LOYALTY,
    TREND_7D,
    TREND_30D,
    SINCE_SALE,
    KNOWN,
    PLACE_7D,
    PLACE_30D,
    PLACE_120D,
    SHARE_30D,
    SHARE_120D,
) = range(len(definition.POPULARITY))
CLICKED, CARTED, PURCHASED, EXPOSURE, CLICKED_PLACE, PURCHASED_PLACE = range(len(definition.SEARCH))


def popularity(situation: Situation, into: Array) -> None:
    """Write the family `popularity` [its signals, n]; places as the values that are placed."""
    records = situation.popularity.records
    _popularity(
        records["reference"],
        records["first"],
        records["last"],
        records["decayed"],
        records["total"],
        records["buyers"].view("<u8"),
        situation.popularity.pace,
        situation.popularity.now,
        into,
    )


@callee
def _rate(decayed: float, half_life: float) -> float:
    """Events a day, smoothed: at a steady rate r a decayed count is r * half life / ln 2."""
    return decayed / half_life * math.log(2.0) + _TREND_FLOOR


@compiled(DOUBLES, DOUBLES, DOUBLE_ROWS, FLOAT_BLOCKS, FLOAT_ROWS, HASH_ROWS, DOUBLES, NUMBER, INTO)
def _popularity(
    reference: Doubles,
    first: Doubles,
    last: Doubles,
    decayed: Array,
    total: Array,
    buyers: NDArray[np.uint64],
    pace: Doubles,
    now: float,
    into: Array,
) -> None:
    """Columns of `popularity.RECORD`, as `popularity.Popularity` reads them; a day of what decays
    is as long as each item's `pace` says.
    """
    n = len(total)
    sum_30, sum_120 = 0.0, 0.0
    for i in range(n):
        age_days = (
            max(now - reference[i], 0.0) / DAY_SECONDS / pace[i]
            if math.isfinite(reference[i])
            else 0.0
        )
        left_30 = 2.0 ** (-age_days / HALF_LIVES_DAYS[DAY_30])
        bought_1 = decayed[i, PURCHASE, DAY_1] * 2.0 ** (-age_days / HALF_LIVES_DAYS[DAY_1])
        bought_7 = decayed[i, PURCHASE, DAY_7] * 2.0 ** (-age_days / HALF_LIVES_DAYS[DAY_7])
        bought_30 = max(decayed[i, PURCHASE, DAY_30] * left_30, 0.0)
        bought_120 = decayed[i, PURCHASE, DAY_120] * 2.0 ** (-age_days / HALF_LIVES_DAYS[DAY_120])
        bought_7, bought_120 = max(bought_7, 0.0), max(bought_120, 0.0)
        bought = max(total[i, PURCHASE], 0.0)
        bits = 0
        for word in buyers[i]:
            bits += int(bit_count(word))
        persons = -BUYER_BITS * math.log(max(BUYER_BITS - bits, 1) / BUYER_BITS)
        into[BOUGHT_1D, i] = logged(bought_1)
        into[BOUGHT_7D, i] = logged(bought_7)
        into[BOUGHT_30D, i] = logged(bought_30)
        into[BOUGHT_120D, i] = logged(bought_120)
        into[BOUGHT, i] = logged(bought)
        into[VIEWS_30D, i] = logged(decayed[i, VIEW, DAY_30] * left_30)
        into[CARTS_30D, i] = logged(decayed[i, CART, DAY_30] * left_30)
        into[BUYERS, i] = logged(persons)
        into[LOYALTY, i] = logged(bought / max(persons, 1.0))
        rate_30 = _rate(bought_30, HALF_LIVES_DAYS[DAY_30])
        into[TREND_7D, i] = math.log(_rate(bought_7, HALF_LIVES_DAYS[DAY_7]) / rate_30)
        into[TREND_30D, i] = math.log(rate_30 / _rate(bought_120, HALF_LIVES_DAYS[DAY_120]))
        into[SINCE_SALE, i] = logged((now - last[i, PURCHASE]) / DAY_SECONDS)
        into[KNOWN, i] = logged((now - first[i]) / DAY_SECONDS)
        into[PLACE_7D, i] = bought_7
        into[PLACE_30D, i] = into[SHARE_30D, i] = bought_30
        into[PLACE_120D, i] = into[SHARE_120D, i] = bought_120
        sum_30 += bought_30
        sum_120 += bought_120
    for i in range(n):
        into[SHARE_30D, i] /= sum_30 if sum_30 > 0.0 else 1.0
        into[SHARE_120D, i] /= sum_120 if sum_120 > 0.0 else 1.0
        if not math.isfinite(reference[i]):  # never seen: its times are infinite
            into[SINCE_SALE, i] = into[KNOWN, i] = np.nan
        elif not math.isfinite(last[i, PURCHASE]):
            into[SINCE_SALE, i] = np.nan


def search(situation: Situation, into: Array) -> None:
    """Write the family `search` [its signals, n]; NaN where this search text was never seen."""
    if not len(situation.query_stats.records):
        into[:] = np.nan
        return
    found = query_stats.at(situation.query_stats, situation.items, situation.now)
    _search(found["count"], found["exposure"], into)


@callee
def _log_rate(events: float, exposure: float, prior: float) -> float:
    """Smoothed log rate: events a seen impression, leaning on `prior`."""
    return math.log((events + PRIOR_EXPOSURE * prior) / (max(exposure, events) + PRIOR_EXPOSURE))


@compiled(FLOAT_ROWS, FLOATS, INTO)
def _search(count: Array, exposure: Array, into: Array) -> None:
    for i in range(len(exposure)):
        into[CLICKED, i] = _log_rate(count[i, VIEW], exposure[i], _CLICK)
        into[CARTED, i] = _log_rate(count[i, CART], exposure[i], _CART)
        into[PURCHASED, i] = _log_rate(count[i, PURCHASE], exposure[i], _PURCHASE)
        into[EXPOSURE, i] = logged(exposure[i])
        into[CLICKED_PLACE, i] = into[CLICKED, i]
        into[PURCHASED_PLACE, i] = into[PURCHASED, i]
