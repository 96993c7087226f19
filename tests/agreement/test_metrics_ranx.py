"""Our metrics (trec_eval) against ranx (numba): two libraries, one answer.

A process of its own, where numba leaves ranx as the Python it is written in: compiling it takes
over a minute and would change no number.
"""

import json
import os
import subprocess
import sys

import numpy as np

from reranker.evaluation import metrics

NAMES = {
    "ndcg@10": "ndcg_burges@10",
    "mrr": "mrr",
    "map": "map",
    "precision@10": "precision@10",
    "recall@10": "recall@10",
    "f1@10": "f1@10",
    "hit@10": "hit_rate@10",
}
PROGRAM = """
import json, sys
from ranx import Qrels, Run, evaluate
asked = json.load(sys.stdin)
run = {q: {item: -rank for rank, item in enumerate(ids)} for q, ids in asked["run"].items()}
run = {q: {item: float(100 + score) for item, score in each.items()} for q, each in run.items()}
found = evaluate(Qrels(asked["qrels"]), Run(run), asked["names"], return_mean=False)
print(json.dumps({name: [float(v) for v in values] for name, values in found.items()}))
"""


def test_every_metric_is_that_of_ranx() -> None:
    rng = np.random.default_rng(4)
    items = [f"d{n:02d}" for n in range(40)]
    qrels, run = {}, {}
    for number in range(60):
        query = f"q{number:02d}"
        judged = rng.choice(items, size=rng.integers(2, 25), replace=False)
        qrels[query] = {str(item): int(rng.integers(0, 4)) for item in judged} | {
            items[number % 40]: 1
        }
        length = int(rng.integers(1, 40))
        run[query] = [str(item) for item in rng.permutation(items)[:length]]
    asked = {"run": run, "qrels": qrels, "names": list(NAMES.values())}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = json.loads(done.stdout.strip().splitlines()[-1])
    ours = metrics.per_query(run, qrels, list(NAMES))
    for name, their_name in NAMES.items():
        np.testing.assert_allclose(ours[name], theirs[their_name], atol=1e-9, err_msg=name)
