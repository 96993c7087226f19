"""Ranking metrics per query, through trec_eval's own code (ir-measures over pytrec_eval). Pure.

Every function gives one value a query, so that two systems can be compared query by query; a bare
mean is `means`. Metrics are named as the field names them: `ndcg@10`, `judged_ndcg@10`, `mrr`,
`map`, `precision@10`, `recall@10`, `f1@10`, `hit@10`. nDCG has the gain 2^grade - 1 of Burges et
al. (2005, doi 10.1145/1102351.1102363) and the discount log2(1 + rank); an item without a
judgement counts as grade 0, except in the judged-only form, which drops it from the list first
(Sakai 2007, doi 10.1145/1277741.1277756). A grade above 0 is relevant.

pytrec_eval and not ranx: the same numbers, but ranx compiles for a minute on a new machine and
needs six seconds to import afterwards; pytrec_eval needs a quarter of a second.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Run = Mapping[str, Sequence[str]]
"""Query → item ids, best first."""
Qrels = Mapping[str, Mapping[str, float]]
"""Query → item id → grade."""
PerQuery = dict[str, NDArray[np.float64]]
"""Metric → one value a query, in the order of the judgements or ranks it was computed from."""

GRADED = (
    *("ndcg@10", "judged_ndcg@10", "mrr", "map"),
    *("precision@10", "recall@10", "f1@10", "hit@10"),
)
ONE_TARGET = ("mrr", "ndcg@10", "hit@10", "map", "precision@10", "recall@10", "f1@10")
FRACTION_STEPS = 1000  # trec_eval counts in whole gains; nDCG is a ratio, so the scale drops out


def per_query(run: Run, qrels: Qrels, names: Sequence[str] = GRADED) -> PerQuery:
    """Each metric of `names`, one value a query of `qrels` in its order.

    A query that the run lacks counts as an empty list. A query without a relevant item is 0 in
    every metric, as trec_eval has it: leave such queries out of `qrels` (`judgements` does).
    """
    import ir_measures

    wanted = list(dict.fromkeys(part for name in names for part in _parts(name)))
    levels, gains = _levels(qrels)
    measures = {_measure(name, gains): name for name in wanted}
    row = {query: number for number, query in enumerate(qrels)}
    values = {name: np.zeros(len(row)) for name in wanted}
    for found in ir_measures.pytrec_eval.iter_calc(list(measures), levels, _scores(run, qrels)):
        values[measures[found.measure]][row[found.query_id]] = found.value
    return {name: _combined(name, values) for name in names}


def of_ranks(ranks: Sequence[int] | NDArray[Any], names: Sequence[str] = ONE_TARGET) -> PerQuery:
    """The same where exactly one item is relevant; `ranks` from 1, 0 = not in the list."""
    rank = np.asarray(ranks, dtype=np.float64)
    return {name: _of_ranks(rank, *_cut(name)) for name in names}


def rank_of(ids: Sequence[str], target: str) -> int:
    """Rank of `target` from 1; 0 where the list lacks it."""
    return ids.index(target) + 1 if target in ids else 0


def means(values: Mapping[str, NDArray[np.float64]], digits: int = 4) -> dict[str, float | None]:
    """The mean of each metric, rounded; None where there is no query."""
    return {
        name: round(float(each.mean()), digits) if each.size else None
        for name, each in values.items()
    }


def take(values: PerQuery, rows: NDArray[Any]) -> PerQuery:
    """The same metrics for some of the queries; `rows` are numbers or a mask."""
    return {name: each[rows] for name, each in values.items()}


def _of_ranks(rank: NDArray[np.float64], kind: str, cut: int | None) -> NDArray[np.float64]:
    found = (rank > 0) & ((rank <= cut) if cut else True)
    safe = np.maximum(rank, 1.0)
    formulas = {
        "mrr": 1.0 / safe,
        "map": 1.0 / safe,
        "ndcg": 1.0 / np.log2(1.0 + safe),
        "hit": np.ones_like(safe),
        "recall": np.ones_like(safe),
        "precision": np.full_like(safe, 1.0 / (cut or 1)),
        "f1": np.full_like(safe, 2.0 / ((cut or 1) + 1)),
    }
    return np.where(found, formulas[kind], 0.0)


def _cut(name: str) -> tuple[str, int | None]:
    """`ndcg@10` → ("ndcg", 10)."""
    kind, _, cut = name.partition("@")
    return kind, int(cut) if cut else None


def _parts(name: str) -> Iterable[str]:
    kind, _, cut = name.partition("@")
    return (f"precision@{cut}", f"recall@{cut}") if kind == "f1" else (name,)


def _combined(name: str, values: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """F1@k, which trec_eval lacks, from its two parts; the others as they are."""
    if name in values:
        return values[name]
    precision, recall = (values[part] for part in _parts(name))
    total = precision + recall
    return np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)


def _measure(name: str, gains: Mapping[int, int]) -> Any:
    from ir_measures import AP, RR, P, R, Success, nDCG

    kind, cut = _cut(name)
    exponential = nDCG(gains=dict(gains))
    families = {
        "ndcg": exponential,
        "judged_ndcg": exponential(judged_only=True),
        "mrr": RR,
        "map": AP,
        "precision": P,
        "recall": R,
        "hit": Success,
    }
    if kind not in families:
        raise ValueError(f"unknown metric {name!r}: use {', '.join(families)}, f1, with @k")
    return families[kind] @ cut if cut else families[kind]


def _levels(qrels: Qrels) -> tuple[dict[str, dict[str, int]], dict[int, int]]:
    """Whole relevance levels as trec_eval needs them, and the whole gain of each level."""
    grades = sorted({g for judged in qrels.values() for g in judged.values() if g > 0})
    level = {grade: number for number, grade in enumerate(grades, start=1)}
    scale = 1 if all(float(grade).is_integer() for grade in grades) else FRACTION_STEPS
    gains = {number: round((2.0**grade - 1.0) * scale) for grade, number in level.items()}
    whole = {
        query: {item: level.get(grade, 0) for item, grade in judged.items()}
        for query, judged in qrels.items()
    }
    return whole, gains


def _scores(run: Run, qrels: Qrels) -> dict[str, dict[str, float]]:
    """Scores that fall with the rank; of an id listed twice the better rank counts."""
    scores: dict[str, dict[str, float]] = {}
    for query in qrels:
        ids = dict.fromkeys(run.get(query, ()))
        if ids:
            scores[query] = {item: -float(rank) for rank, item in enumerate(ids)}
    return scores
