"""One recommendation from wish to list: sources, fusion without a query, reasons.

The best list that is still possible is answered: fused by the model, else in the order of the
sources together, else what the catalogue calls popular. Every degradation has a name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from indexer import identity
from indexer.behaviour import (
    pending,
    query_stats,
    shopper_profile,
    state,
    trending,
    watermark,
)
from indexer.catalogue import card
from indexer.errors import ValkeyUnavailable
from reranker.fusion.registry import for_recommendations
from reranker.recommend import seeds, sources, taste_index
from reranker.recommend.proposals import Proposals, merged
from reranker.recommend.reason import POPULAR, Ground, Grounds
from reranker.recommend.sources import NOTHING, PER_SOURCE, WINDOW, Ranked
from reranker.recommend.wish import Wish
from reranker.retrieval.fetch import Refused
from reranker.retrieval.node import JSON, NDJSON, LateAnswer
from reranker.retrieval.query_vector import recipe_digest
from reranker.serving import explaining, knowledge, order, scoring, sentences, titles, varied
from reranker.serving.deadline import Deadline
from reranker.serving.knowledge import Asked, Known
from reranker.serving.models import Loaded
from reranker.serving.process import Process
from reranker.serving.reasons import Reason
from reranker.serving.scoring import Fused
from reranker.serving.varied import Varied
from reranker.signals.past import Past

SEARCH_SHARE, TITLES_SHARE = 0.6, 0.9
NOT_FOUND = 404
Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recommended:
    """One item; `source` is the one that put it highest."""

    id: str
    score: float
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Advice:
    """The items, best first, which model ordered them, and why they are less than they could be.

    `varied` is None where no variety was asked for.
    """

    items: Sequence[Recommended]
    model: str | None = None
    degraded: str | None = None
    varied: Varied | None = None


@dataclass(frozen=True, eq=False)
class _Basis:
    """What is known before any item is proposed.

    `past` is the shopper's with the seeds as its newest items; `start` what sources start from.
    """

    past: Past
    start: Past
    board: bytes | None
    loaded: Loaded | None


def recommend(process: Process, wish: Wish, deadline: Deadline) -> Advice:
    """The list; raises fetch.Refused where Elasticsearch refuses the filter."""
    try:
        basis = _basis(process, wish)
        proposals, late = _proposed(process, wish, basis, deadline)
        advice = _ordered(process, wish, basis, proposals, deadline)
        return replace(advice, degraded=advice.degraded or late)
    except ValkeyUnavailable:
        return _by_catalogue(process, wish, deadline)


def _basis(process: Process, wish: Wish) -> _Basis:
    generation, memory = wish.generation, process.memory
    suffixes = [state.WATERMARK, trending.BOARD]
    if wish.shopper is not None:
        suffixes += [state.shopper_key(wish.shopper), pending.key(wish.shopper)]
    values = (*memory.ask(generation.index, suffixes).finish(), None, None)
    mark = watermark.decode(values[0])
    now = process.clock() if mark.at is None else mark.at
    known = None if wish.shopper is None else pending.over(values[2], values[3])
    profile = shopper_profile.decode(known)
    profile = seeds.touched_now(profile, wish.session, now, seeds.LOOKED_AT)
    whole = seeds.touched_now(profile, wish.seeds, now)
    dims = generation.recipe.dims
    past = knowledge.past_of(memory, generation.index, whole, dims, now)
    start = past
    if wish.seeds:
        alone = seeds.touched_now(shopper_profile.empty(), wish.seeds, now)
        start = knowledge.past_of(memory, generation.index, alone, dims, now)
    model = for_recommendations(generation.index)
    loaded, _ = process.models.found(model, recipe_digest(generation.recipe))
    return _Basis(past, start, values[1], loaded)


def _proposed(
    process: Process, wish: Wish, basis: _Basis, deadline: Deadline
) -> tuple[Proposals, str | None]:
    """What all sources propose, and why some of them could not."""
    index = wish.generation.index
    found = {
        "own": lambda: sources.own(basis.start, PER_SOURCE),
        "bought_together": lambda: sources.together(
            basis.start, lambda items: process.memory.names(index, items), PER_SOURCE
        ),
        "trending": lambda: sources.popular(basis.board, PER_SOURCE),
    }
    late = None
    try:
        near = _neighbours(process, wish, basis, deadline)
    except LateAnswer:
        near, late = dict.fromkeys(("collaborative", "content"), NOTHING), "deadline"
    lists = {name: near[name] if name in near else found[name]() for name in wish.sources}
    if wish.filter is not None:
        lists = _matching(process, wish, lists, deadline)
    known = () if wish.repeats else basis.past.shopper.ids(len(basis.past.shopper))
    return merged(lists, window=WINDOW, without={*wish.seeds, *known}), late


def _neighbours(
    process: Process, wish: Wish, basis: _Basis, deadline: Deadline
) -> dict[str, Ranked]:
    """What lies nearest to the past, by what is bought alike and by what it is about."""
    generation, start = wish.generation, basis.start
    taste = None
    if basis.loaded is not None and len(start.history):
        rows = basis.loaded.item_table.lookup(start.history["item"], start.vectors)
        taste = sources.direction(rows, start.recency)
    text = sources.direction(start.vectors, start.recency)
    bodies: dict[str, tuple[str, dict[str, Any]]] = {}
    if basis.loaded and taste is not None and "collaborative" in wish.sources:
        target = taste_index.name(generation.index, basis.loaded.version)
        bodies["collaborative"] = (target, taste_index.search(taste, PER_SOURCE))
    if text is not None and "content" in wish.sources:
        field = generation.config.vector_field
        bodies["content"] = (generation.concrete, _by_content(field, text, wish))
    found = _msearch(process, wish, bodies, deadline) if bodies else {}
    return {name: found.get(name, NOTHING) for name in ("collaborative", "content")}


def _by_content(field: str, vector: Vector, wish: Wish) -> dict[str, Any]:
    knn: dict[str, Any] = {
        "field": field,
        "query_vector": vector,
        "k": PER_SOURCE,
        "num_candidates": PER_SOURCE,
    }
    if wish.filter is not None:
        knn["filter"] = wish.filter
    return {"knn": knn, "size": PER_SOURCE, "_source": False, "track_total_hits": False}


def _msearch(
    process: Process,
    wish: Wish,
    bodies: Mapping[str, tuple[str, Mapping[str, Any]]],
    deadline: Deadline,
) -> dict[str, Ranked]:
    lines = [
        orjson.dumps(part, option=orjson.OPT_SERIALIZE_NUMPY)
        for target, body in bodies.values()
        for part in ({"index": target}, body)
    ]
    answer = process.nodes.ask(
        "POST",
        "/_msearch",
        b"\n".join(lines) + b"\n",
        {"Content-Type": NDJSON, "Accept": JSON, **wish.headers},
        timeout_seconds=deadline.left(SEARCH_SHARE),
    )
    if answer.status != 200:
        raise Refused(answer)
    responses = orjson.loads(answer.body)["responses"]
    return {name: _read(said) for name, said in zip(bodies, responses, strict=True)}


def _read(response: Mapping[str, Any]) -> Ranked:
    """A source that failed proposes nothing: no model has served yet, or the filter is refused,
    which `_matching` tells.
    """
    hits = response.get("hits", {}).get("hits", ())
    return sources.nearest([hit["_id"] for hit in hits], [2 * hit["_score"] - 1 for hit in hits])


def _matching(
    process: Process, wish: Wish, lists: Mapping[str, Ranked], deadline: Deadline
) -> dict[str, Ranked]:
    """The lists without what the filter does not match."""
    ids = sorted({item_id for found in lists.values() for item_id in found.ids})
    query = {"bool": {"filter": [{"ids": {"values": ids}}, wish.filter]}}
    hits = _search(process, wish, {"query": query, "size": max(len(ids), 1)}, deadline)
    kept = {hit["_id"] for hit in hits}
    return {name: _only(found, kept) for name, found in lists.items()}


def _only(found: Ranked, kept: set[str]) -> Ranked:
    rows = [row for row, item_id in enumerate(found.ids) if item_id in kept]
    return Ranked([found.ids[row] for row in rows], found.scores[rows])


def _search(
    process: Process, wish: Wish, body: Mapping[str, Any], deadline: Deadline
) -> list[dict[str, Any]]:
    answer = process.nodes.ask(
        "POST",
        f"/{wish.generation.concrete}/_search",
        orjson.dumps({"_source": False, "track_total_hits": False, **body}),
        {"Content-Type": JSON, "Accept": JSON, **wish.headers},
        timeout_seconds=deadline.left(),
    )
    if answer.status != 200:
        raise Refused(answer)
    hits: list[dict[str, Any]] = orjson.loads(answer.body)["hits"]["hits"]
    return hits


def _ordered(
    process: Process, wish: Wish, basis: _Basis, proposals: Proposals, deadline: Deadline
) -> Advice:
    """The proposals that can be had, by the model for a hybrid, else as their source put them;
    with variety where that is wanted.
    """
    if not len(proposals):
        return Advice(())
    generation = wish.generation
    remembered = knowledge.items(
        process.memory, process.refill, generation.index, proposals.ids, generation.recipe.dims
    )
    there = remembered.present & remembered.available
    fused = _fused(process, wish, basis, proposals)
    policy = generation.config.diversity
    wanted = varied.wish_among(proposals.ids, remembered.cards, wish.dial, policy, basis.past)
    found = wanted.varied(fused, there)
    scores, places = (fused.scores, None) if found is None else (found.scores, found.places)
    ordered = order.by_score(scores, places=places).rows
    rows = ordered[there[ordered]][: wish.size].tolist()
    why = _reasons(process, wish, basis, proposals, rows, deadline)
    items = [
        Recommended(proposals.ids[row], float(scores[row]), proposals.source[row], reason)
        for row, reason in zip(rows, why, strict=True)
    ]
    return Advice(items, fused.model, fused.degraded, found)


def _fused(process: Process, wish: Wish, basis: _Basis, proposals: Proposals) -> Fused:
    """Scores of the proposals: the model's for a hybrid, else those of the source."""
    if wish.strategy != "hybrid":
        return Fused(proposals.scores, log_odds=False)
    generation = wish.generation
    asked = Asked(
        index=generation.index,
        recipe_digest=recipe_digest(generation.recipe),
        text="",
        candidates=proposals.candidates(),
        window=len(proposals),
        vector=None,
        who=Known(basis.past, query_stats.decode(None)),
        dims=generation.recipe.dims,
        context=wish.context,
        context_keys=generation.config.context,
        kept_as=for_recommendations(generation.index),
    )
    return scoring.fused(process.memory, process.refill, process.models, asked)


