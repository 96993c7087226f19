"""Our metrics against pytrec_eval called by hand: no translation in between to be wrong together.

trec_eval's own nDCG has the grade itself as gain, so it is asked with 2^grade - 1 as the grade.
"""

import numpy as np
import pytest
import pytrec_eval

from reranker.evaluation import metrics

NAMES = {
    "ndcg@10": "ndcg_cut_10",
    "mrr": "recip_rank",
    "map": "map",
    "precision@10": "P_10",
    "recall@10": "recall_10",
    "hit@10": "success_10",
}
ITEMS = [f"d{n:02d}" for n in range(40)]


def drawn(seed: int) -> tuple[dict[str, list[str]], dict[str, dict[str, int]]]:
    """Thirty queries with grades 0 to 3, at least one of them above 0, and lists of any length."""
    rng = np.random.default_rng(seed)
    run, qrels = {}, {}
    for number in range(30):
        judged = rng.choice(ITEMS, size=rng.integers(2, 25), replace=False)
        grades = {str(item): int(rng.integers(0, 4)) for item in judged}
        qrels[f"q{number}"] = grades | {ITEMS[number]: 1}
        run[f"q{number}"] = [str(item) for item in rng.permutation(ITEMS)[: rng.integers(1, 40)]]
    return run, qrels


@pytest.mark.parametrize("seed", range(5))
def test_every_metric_is_that_of_pytrec_eval(seed: int) -> None:
    run, qrels = drawn(seed)
    gains = {q: {item: 2**grade - 1 for item, grade in each.items()} for q, each in qrels.items()}
    scores = {q: {item: float(-rank) for rank, item in enumerate(ids)} for q, ids in run.items()}
    asked = {"ndcg_cut.10", "recip_rank", "map", "P.10", "recall.10", "success.10"}
    theirs = pytrec_eval.RelevanceEvaluator(gains, asked).evaluate(scores)
    ours = metrics.per_query(run, qrels, list(NAMES))
    for name, their_name in NAMES.items():
        expected = [theirs[query][their_name] for query in qrels]
        np.testing.assert_allclose(ours[name], expected, atol=1e-9, err_msg=name)
