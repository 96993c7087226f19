"""Intervals and p-values that hold at every moment at once, however often people look. Pure.

The mixture sequential probability ratio test of a mean with a normal mixture (Robbins 1970,
doi 10.1214/aoms/1177696786; for A/B tests Johari, Koomen, Pekelis and Walsh 2017,
doi 10.1145/3097983.3097992, and 2022, doi 10.1287/opre.2021.2135; two-sided boundary: Howard,
Ramdas, McAuliffe and Sekhon 2021, doi 10.1214/20-AOS1991), with the variance estimated: the
asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2021,
arXiv 2103.06476, theorem 2.2). With variance V of the estimate and f = units so far over units
planned, the interval reaches

    sqrt(V (1 + 1/(c f)) (2 log(1/alpha) + log(1 + c f))),
    c = 2 log(1/alpha) + log(1 + 2 log(1/alpha)),

which is narrowest about f = 1 and right for any f. Like every statement that rests on the central
limit theorem it needs units enough first.
"""

import math

UNITS_MIN = 100  # of each arm, before anything is said


def interval(
    estimate: float, variance: float, planned_share: float, alpha: float
) -> tuple[float, float]:
    """All values that are not ruled out; at no time does it leave out the truth with a chance
    above `alpha`. `planned_share` is f above.
    """
    reach = math.sqrt(variance) * threshold(planned_share, alpha)
    return estimate - reach, estimate + reach


def p_value(estimate: float, variance: float, planned_share: float, alpha: float) -> float:
    """The least level at which 0 is ruled out, valid whenever it is looked at.

    `alpha` only says for which level the mixture is tuned: p < alpha where `interval` leaves out 0.
    """
    if variance <= 0.0 or planned_share <= 0.0:
        return 1.0
    grown = _tuning(alpha) * planned_share
    squared = estimate**2 / variance
    evidence = 0.5 * squared * grown / (1.0 + grown) - 0.5 * math.log1p(grown)
    return math.exp(-max(evidence, 0.0))


def threshold(planned_share: float, alpha: float) -> float:
    """How many standard errors from 0 an estimate must be; infinite before anything was seen."""
    if planned_share <= 0.0:
        return math.inf
    grown = _tuning(alpha) * planned_share
    return math.sqrt((1.0 + 1.0 / grown) * (2.0 * math.log(1.0 / alpha) + math.log1p(grown)))


def _tuning(alpha: float) -> float:
    twice = 2.0 * math.log(1.0 / alpha)
    return twice + math.log1p(twice)