def _reasons(
    process: Process,
    wish: Wish,
    basis: _Basis,
    proposals: Proposals,
    rows: Sequence[int],
    deadline: Deadline,
) -> list[str]:
    """A sentence for each shown row; names are left out where they are not read in time."""
    ids = [proposals.ids[row] for row in rows]
    grounds = Grounds(basis.start, _vectors(process, wish, basis, ids))
    why = [
        grounds.of(proposals.source[row], at, item_id)
        for at, (row, item_id) in enumerate(zip(rows, ids, strict=True))
    ]
    language = explaining.language_of(wish.context) or explaining.DEFAULT_LANGUAGE
    called = _called(process, wish, why, deadline)
    return [_said(it, language, called) for it in why]


def _vectors(
    process: Process, wish: Wish, basis: _Basis, ids: Sequence[str]
) -> dict[str, tuple[Vector, Vector]]:
    start = basis.start
    if start.vectors is None:
        return {}
    dims = wish.generation.recipe.dims
    records, _ = card.unpack_many(process.memory.cards(wish.generation.index, ids), dims)
    shown = card.vectors(records)
    found = {"content": (start.vectors, shown)}
    if basis.loaded is not None:
        table = basis.loaded.item_table
        found["collaborative"] = (
            table.lookup(start.history["item"], start.vectors),
            table.lookup(identity.hashes(ids), shown),
        )
    return found


