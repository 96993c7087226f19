"""Our metrics against two others: the definitions written out in Python, and scikit-learn."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, dcg_score

from reranker.evaluation import metrics

ITEMS = [f"d{n}" for n in range(24)]
GRADES = st.dictionaries(st.sampled_from(ITEMS), st.integers(0, 4), min_size=1, max_size=20)
LISTS = st.permutations(ITEMS).flatmap(
    lambda ids: st.integers(0, len(ids)).map(lambda length: ids[:length])
)
QUERIES = st.lists(st.tuples(LISTS, GRADES), min_size=1, max_size=6)
CUTS = (1, 3, 10)
NAMES = (
    *("mrr", "map", "f1@3", "f1@10"),
    *(
        f"{kind}@{cut}"
        for kind in ("ndcg", "judged_ndcg", "precision", "recall", "hit")
        for cut in CUTS
    ),
)


def dcg(grades: Sequence[float], cut: int) -> float:
    return sum((2**g - 1) / math.log2(1 + rank) for rank, g in enumerate(grades[:cut], start=1))


def defined(name: str, ids: Sequence[str], grades: Mapping[str, float]) -> float:
    """A metric as it is defined, one list at a time, in plain Python."""
    kind, _, after = name.partition("@")
    cut = int(after or len(ids) or 1)
    relevant = {item for item, grade in grades.items() if grade > 0}
    hits = [item in relevant for item in ids]
    found = sum(hits[:cut])
    precision = found / cut
    recall = found / len(relevant) if relevant else 0.0
    if kind in ("ndcg", "judged_ndcg"):
        kept = [item for item in ids if item in grades] if kind == "judged_ndcg" else ids
        best = dcg(sorted(grades.values(), reverse=True), cut)
        return dcg([grades.get(item, 0) for item in kept], cut) / best if best else 0.0
    if kind == "mrr":
        return next((1 / rank for rank, hit in enumerate(hits, start=1) if hit), 0.0)
    if kind == "map":
        reached = [sum(hits[:rank]) / rank for rank, hit in enumerate(hits, start=1) if hit]
        return sum(reached) / len(relevant) if relevant else 0.0
    if kind == "f1":
        return 2 * precision * recall / (precision + recall) if found else 0.0
    return {"precision": precision, "recall": recall, "hit": float(found > 0)}[kind]


@given(QUERIES)
def test_every_metric_is_what_its_definition_says(
    queries: list[tuple[list[str], dict[str, int]]],
) -> None:
    run = {f"q{n}": ids for n, (ids, _) in enumerate(queries)}
    qrels = {
        f"q{n}": {k: float(v) for k, v in grades.items()} for n, (_, grades) in enumerate(queries)
    }
    ours = metrics.per_query(run, qrels, NAMES)
    for name in NAMES:
        expected = [defined(name, run[query], qrels[query]) for query in qrels]
        np.testing.assert_allclose(ours[name], expected, atol=1e-9, err_msg=name)


@given(st.permutations(ITEMS), GRADES)
def test_ndcg_and_map_are_those_of_scikit_learn(ids: list[str], grades: dict[str, int]) -> None:
    assume(any(grades.values()))
    truth = np.array([grades.get(item, 0) for item in ids])
    scores = -np.arange(len(ids), dtype=float)
    gains = 2.0**truth - 1
    qrels = {"q": {item: float(grade) for item, grade in grades.items()}}
    ours = metrics.per_query({"q": ids}, qrels, ["ndcg@10", "map"])
    best = dcg_score([gains], [gains], k=10)
    assert ours["ndcg@10"][0] == pytest.approx(dcg_score([gains], [scores], k=10) / best)
    assert ours["map"][0] == pytest.approx(average_precision_score(truth > 0, scores))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=40))
def test_metrics_of_ranks_are_those_of_the_definition(ranks: list[int]) -> None:
    names = ["mrr", "ndcg@10", "hit@10", "recall@3", "precision@3", "f1@10"]
    ours = metrics.of_ranks(ranks, names)
    for at, rank in enumerate(ranks):
        ids = [*(f"x{n}" for n in range(rank - 1)), "t"] if rank else ["x"]
        for name in names:
            assert ours[name][at] == pytest.approx(defined(name, ids, {"t": 1.0})), name
