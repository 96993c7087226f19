"""How well scores order held-out lists: one value a list, so that systems can be compared; pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue import card
from reranker.evaluation import compare, metrics, segments
from reranker.fusion.baseline import RANK_CONSTANT, SPACED, UNSPACED, prior
from reranker.learning.dataset import ListSet
from reranker.signals import definition

Scores = NDArray[np.floating]
NOT_IN_LEG = 1e9
SHOWN = ("mrr", "ndcg@10", "hit@10")
CUT = 10
JUDGED = "judged searches"  # the part of them
JUDGED_MIN = 50  # below which they alone decide nothing
PURCHASE = 2  # column of the labels


def wanted(lists: ListSet) -> NDArray[np.bool_]:
    """Rows that should stand first [rows]: a derived case's target, else what was bought, put in
    a cart or clicked, the weightiest there is.
    """
    found = lists.target.copy()
    for first, end in zip(lists.start[:-1], lists.start[1:], strict=True):
        if not found[first:end].any():
            weight = lists.labels[first:end] @ np.array([1.0, 2.0, 4.0], dtype=np.float32)
            found[first:end] = weight == weight.max()
    return found


def ranks(scores: Scores, lists: ListSet, first: NDArray[np.bool_] | None = None) -> NDArray[Any]:
    """Rank from 1 of each list's best wanted row [lists]; ties count half."""
    first = wanted(lists) if first is None else first
    found = np.empty(len(lists))
    for i, (begin, end) in enumerate(zip(lists.start[:-1], lists.start[1:], strict=True)):
        own = scores[begin:end]
        best = own[first[begin:end]].max()
        found[i] = 1 + (own > best).sum() + ((own == best).sum() - 1) / 2
    return found


def reciprocal(scores: Scores, lists: ListSet) -> NDArray[np.float64]:
    """Reciprocal rank of each list [lists], judged or not."""
    return metrics.of_ranks(ranks(scores, lists), ["mrr"])["mrr"]


class Yardstick:
    """One value a list, the higher the better, by which rankers are compared: the reciprocal rank
    of what is wanted, of a judged search nDCG@10 over its candidates.
    """

    def __init__(self, lists: ListSet) -> None:
        self._lists = lists
        self._wanted = wanted(lists)
        self._judged = np.flatnonzero(lists.judged)

    @property
    def name(self) -> str:
        """What a mean of its values is called."""
        return "MRR, of judged ones nDCG@10," if len(self._judged) else "MRR"

    def values(self, scores: Scores) -> NDArray[np.float64]:
        """The value of each list [lists] for scores [rows]."""
        ranked = ranks(scores, self._lists, self._wanted)
        found = metrics.of_ranks(ranked, ["mrr"])["mrr"]
        for row in self._judged.tolist():
            first, end = self._lists.start[row : row + 2].tolist()
            gains = self._lists.labels[first:end, PURCHASE]
            found[row] = _dcg(gains, scores[first:end]) / _dcg(gains, gains)
        return found


def _dcg(gains: NDArray[np.floating], scores: Scores) -> float:
    """Discounted gain of the best `CUT` by `scores`; of equal scores the worst item is first."""
    best = np.lexsort((gains, -scores))[:CUT]
    return float((gains[best] / np.log2(np.arange(2, len(best) + 2))).sum())


def static_scores(lists: ListSet) -> dict[str, Scores]:
    """Scores [rows] of the legs and of both: bm25, knn, rrf."""
    signals = lists.signals.astype(np.float32)
    legs = {name: _rank_of(signals, f"{name}_rank") for name in ("bm25", "knn")}
    fused = sum(1.0 / (RANK_CONSTANT + rank) for rank in legs.values())
    return {
        **{name: -rank for name, rank in legs.items()},
        "rrf": np.asarray(fused),
    }


def untrained(lists: ListSet, queries: Sequence[str]) -> Scores:
    """Scores [rows] that lists are served with while there is no model.

    `queries` are the texts by the rows that the lists have of them.
    """
    signals = lists.signals.astype(np.float32)
    unspaced = np.array([card.is_unspaced(query) for query in queries], dtype=bool)
    by_row = unspaced[lists.query].repeat(np.diff(lists.start))
    return np.where(by_row, prior(signals, UNSPACED), prior(signals, SPACED))


