"""One ranked search from request to page, phase by phase; every degradation has a name.

The best order that is still possible is answered: fused, else the untrained prior, else reciprocal
rank fusion, else the client's own order. Only Elasticsearch's own refusal is an error.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour import event
from indexer.catalogue import card
from indexer.catalogue.generation import Generation
from indexer.errors import EncoderUnavailable, InvalidVector, ValkeyUnavailable
from indexer.telemetry import log
from reranker import response
from reranker.response import Page, Took
from reranker.retrieval import fetch
from reranker.retrieval import query as bodies
from reranker.retrieval.candidates import Candidates, NoIdColumn, Retrieved
from reranker.retrieval.fetch import Asking
from reranker.retrieval.node import LateAnswer
from reranker.serving import knowledge, metrics, order, pins
from reranker.serving.call import Call
from reranker.serving.knowledge import Known
from reranker.serving.memory import Reading
from reranker.serving.pins import Pin
from reranker.serving.process import Process

# Shares of the deadline after which the next part is not begun.
SEARCH_SHARE, FUSION_SHARE = 0.8, 0.85

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """A ranked window: ids and scores in order, and what it was made of."""

    ids: Sequence[str]
    scores: Sequence[float]
    retrieved: Retrieved
    model: str | None
    degraded: str | None
    elasticsearch_ms: float
    fusion_ms: float


def search(process: Process, call: Call) -> dict[str, Any]:
    """The answer to a ranked search; raises fetch.Refused with Elasticsearch's own error."""
    if call.request.options.mode == "bm25":
        answer = own_order(process, call, degraded=None)
    else:
        try:
            answer = _fused(process, call)
        except LateAnswer:
            answer = own_order(process, call, degraded="deadline")
    _note(process, call, answer)
    return answer


def _fused(process: Process, call: Call) -> dict[str, Any]:
    """The pinned order where it holds, else a fresh one that is pinned."""
    key = pins.key_of(call)
    pin, ranking = _pinned(process, call, key), None
    if pin is None:
        ranking = rank(process, call)
        pin = _as_pin(call, ranking)
        _keep(process, call, key, pin)
    return _page(process, call, key, pin, ranking)


def rank(process: Process, call: Call) -> Ranking:
    """Both legs, what is known of shopper and items, signals, scores, order."""
    reading, no_memory = _ask_memory(process, call)
    vector, no_vector = _encode(process, call)
    asking = _start_search(process, call, vector)
    who, no_shopper = _known(process, call, reading)
    retrieved = _finish_search(process, call, vector, asking)
    elasticsearch_ms = call.deadline.took_ms()
    scored = _score(process, call, retrieved.candidates, vector, who)
    placed = order.by_score(
        scored.scores, available=scored.available, groups=_groups(retrieved, scored.rows)
    )
    ids = retrieved.candidates.ids
    return Ranking(
        ids=[ids[row] for row in scored.rows[placed.rows].tolist()],
        scores=placed.scores.tolist(),
        retrieved=retrieved,
        model=scored.model,
        degraded=no_vector or no_memory or no_shopper or retrieved.degraded or scored.degraded,
        elasticsearch_ms=elasticsearch_ms,
        fusion_ms=call.deadline.took_ms() - elasticsearch_ms,
    )


@dataclass(frozen=True, slots=True, eq=False)
class GivenList:
    """Candidates to rank that a client found itself; no index: by what they bring alone."""

    text: str
    candidates: Candidates
    generation: Generation | None
    shopper: str | None
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Reranked:
    """A given list in its new order."""

    ids: Sequence[str]
    scores: Sequence[float]
    model: str | None
    degraded: str | None


def rerank(process: Process, given: GivenList, started: float) -> Reranked:  # noqa: ARG001
    """The given candidates by falling score."""
    placed = order.by_score(order.reciprocal_ranks(given.candidates))
    ids = [given.candidates.ids[row] for row in placed.rows.tolist()]
    return Reranked(ids, placed.scores.tolist(), None, "model_unavailable")


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """Scores of the candidates at `rows`; `available` is None where it does not matter."""

    rows: NDArray[np.intp]
    scores: NDArray[np.float32]
    available: NDArray[np.bool_] | None = None
    model: str | None = None
    degraded: str | None = None


def _ask_memory(process: Process, call: Call) -> tuple[Reading | None, str | None]:
    personal = call.request.options.mode == "fused"
    try:
        return (
            knowledge.ask(
                process.memory,
                call.generation.index,
                call.shopper if personal else None,
                call.request.text if personal else None,
            ),
            None,
        )
    except ValkeyUnavailable:
        return None, "valkey_unavailable"


