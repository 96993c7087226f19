"""The scorer alone, in this process and on one thread: signals of one list, then the model.

What was read from Valkey is there already, and the shopper's side is made ready, as it is when
serving while Elasticsearch searches.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from indexer import settings as server_settings
from reranker import settings
from reranker.evaluation.baselines import Fitted, in_process
from reranker.evaluation.replay import Asking, Search
from reranker.serving.process import open_process
from reranker.serving.ranking import Ranking
from reranker.signals.build import assemble
from tests.bench.shots import Bench, Question

REPEATS = 5
HISTORY_LONG = 50


def measure(bench: Bench, asked: Sequence[Question], models_dir: Path) -> dict[str, Any]:
    """Milliseconds of signals and model, and of how many candidates and history items."""
    process = open_process(server_settings.load(), settings.load())
    asking = Asking(
        url=bench.sidecar_url,
        index=bench.index,
        fields=("title",),
        size=bench.size,
        window=bench.window,
        concurrency=1,
        authorization=None,
    )
    try:
        ranks = in_process(process, asking, Fitted("", {}), models_dir)
        rankings = [ranks.rank(Search(question.words, question.user)) for question in asked]
    finally:
        process.close()
    return figures([ranking for ranking in rankings if ranking.fused.model is not None])


def figures(rankings: Sequence[Ranking]) -> dict[str, Any]:
    """All lists, and those of shoppers with a full history."""
    long = [ranking for ranking in rankings if history_of(ranking) >= HISTORY_LONG]
    return {name: times(part) for name, part in (("all", rankings), ("full history", long)) if part}


def times(rankings: Sequence[Ranking]) -> dict[str, Any]:
    """Percentiles over `REPEATS` turns through the lists."""
    signals, model = [], []
    for _ in range(REPEATS):
        for ranking in rankings:
            fused = ranking.fused
            assert fused.situation is not None
            assert fused.scorer is not None
            situation = replace(fused.situation)  # nothing computed before
            started = time.perf_counter()
            inputs = assemble(situation)
            between = time.perf_counter()
            fused.scorer.score(inputs)
            signals.append(between - started)
            model.append(time.perf_counter() - between)
    whole = [sum(both) for both in zip(signals, model, strict=True)]
    cuts = statistics.quantiles(whole, n=100, method="inclusive")
    return {
        "lists": len(rankings),
        "candidates_median": statistics.median(candidates_of(it) for it in rankings),
        "history_median": statistics.median(history_of(it) for it in rankings),
        "signals_p50_ms": round(statistics.median(signals) * 1000, 2),
        "model_p50_ms": round(statistics.median(model) * 1000, 2),
        "p50_ms": round(cuts[49] * 1000, 2),
        "p95_ms": round(cuts[94] * 1000, 2),
    }


def candidates_of(ranking: Ranking) -> int:
    """How many candidates the model looked at."""
    return 0 if ranking.fused.rows is None else len(ranking.fused.rows)


def history_of(ranking: Ranking) -> int:
    """How many history items the model looked at."""
    situation = ranking.fused.situation
    return 0 if situation is None else len(situation.history)