def _rank_of(signals: NDArray[np.float32], name: str) -> NDArray[np.float64]:
    """Rank in a leg from its log; half precision is mended by rounding where it can matter."""
    column = definition.INDEX[name]
    logged = signals[:, column].astype(np.float64)
    absent = np.isclose(logged, definition.SIGNALS[column].default)
    return np.where(absent, NOT_IN_LEG, np.expm1(logged))


def summary(scores: Scores, lists: ListSet) -> dict[str, float]:
    """MRR, nDCG@10 and hit@10, and MRR where the shopper had never bought the target."""
    found = metrics.of_ranks(ranks(scores, lists), SHOWN)
    means = {name: round(float(values.mean()), 4) for name, values in found.items()}
    new = ~lists.bought_before
    if new.any():
        means["mrr_new_to_shopper"] = round(float(found["mrr"][new].mean()), 4)
    return means


def guarded(lists: ListSet, queries: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Parts of the held-out lists [lists] in none of which a challenger may be worse.

    `queries` are the texts of the lists. New items had no purchase before the search.
    """
    head = segments.head_queries(queries)
    often = np.array([query in head for query in queries], dtype=bool)
    stranger: NDArray[np.bool_] = np.all(lists.history < 0, axis=1)
    unsold = lists.signals[:, definition.INDEX["purchases"]].astype(np.float32) <= 0.0
    first = wanted(lists)
    new_item = np.array(
        [
            bool(unsold[begin:end][first[begin:end]].all())
            for begin, end in zip(lists.start[:-1], lists.start[1:], strict=True)
        ],
        dtype=bool,
    )
    return {
        "items new to the shopper": ~lists.bought_before,
        "items bought before": lists.bought_before,
        "new shoppers": stranger,
        "new items": new_item,
        "frequent queries": often,
        "rare queries": ~often,
        JUDGED: lists.judged,
    }


def _better(
    challenger: NDArray[np.float64], serving: NDArray[np.float64], seed: int, alpha: float
) -> bool:
    found = compare.paired(challenger, serving, seed)
    return found.mean_difference > 0 and found.p_value <= alpha


def gate(
    challenger: NDArray[np.float64],
    serving: NDArray[np.float64],
    guarded: Mapping[str, NDArray[np.bool_]],
    seed: int,
    alpha: float,
    by: str = "MRR",
) -> str | None:
    """Why the challenger must not serve; None: it may. Values are those of a `Yardstick` [lists],
    called `by`.

    It must be better on all lists or, where some are judged, on those: they are what a shop says
    of relevance itself, and purchases are many. It must be worse in no guarded part: of several
    parts one looks so by chance, hence the correction of Holm (1979, A simple sequentially
    rejective multiple test procedure) over them, and half the level for either of two ways to be
    better.
    """
    every = np.ones(len(serving), dtype=bool)
    judged = guarded.get(JUDGED, ~every)
    ways = [every, judged] if judged.sum() >= JUDGED_MIN else [every]
    whole = compare.paired(challenger, serving, seed)
    if not any(_better(challenger[it], serving[it], seed, alpha / len(ways)) for it in ways):
        return (
            f"not better than what serves beyond noise on {len(serving)} held-out searches "
            f"({by} {challenger.mean():.4f} against {serving.mean():.4f}, p = {whole.p_value:.3f})"
        )
    parts = {
        name: compare.paired(challenger[rows], serving[rows], seed)
        for name, rows in guarded.items()
        if rows.sum() >= 2
    }
    harm = {name: part.p_value if part.worse else 1.0 for name, part in parts.items()}
    for name, p_value in compare.holm(harm).items():
        if p_value <= alpha:
            rows = guarded[name]
            return (
                f"worse for {name} ({by} {challenger[rows].mean():.4f} against "
                f"{serving[rows].mean():.4f} on {int(rows.sum())} held-out searches)"
            )
    return None