def _encode(process: Process, call: Call) -> tuple[Vector | None, str | None]:
    started = time.perf_counter()
    try:
        return process.vectors.of(call.request.text, call.generation.recipe), None
    except (EncoderUnavailable, InvalidVector) as error:
        log("answer").warning("encoder_failed", reason=str(error))
        return None, "encoder_unavailable"
    finally:
        metrics.PART_SECONDS.labels("encode").observe(time.perf_counter() - started)


def _start_search(process: Process, call: Call, vector: Vector | None) -> Asking:
    config = call.generation.config
    legs = bodies.legs(
        call.request,
        vector,
        fetch.vector_search(call.generation, process.settings.num_candidates),
        config.search_fields,
        id_column=process.generations.has_id_column(call.generation),
    )
    return fetch.start(
        process.nodes,
        call.target,
        call.request,
        legs,
        call.headers,
        timeout_seconds=call.deadline.left(SEARCH_SHARE),
    )


def _finish_search(
    process: Process, call: Call, vector: Vector | None, asking: Asking
) -> Retrieved:
    try:
        return asking.finish(call.deadline.left(SEARCH_SHARE))
    except NoIdColumn:
        process.generations.note_without_ids(call.generation)
        return _start_search(process, call, vector).finish(call.deadline.left(SEARCH_SHARE))


def _known(
    process: Process, call: Call, reading: Reading | None
) -> tuple[Known | None, str | None]:
    if reading is None:
        return None, None
    try:
        dims = call.generation.recipe.dims
        return knowledge.known(
            process.memory, call.generation.index, reading, dims, process.clock()
        ), None
    except ValkeyUnavailable:
        return None, "valkey_unavailable"


def _score(
    process: Process,
    call: Call,
    candidates: Candidates,
    vector: Vector | None,
    who: Known | None,
) -> _Scores:
    mode = call.request.options.mode
    if mode == "knn" and vector is not None:
        rows, scores = order.vector_scores(candidates)
        return _Scores(rows, scores, _available(process, call, candidates.take(rows), who))
    rows = np.arange(len(candidates))
    available = _available(process, call, candidates, who)
    degraded = "model_unavailable" if mode == "fused" else None
    return _Scores(rows, order.reciprocal_ranks(candidates), available, degraded=degraded)


def _available(
    process: Process, call: Call, candidates: Candidates, who: Known | None
) -> NDArray[np.bool_] | None:
    """Which candidates can be had, as their cards say; None where that does not matter."""
    if call.request.unavailable_asked_for or who is None:
        return None
    try:
        cards = process.memory.cards(call.generation.index, candidates.ids)
    except ValkeyUnavailable:
        return None
    records, present = card.unpack_many(cards, call.generation.recipe.dims)
    available: NDArray[np.bool_] = (records["available"] != 0) | ~present
    return available


def _groups(retrieved: Retrieved, rows: NDArray[np.intp]) -> Sequence[str | None] | None:
    groups = retrieved.groups
    return None if groups is None else [groups[row] for row in rows.tolist()]


def _pinned(process: Process, call: Call, key: str) -> Pin | None:
    """The order kept for this search; the first page without a query id is computed afresh."""
    if call.request.start == 0 and call.request.ubi.query_id is None:
        return None
    return process.pins.read(key)


def _as_pin(call: Call, ranking: Ranking) -> Pin:
    """What must stay the same on every page. All matches known: nothing follows the window."""
    retrieved = ranking.retrieved
    window = call.request.options.window
    in_keyword_leg = int(np.isfinite(retrieved.candidates.bm25_rank).sum())
    return Pin(
        ids=ranking.ids,
        scores=ranking.scores,
        total=retrieved.total,
        model=ranking.model,
        degraded=ranking.degraded,
        aggregations=retrieved.aggregations,
        suggest=retrieved.suggest,
        complete=call.request.options.mode == "knn" or in_keyword_leg < window,
    )


def _keep(process: Process, call: Call, key: str, pin: Pin) -> None:
    """Pin the order where another page can follow."""
    request = call.request
    if pin.complete and request.start == 0 and request.size >= len(pin.ids):
        return
    process.pins.keep(key, pin)


