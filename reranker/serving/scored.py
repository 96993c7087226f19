"""Scores of a call's list, under its mode and its arm of an experiment."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reranker.experiments.exposure import Exposure
from reranker.fusion import baseline
from reranker.serving import metrics, order, scoring, trialling
from reranker.serving.call import Call
from reranker.serving.deadline import Deadline
from reranker.serving.knowledge import Asked
from reranker.serving.process import Process
from reranker.serving.scoring import Fused
from reranker.serving.varied import wish_of

FUSION_SHARE = 0.85
Available = NDArray[np.bool_] | None


def of_call(
    process: Process, call: Call, asked: Asked, groups: Sequence[str | None] | None
) -> tuple[Fused, Exposure | None]:
    """The scores of the list, of both rankers where two are interleaved; and the arm it is of.

    Interleaved lists are varied one by one before they are mixed.
    """
    part = call.part
    if part is None or not part.rankers:
        return _score(process, call, asked), part.exposure if part else None
    both: list[Fused] = []
    can_be_had: NDArray[np.bool_] | None = None
    for options in part.rankers:
        own = replace(call, request=replace(call.request, options=options))
        its = replace(asked, model=options.model, window=options.window)
        fused = _score(process, own, its)
        can_be_had = in_stock(process, call, asked, fused) if not both else can_be_had
        wish = wish_of(process.memory, its, options.diversity, call.generation.config.diversity)
        varied = wish.varied(fused, can_be_had, groups)
        both.append(fused if varied is None else replace(fused, scores=varied.scores))
    return trialling.interleaved(part, asked.candidates, both, can_be_had)


def _score(process: Process, call: Call, asked: Asked) -> Fused:
    mode = call.request.options.mode
    if mode == "bm25":
        return Fused(-asked.candidates.bm25_rank, log_odds=False)
    if mode == "knn" and asked.vector is not None:
        return Fused(order.vector_scores(asked.candidates), log_odds=False)
    if mode == "rrf" or not len(asked.candidates) or call.request.size == 0:
        window = call.request.options.window
        return Fused(baseline.rrf(asked.candidates, window=window), log_odds=False)
    return fused_in_time(process, asked, call.deadline)


def fused_in_time(process: Process, asked: Asked, deadline: Deadline) -> Fused:
    """The model's scores, else those of ranks alone where there is no time left for it."""
    if deadline.passed(FUSION_SHARE):
        return Fused(baseline.rrf(asked.candidates), degraded="deadline", log_odds=False)
    started = time.perf_counter()
    fused = scoring.fused(process.memory, process.refill, process.models, asked)
    metrics.FUSION_SECONDS.observe(time.perf_counter() - started)
    return fused


def in_stock(process: Process, call: Call, asked: Asked, fused: Fused) -> Available:
    """Which candidates can be had; None where that does not matter or is not known."""
    if call.request.unavailable_asked_for or asked.who is None:
        return None
    return available(process, asked, fused)


def available(process: Process, asked: Asked, fused: Fused) -> Available:
    """Which candidates can be had; the fusion looked at it, ranks alone did not."""
    if fused.available is not None:
        return fused.available
    return scoring.available(process.memory, asked.index, asked.candidates.ids, asked.dims)
