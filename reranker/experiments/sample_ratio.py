"""Does each arm have its share of the units? If not, nothing that is measured can be trusted. Pure.

The multinomial test that may be looked at all the time of Lindon and Malek (2022), "Anytime-Valid
Inference for Multinomial Count Data", NeurIPS 35, arXiv 2011.03567: the Bayes factor of a Dirichlet
mixture around the planned shares against exactly these shares.
"""

import math
from collections.abc import Sequence

ALARM_BELOW = 0.001
CONCENTRATION = 1000.0  # shares that are off by some percent are what goes wrong


def p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """The chance, whenever one looks, that units given out by these shares look as uneven."""
    whole = math.fsum(shares)
    planned = [share / whole for share in shares]
    evidence = math.lgamma(CONCENTRATION) - math.lgamma(CONCENTRATION + sum(counts))
    for count, share in zip(counts, planned, strict=True):
        prior = CONCENTRATION * share
        evidence += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(share)
    return math.exp(-max(evidence, 0.0))


def is_off(counts: Sequence[int], shares: Sequence[float]) -> bool:
    """Whether to sound the alarm."""
    return p_value(counts, shares) < ALARM_BELOW
