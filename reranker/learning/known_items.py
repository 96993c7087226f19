"""Searches for one known thing by its whole title: what a ranker must answer whatever a log says.

A log of typed searches tells of a narrow part of them. Where its clicks follow a brand, say, and
not the words, what is learned from it alone puts that brand above the very thing that somebody
types the name of. So some lists are of a title and ask for its item (known-item search: Azzopardi,
de Rijke, Balog 2007, Building simulated queries for known-item topics, doi
10.1145/1277741.1277820), and others, of further titles, are what the gate looks at.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.event import query_key
from reranker.evaluation import compare
from reranker.learning import measure
from reranker.learning.cases import Case
from reranker.learning.dataset import LABELS, ListSet

SHARE, LISTS_MIN = 0.1, 50  # so many lists beside those that were typed or judged, if there are
PROBES_MAX = 200  # titles that the gate looks at
PROBES_MIN = 20  # fewer say nothing
PROBES_SHARE = 0.2  # of the titles there are
LOSS_MAX = 0.05  # reciprocal rank that behaviour may cost: of things alike one sells better


@dataclass(frozen=True)
class KnownItems:
    """Cases by use, as of a `plan.Plan`; `probes` are of titles that are in none of the others."""

    train: list[Case]
    late: list[Case]
    probes: list[Case]


def cases(
    titles: Mapping[str, str],
    at: Sequence[float],
    cut: int,
    train: Sequence[Case],
    late: Sequence[Case],
    seed: int,
) -> KnownItems:
    """Cases of items whose title no other has, drawn evenly, beside those of `train` and `late`.

    `at` are the moments. Where every query was made of a title there are no more to learn from.
    Labels are of the kinds that `train` has, so that no head of a network learns from these alone.
    """
    random = np.random.default_rng(seed)
    asked = {item: query_key(title) for item, title in titles.items()}
    once = Counter(asked.values())
    named = [item for item in sorted(asked) if asked[item] and once[asked[item]] == 1]
    order = [named[i] for i in random.permutation(len(named))]
    probes = min(PROBES_MAX, round(PROBES_SHARE * len(order)))
    labels = _labels(train)

    def case(item: str, moment: int) -> Case:
        return Case(moment, at[moment], None, asked[item], {item: labels}, item, named=True)

    def beside(others: Sequence[Case]) -> list[str]:
        known = sum(not case.derived for case in others)
        return order[probes : probes + min(max(round(SHARE * known), LISTS_MIN), known)]

    return KnownItems(
        train=[case(item, int(random.integers(cut))) for item in beside(train)],
        late=[case(item, len(at) - 1) for item in beside(late)],
        probes=[case(item, cut) for item in order[:probes]],
    )


def _labels(train: Sequence[Case]) -> tuple[float, float, float]:
    """Click, cart and purchase, each 1 where `train` has any."""
    every = [np.max(list(case.labels.values()), axis=0) for case in train]
    click, cart, purchase = np.max([np.zeros(LABELS), *every], axis=0) > 0
    return float(click), float(cart), float(purchase)


def verdict(
    scores: NDArray[np.floating],
    untrained: NDArray[np.floating],
    lists: ListSet,
    seed: int,
    alpha: float,
) -> tuple[dict[str, float], str | None]:
    """Mean reciprocal ranks of probes by `scores` [rows] and by the untrained prior's, and why
    that is too little to serve; None: it is enough.
    """
    values = [measure.reciprocal(by, lists) for by in (scores, untrained)]
    told = {"mrr": round(float(values[0].mean()), 4), "prior": round(float(values[1].mean()), 4)}
    found = compare.paired(values[0], values[1], seed)
    lost = -found.mean_difference
    if len(lists) < PROBES_MIN or lost <= LOSS_MAX or found.p_value > alpha:
        return told, None
    return told, (
        f"searches for a whole title find its item too far down (MRR {told['mrr']:.4f}, without a "
        f"model {told['prior']:.4f}, over {len(lists)} titles)"
    )
