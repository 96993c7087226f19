"""One ranked search from request to page, phase by phase; every degradation has a name.

The best order that is still possible is answered: fused, else the untrained prior, else reciprocal
rank fusion, else the client's own order. Only Elasticsearch's own refusal is an error. Nothing is
waited for before everything that can be under way is.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour import event, shown_list
from indexer.catalogue.diversity import Diversity
from indexer.catalogue.generation import Generation
from indexer.errors import EncoderUnavailable, InvalidVector, ValkeyUnavailable
from indexer.telemetry import log
from reranker import response
from reranker.experiments import exposure
from reranker.fusion import baseline
from reranker.retrieval import fetch
from reranker.retrieval import query as bodies
from reranker.retrieval.candidates import Candidates, NoIdColumn, Retrieved
from reranker.retrieval.fetch import Asking
from reranker.retrieval.node import LateAnswer
from reranker.retrieval.query_vector import recipe_digest
from reranker.rules.effects import NO_EFFECTS, Effects
from reranker.rules.matching import NO_RULES, RuleSet
from reranker.serving import (
    adaptation,
    exploring,
    knowledge,
    meaning,
    metrics,
    paging,
    pins,
    ruling,
    scored,
    shown,
    trialling,
)
from reranker.serving.call import Call
from reranker.serving.deadline import Deadline
from reranker.serving.knowledge import Asked, Known
from reranker.serving.memory import Reading
from reranker.serving.order import Ordered
from reranker.serving.pins import Pin
from reranker.serving.process import Process
from reranker.serving.ranking import Ranking
from reranker.serving.recorder import Search
from reranker.serving.ruling import RuledList, Source
from reranker.serving.scoring import Fused
from reranker.serving.varied import Varied, Wish, by_names, wish_of, with_variety
from reranker.signals import declared

# Shares of the deadline: how long Elasticsearch may take, and after which the model is left out.
SEARCH_SHARE = 0.8

Vector = NDArray[np.float32]


def search(process: Process, call: Call) -> dict[str, Any]:
    """The answer to a ranked search; raises fetch.Refused with Elasticsearch's own error.

    Where a query of a rule may be what is refused, the search goes on without such rules.
    """
    call = trialling.taking_part(process, call)
    try:
        return _answered(process, call)
    except fetch.Refused:
        plain = call.rules.without_queries()
        if plain is call.rules:
            raise
    answer = _answered(process, replace(call, rules=plain))
    log("answer").error("rules_refused", index=call.generation.index)
    answer["hitweave"]["degraded"] = answer["hitweave"]["degraded"] or "rules_refused"
    return answer


def _answered(process: Process, call: Call) -> dict[str, Any]:
    ranking = None
    if call.request.options.mode == "bm25":
        answer = paging.own_order(process, ruling.under_rules(call, process.clock()), degraded=None)
    else:
        try:
            answer, ranking, call = _ranked(process, call)
        except LateAnswer:
            if call.deadline.over():
                raise
            answer = paging.own_order(
                process, ruling.under_rules(call, process.clock()), degraded="deadline"
            )
    meaning.ask(process, call, answer, ranking)
    _note(process, call, answer, ranking)
    return answer


def _ranked(process: Process, call: Call) -> tuple[dict[str, Any], Ranking | None, Call]:
    """The pinned order where it holds, else a fresh one that is pinned; what made the order, where
    that was made now; and the call with the place of its page.
    """
    key = pins.key_of(call)
    pin, ranking, made = _pinned(process, call, key), None, None
    now = ruling.under_rules(call, process.clock())
    call = ruling.under(call, pin.effects) if pin else now
    if pin is None or call.request.options.explain:
        again = pin.explored.chance if pin and pin.explored else None
        ranking = rank(process, call, again if pin else call.query_id)
    if pin is None and ranking is not None:
        made, pin = ranking, ranking.as_pin(call.request)
    assert pin is not None  # noqa: S101 - one of the two made it
    keep, hidden = made is not None, frozenset(now.effects.hidden)
    call = paging.placed(call, pin)
    return paging.page(process, call, key, pin, ranking, left_out=hidden, keep=keep), made, call


def rank(process: Process, call: Call, chance: str | None = None) -> Ranking:
    """Both legs, what is known of shopper and items, signals, scores, order.

    `chance` is what hangs on it whether and what is tried; None: nothing is.
    """
    request, generation = call.request, call.generation
    personal = request.options.mode == "fused"
    layer = _layer(process, generation) if personal else None
    reading, no_memory = _ask_memory(
        process, generation, call.shopper, request.text, layer, personal=personal
    )
    vector, no_vector = _encode(process, generation, request.text)
    asking = _start_search(process, call, vector)
    who, no_shopper = _known(process, generation, reading)
    retrieved = _finish_search(process, call, vector, asking)
    elasticsearch_ms = call.deadline.took_ms()
    asked = Asked(
        index=generation.index,
        recipe_digest=recipe_digest(generation.recipe),
        text=request.text,
        candidates=retrieved.candidates,
        window=request.options.window,
        vector=vector,
        who=who,
        dims=generation.recipe.dims,
        context=request.options.context,
        context_keys=generation.config.context,
        model=request.options.model,
        layer=layer,
        policy=process.settings.slate_policy and request.options.model is None,
    )
    fused, exposed = scored.of_call(process, call, asked, retrieved.groups)
    if request.options.record and request.options.model is None:
        process.drift.sample(generation.index, fused)
    can_be_had = scored.in_stock(process, call, asked, fused)
    degraded = no_vector or no_memory or no_shopper or retrieved.degraded or fused.degraded
    share = 0.0 if degraded else process.settings.exploration_share
    tried = exploring.tried(share, call, asked, fused, chance)
    explored, varied = None, None
    if tried is not None:
        fused = tried.fused
        explored = tried.explored(
            lambda scores: ruling.in_order(call.effects, retrieved, scores, can_be_had)[1].ids
        )
    if call.part is None or not call.part.rankers:
        wish = wish_of(
            process.memory, asked, request.options.diversity, generation.config.diversity
        )
        varied = wish.varied(fused, can_be_had, retrieved.groups)
    ordered, placed = ruling.in_order(call.effects, retrieved, fused.scores, can_be_had, varied)
    return Ranking(
        ordered=ordered,
        placed=placed,
        fused=with_variety(fused, varied),
        retrieved=retrieved,
        degraded=degraded,
        elasticsearch_ms=elasticsearch_ms,
        fusion_ms=call.deadline.took_ms() - elasticsearch_ms,
        effects=call.effects,
        exposure=exposed,
        varied=varied,
        explored=explored,
        greedy=tried.greedy if tried else None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class GivenList:
    """Candidates to rank that a client found itself; no index: by what they bring alone.

    `window` is how many of them the model looks at; rules may ask Elasticsearch for `target`, with
    `headers`. `brought` are fields that the client knows of candidates, by id.
    """

    text: str
    candidates: Candidates
    window: int
    generation: Generation | None
    shopper: str | None
    context: Mapping[str, Any]
    rules: RuleSet = NO_RULES
    headers: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    diversity: float = 0.0
    brought: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Reranked:
    """A given list in its new order; `candidates` are those of it that rules leave in."""

    candidates: Candidates
    ordered: Ordered
    fused: Fused
    degraded: str | None
    effects: Effects = NO_EFFECTS
    varied: Varied | None = None


def rerank(process: Process, given: GivenList, deadline: Deadline) -> Reranked:
    """The given candidates, ranked as a search would."""
    generation = given.generation
    if generation is None:
        return _rerank_unknown(given)
    effects = ruling.effects_on(given.rules, given.text, given.context, process.clock())
    text = effects.text or given.text
    layer = _layer(process, generation)
    reading, no_memory = _ask_memory(process, generation, given.shopper, text, layer, personal=True)
    vector, no_vector = _encode(process, generation, text)
    source = Source(process.nodes, given.target, given.headers, deadline.left(SEARCH_SHARE))
    ruled = ruling.narrowed_list(effects, given.candidates, source)
    who, no_shopper = _known(process, generation, reading)
    asked = Asked(
        index=generation.index,
        recipe_digest=recipe_digest(generation.recipe),
        text=text,
        candidates=ruled.candidates,
        window=given.window,
        vector=vector,
        who=who,
        dims=generation.recipe.dims,
        context=given.context,
        context_keys=generation.config.context,
        layer=layer,
    )
    if min(len(ruled.candidates), given.window):
        fused = scored.fused_in_time(process, asked, deadline)
    else:
        fused = Fused(baseline.rrf(ruled.candidates), log_odds=False)
    policy, available = generation.config.diversity, scored.available(process, asked, fused)
    wish = wish_of(process.memory, asked, given.diversity, policy, given.brought)
    varied = wish.varied(fused, available)
    return Reranked(
        candidates=ruled.candidates,
        ordered=ruled.in_order(fused.scores, available, varied),
        fused=with_variety(fused, varied),
        degraded=no_vector or no_memory or no_shopper or ruled.degraded or fused.degraded,
        effects=effects,
        varied=varied,
    )


def _rerank_unknown(given: GivenList) -> Reranked:
    """The list by what it brings alone, what Elasticsearch said and names of its items, where no
    index is named and not just one could be meant.
    """
    candidates, fused = given.candidates, Fused(baseline.prior_of_legs(given.candidates))
    look = by_names(given.brought)
    wish = Wish(candidates.ids, given.window, given.diversity, Diversity(), look)
    varied = wish.varied(fused, None)
    ordered = RuledList(candidates).in_order(fused.scores, None, varied)
    return Reranked(candidates, ordered, with_variety(fused, varied), "no_index", varied=varied)


def _layer(process: Process, generation: Generation) -> str | None:
    """Key of the adaptive layer over what serves this index; None where layers are off."""
    if not process.settings.adaptive:
        return None
    loaded = process.models.serving(generation.index, recipe_digest(generation.recipe))
    return adaptation.key(None if loaded is None else loaded.version)


def _ask_memory(
    process: Process,
    generation: Generation,
    shopper: str | None,
    text: str,
    layer: str | None,
    *,
    personal: bool,
) -> tuple[Reading | None, str | None]:
    memory, index = process.memory, generation.index
    try:
        if not personal:
            return knowledge.ask(memory, index, None, None), None
        lenders = process.generations.lenders(generation) if shopper else ()
        return knowledge.ask(memory, index, shopper, text, layer, lenders), None
    except ValkeyUnavailable:
        return None, "valkey_unavailable"


def _encode(
    process: Process, generation: Generation, text: str
) -> tuple[Vector | None, str | None]:
    started = time.perf_counter()
    try:
        return process.vectors.of(text, generation.recipe), None
    except (EncoderUnavailable, InvalidVector) as error:
        log("answer").warning("encoder_failed", index=generation.index, reason=str(error))
        return None, "encoder_unavailable"
    finally:
        metrics.ENCODE_SECONDS.observe(time.perf_counter() - started)


def _start_search(process: Process, call: Call, vector: Vector | None) -> Asking:
    legs = bodies.legs(
        call.request,
        vector,
        fetch.vector_search(call.generation, process.settings.num_candidates),
        call.generation.config.search_fields,
        id_column=process.generations.has_id_column(call.generation),
        versions=shown.keepable(process, call) is not None,
        beside=ruling.beside(call),
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
    started = time.perf_counter()
    try:
        return asking.finish(call.deadline.left(SEARCH_SHARE))
    except NoIdColumn:
        process.generations.note_without_ids(call.generation)
        return _start_search(process, call, vector).finish(call.deadline.left(SEARCH_SHARE))
    finally:
        metrics.SEARCH_PART_SECONDS.observe(time.perf_counter() - started)


def _known(
    process: Process, generation: Generation, reading: Reading | None
) -> tuple[Known | None, str | None]:
    if reading is None:
        return None, None
    dims, now = generation.recipe.dims, process.clock()
    try:
        return knowledge.known(process.memory, process.pasts, reading, dims, now), None
    except ValkeyUnavailable:
        return None, "valkey_unavailable"


def _pinned(process: Process, call: Call, key: str) -> Pin | None:
    """The order kept for this search; the first page without a query id is computed afresh."""
    request = call.request
    if request.start == 0 and request.after is None and request.ubi.query_id is None:
        return None
    return process.pins.read(key)


def _note(process: Process, call: Call, answer: Mapping[str, Any], made: Ranking | None) -> None:
    """Count the search, and record it with the ids it showed and what the model saw of them."""
    mode = call.request.options.mode
    metrics.SEARCHES.labels(mode, answer["hitweave"]["degraded"] or "no").inc()
    metrics.SEARCH_SECONDS.labels(mode).observe(call.deadline.took_ms() / 1000.0)
    if not call.request.options.record:
        return
    ids = [hit["_id"] for hit in answer["hits"]["hits"]]
    own = answer["hitweave"]
    request, keys = call.request, call.generation.config.context
    explored, seen = own.get("exploration"), ids
    if explored and made and request.start == 0:
        further = made.further(ids, process.settings.record_signals)
        seen = [*ids, *further]
        explored = {**explored, "further": further, "scores": made.without_chance(seen)}
    document = response.recorded_query(
        request,
        application=call.generation.index,
        query_id=call.query_id,
        ids=ids,
        timestamp=event.iso(process.clock()),
        context=declared.worth_keeping(request.options.context, keys),
        rules=own.get("rules", ()),
        experiment=exposure.logged(own.get("experiment"), call.deadline.took_ms(), own["degraded"]),
        exploration=explored,
    )
    served = made.served(seen, process.settings.record_signals) if made else None
    if made and (left := made.left_behind(ids, process.clock())):
        process.memory.put(
            f"hw:{call.generation.index}:{shown_list.key(call.query_id)}",
            left,
            ttl_seconds=process.settings.adaptive_list_seconds,
        )
    process.recorder.record(call.generation.index, Search(document, served))