def _page(
    process: Process, call: Call, key: str, pin: Pin, ranking: Ranking | None
) -> dict[str, Any]:
    """The hits of the page asked for, with what is said about the whole match set."""
    started_ms = call.deadline.took_ms()
    request = call.request
    ids = list(pin.ids[request.start : request.start + request.size])
    scores = list(pin.scores[request.start : request.start + request.size])
    if len(ids) < request.size and not pin.complete:
        further = _beyond(process, call, key, pin, request.size - len(ids))
        ids += further
        scores += [pin.scores[-1] if pin.scores else 0.0] * len(further)
    hits, scores = _hits(process, call, ids, scores)
    page_ms = call.deadline.took_ms() - started_ms
    page = Page(
        hits=hits,
        scores=scores,
        max_score=pin.scores[0] if pin.scores else None,
        total=pin.total,
        shards=ranking.retrieved.shards if ranking else response.ONE_SHARD,
        timed_out=bool(ranking and ranking.retrieved.timed_out),
        window=len(pin.ids),
        model=pin.model,
        degraded=pin.degraded,
        query_id=call.query_id,
        took=Took(
            elasticsearch=page_ms + (ranking.elasticsearch_ms if ranking else 0.0),
            fusion=ranking.fusion_ms if ranking else 0.0,
            total=call.deadline.took_ms(),
        ),
        aggregations=pin.aggregations,
        suggest=pin.suggest,
    )
    return response.search_answer(page)


def _hits(
    process: Process, call: Call, ids: Sequence[str], scores: Sequence[float]
) -> tuple[list[Mapping[str, Any]], list[float]]:
    """The page's hits; documents deleted since are left out."""
    if not bodies.needs_documents(call.request):
        concrete = call.generation.concrete
        return [response.bare_hit(concrete, name) for name in ids], list(scores)
    found = _fetch(process, call, ids)
    shown = [(found[name], score) for name, score in zip(ids, scores, strict=True) if name in found]
    return [hit for hit, _ in shown], [score for _, score in shown]


def _fetch(process: Process, call: Call, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    return fetch.page_hits(
        process.nodes,
        call.target,
        call.request,
        ids,
        call.generation.config.search_fields,
        call.headers,
        timeout_seconds=process.nodes.timeout_seconds,
    )


def _beyond(process: Process, call: Call, key: str, pin: Pin, size: int) -> list[str]:
    """Ids behind the fused window, in Elasticsearch's order without repeats.

    The first who needs them fixes them to the configured depth; deeper ones are not kept.
    """
    request = call.request
    start = max(request.start - len(pin.ids), 0)
    depth = max(process.settings.page_depth - len(pin.ids), 0)
    kept: Sequence[str] | None = process.pins.read_further(key, pin)
    if kept is None:
        kept = _own_ids(process, call, pin.ids, 0, depth) if depth else []
        kept = process.pins.keep_further(key, pin, kept)
    found = list(kept[start : start + size])
    if len(found) < size and len(kept) >= depth:
        placed = [*pin.ids, *kept]
        at = max(start - len(kept), 0)
        found += _own_ids(process, call, placed, at, size - len(found))
    return found


def _own_ids(
    process: Process, call: Call, placed: Sequence[str], start: int, size: int
) -> list[str]:
    body = bodies.beyond(call.request, placed, start, size, call.generation.config.search_fields)
    found = fetch.search(
        process.nodes,
        call.target,
        call.request,
        body,
        call.headers,
        timeout_seconds=process.nodes.timeout_seconds,
    )
    return [hit["_id"] for hit in found["hits"]["hits"]]


def own_order(process: Process, call: Call, *, degraded: str | None) -> dict[str, Any]:
    """The client's own query alone, in its own order."""
    request = call.request
    answer = fetch.search(
        process.nodes,
        call.target,
        request,
        bodies.own_search(request, call.generation.config.search_fields),
        call.headers,
        timeout_seconds=process.nodes.timeout_seconds,
    )
    took_ms = call.deadline.took_ms()
    took = Took(elasticsearch=took_ms, fusion=0.0, total=took_ms)
    window = len(answer["hits"]["hits"])
    return answer | response.own_sections(call.query_id, None, degraded, window, took)


def _note(process: Process, call: Call, answer: Mapping[str, Any]) -> None:
    """Count the search, and record it with the ids it showed."""
    mode = call.request.options.mode
    degraded = answer["hitweave"]["degraded"] or "no"
    metrics.SEARCHES.labels(mode, degraded).inc()
    metrics.SEARCH_SECONDS.labels(mode).observe(call.deadline.took_ms() / 1000.0)
    if not call.request.options.record:
        return
    document = response.recorded_query(
        call.request,
        application=call.generation.index,
        query_id=call.query_id,
        ids=[hit["_id"] for hit in answer["hits"]["hits"]],
        timestamp=event.iso(process.clock()),
    )
    process.recorder.record(call.generation.index, document)