def _called(
    process: Process, wish: Wish, why: Sequence[Ground], deadline: Deadline
) -> Mapping[str, str]:
    named = list(dict.fromkeys(it.item_id for it in why if it.item_id is not None))
    if not named or deadline.passed(TITLES_SHARE):
        return {}
    found = titles.read(
        process.nodes,
        wish.generation,
        wish.generation.concrete,
        named,
        wish.headers,
        timeout_seconds=deadline.left(TITLES_SHARE),
    )
    return {item_id: it.title for item_id, it in found.items() if it.title}


def _said(ground: Ground, language: str, called: Mapping[str, str]) -> str:
    title = called.get(ground.item_id) if ground.item_id is not None else None
    return sentences.say(Reason(ground.key, ground.item_id), language, title)


def _by_catalogue(process: Process, wish: Wish, deadline: Deadline) -> Advice:
    """What the catalogue itself calls popular: all that is left without Valkey."""
    config = wish.generation.config
    available = {"bool": {"must_not": [{"term": {config.theirs("available"): False}}]}}
    must = [available, *([wish.filter] if wish.filter is not None else [])]
    by_popularity = {config.theirs("popularity"): {"order": "desc", "missing": "_last"}}
    body = {"query": {"bool": {"filter": must}}, "sort": [by_popularity], "size": wish.size}
    hits = _search(process, wish, body, deadline)
    language = explaining.language_of(wish.context) or explaining.DEFAULT_LANGUAGE
    reason = _said(POPULAR, language, {})
    items = [Recommended(hit["_id"], 0.0, "trending", reason) for hit in hits]
    return Advice(items, degraded="valkey_unavailable")
