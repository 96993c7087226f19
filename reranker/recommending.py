"""One recommendation from wish to list: sources, fusion without a query, reasons.

The best list that is still possible is answered: fused by the model, else in the order of the
sources together, else what the catalogue calls popular. Every degradation has a name.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from indexer import identity
from indexer.behaviour import pending, query_stats, shopper_profile, state, trending, watermark
from indexer.catalogue import card
from indexer.errors import ElasticsearchUnavailable, ValkeyUnavailable
from reranker.fusion.registry import for_recommendations
from reranker.recommend import seeds, sources, taste_index
from reranker.recommend.proposals import Proposals, merged
from reranker.recommend.reason import POPULAR, Ground, Grounds
from reranker.recommend.sources import NOTHING, PER_SOURCE, WINDOW, Ranked
from reranker.recommend.wish import Wish
from reranker.retrieval.candidates import NoIdColumn, named_hits
from reranker.retrieval.fetch import Refused
from reranker.retrieval.node import JSON, LateAnswer
from reranker.retrieval.query import IDS_BY_COLUMN
from reranker.retrieval.query_vector import recipe_digest
from reranker.retrieval.several import Several
from reranker.serving import (
    explaining,
    histories,
    knowledge,
    order,
    scoring,
    sentences,
    titles,
    varied,
)
from reranker.serving.deadline import Deadline
from reranker.serving.knowledge import Asked, Known
from reranker.serving.models import Loaded
from reranker.serving.process import Process
from reranker.serving.reasons import Reason
from reranker.serving.scoring import Fused
from reranker.serving.titles import Named
from reranker.serving.varied import Varied
from reranker.signals.past import Past

SEARCH_SHARE = 0.6
TITLES = "titles"
NAMELESS = {"own", "trending"}  # whose reasons name no item
AWAY = "elasticsearch_unavailable"
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

    `past` is the shopper's with the seeds as its newest items; `start` what sources start from,
    `mine` the same without what other indices lend.
    """

    past: Past
    start: Past
    mine: Past
    board: bytes | None
    loaded: Loaded | None


@dataclass(frozen=True, eq=False)
class _Proposed:
    """What all sources propose, what the shopper's items are called, why something is missing."""

    proposals: Proposals
    called: Mapping[str, Named]
    degraded: str | None = None


def recommend(process: Process, wish: Wish, deadline: Deadline) -> Advice:
    """The list; raises fetch.Refused where Elasticsearch refuses the filter."""
    try:
        basis = _basis(process, wish)
        proposed = _proposed(process, wish, basis, deadline)
        advice = _ordered(process, wish, basis, proposed)
        return replace(advice, degraded=advice.degraded or proposed.degraded)
    except ValkeyUnavailable:
        return _by_catalogue(process, wish, deadline)


def _basis(process: Process, wish: Wish) -> _Basis:
    generation, memory = wish.generation, process.memory
    suffixes = [state.WATERMARK, trending.BOARD]
    own = histories.suffixes(wish.shopper) if wish.shopper else ()
    lenders = process.generations.lenders(generation) if wish.shopper else ()
    reading = memory.ask(generation.index, [*suffixes, *own], dict.fromkeys(lenders, own))
    values = (*reading.finish(), None, None)
    mark = watermark.decode(values[0])
    now = process.clock() if mark.at is None else mark.at
    known, dims = pending.over(values[2], values[3]), generation.recipe.dims
    profile = shopper_profile.decode(known)
    profile = seeds.touched_now(profile, wish.session, now, seeds.LOOKED_AT)
    whole = seeds.touched_now(profile, wish.seeds, now)
    if wish.session or wish.seeds:
        with_lent = histories.borrowed(whole, histories.lent(reading))
        past = histories.past_of(memory, generation.index, with_lent.profile, dims, now, with_lent)
    else:
        past = histories.kept_past(memory, process.pasts, reading, known, dims, now)
    start, mine = past, Past(whole, None, (), now)
    if wish.seeds:
        alone = seeds.touched_now(shopper_profile.empty(), wish.seeds, now)
        start = histories.past_of(memory, generation.index, alone, dims, now)
        mine = start
    model = for_recommendations(generation.index)
    loaded, _ = process.models.found(model, recipe_digest(generation.recipe))
    return _Basis(past, start, mine, values[1], loaded)


def _proposed(process: Process, wish: Wish, basis: _Basis, deadline: Deadline) -> _Proposed:
    """Elasticsearch looks for neighbours and names while the other sources propose."""
    index, start = wish.generation.index, basis.start
    asking = None
    with suppress(ElasticsearchUnavailable):
        asking = _ask(process, wish, basis, deadline)
    found = {
        "own": lambda: sources.own(basis.mine, PER_SOURCE),
        "bought_together": lambda: sources.together(
            start, lambda items: process.memory.names(index, items), PER_SOURCE
        ),
        "trending": lambda: sources.popular(basis.board, PER_SOURCE),
    }
    lists = {name: found[name]() if name in found else NOTHING for name in wish.sources}
    near, called, missing = _answered(process, wish, basis, asking, deadline)
    lists |= {name: near[name] for name in wish.sources if name in near}
    if wish.filter is not None:
        lists = _matching(process, wish, lists, deadline)
    known = () if wish.repeats else basis.past.shopper.ids(len(basis.past.shopper))
    return _Proposed(merged(lists, window=WINDOW, without={*wish.seeds, *known}), called, missing)


def _ask(process: Process, wish: Wish, basis: _Basis, deadline: Deadline) -> Several:
    """Send for what lies nearest to the past, by what is bought alike and by what it is about, and
    for the names of its items.
    """
    generation, start = wish.generation, basis.start
    searches: dict[str, tuple[str, Mapping[str, Any]]] = {}
    if basis.loaded and len(start.history) and "collaborative" in wish.sources:
        rows = basis.loaded.item_table.lookup(start.history["item"], start.vectors)
        taste = sources.direction(rows, start.recency_share)
        if taste is not None:
            target = taste_index.name(generation.index, basis.loaded.version)
            searches["collaborative"] = (target, taste_index.search(taste, PER_SOURCE))
    text = sources.direction(start.vectors, start.recency_share)
    if text is not None and "content" in wish.sources:
        by_column = process.generations.has_id_column(generation)
        searches["content"] = (generation.concrete, _by_content(text, wish, by_column=by_column))
    if len(start.history) and not NAMELESS.issuperset(wish.sources):
        body = titles.body(generation, start.shopper.ids(len(start.history)))
        searches[TITLES] = (generation.concrete, body)
    return Several(
        process.nodes, searches, wish.headers, timeout_seconds=deadline.left(SEARCH_SHARE)
    )


def _by_content(vector: Vector, wish: Wish, *, by_column: bool) -> dict[str, Any]:
    knn: dict[str, Any] = {
        "field": wish.generation.config.vector_field,
        "query_vector": vector,
        "k": PER_SOURCE,
        "num_candidates": PER_SOURCE,
    }
    if wish.filter is not None:
        knn["filter"] = wish.filter
    ids = IDS_BY_COLUMN if by_column else {"_source": False}
    return {"knn": knn, "size": PER_SOURCE, "track_total_hits": False, **ids}


def _answered(
    process: Process, wish: Wish, basis: _Basis, asking: Several | None, deadline: Deadline
) -> tuple[dict[str, Ranked], dict[str, Named], str | None]:
    """Neighbours by source, names by item, and why there are none.

    A source that failed proposes nothing: no model has served yet, or the filter is refused, which
    `_matching` tells.
    """
    if asking is None:
        return {}, {}, AWAY
    try:
        found = asking.finish(deadline.left(SEARCH_SHARE))
        content = named_hits(it if "hits" in (it := found.get("content", {})) else None)
    except LateAnswer:
        return {}, {}, "deadline"
    except ElasticsearchUnavailable:
        return {}, {}, AWAY
    except NoIdColumn:
        process.generations.note_without_ids(wish.generation)
        again = _ask(process, wish, basis, deadline)
        return _answered(process, wish, basis, again, deadline)
    alike = found.get("collaborative", {}).get("hits", {}).get("hits", ())
    near = {
        "collaborative": _ranked(taste_index.ids(alike), alike),
        "content": _ranked([hit["_id"] for hit in content], content),
    }
    return near, titles.named_in(wish.generation, found.get(TITLES, {})), None


def _ranked(ids: Sequence[str], hits: Sequence[Mapping[str, Any]]) -> Ranked:
    return sources.nearest(ids, [hit["_score"] for hit in hits])


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


def _ordered(process: Process, wish: Wish, basis: _Basis, proposed: _Proposed) -> Advice:
    """The proposals that can be had, by the model for a hybrid, else as their source put them;
    with variety where that is wanted.
    """
    proposals = proposed.proposals
    if not len(proposals):
        return Advice(())
    fused = _fused(process, wish, basis, proposals)
    cards, there = _cards(process, wish, proposals, fused)
    policy = wish.generation.config.diversity
    wanted = varied.wish_among(proposals.ids, cards, wish.dial, policy, basis.past)
    found = wanted.varied(fused, there)
    scores, places = (fused.scores, None) if found is None else (found.scores, found.places)
    ordered = order.by_score(scores, places=places).rows
    rows = ordered[there[ordered]][: wish.size]
    grounds = _grounds(basis, [proposals.ids[row] for row in rows.tolist()], cards[rows])
    language = explaining.language_of(wish.context) or explaining.DEFAULT_LANGUAGE
    items = []
    for place, row in enumerate(rows.tolist()):
        name, source = proposals.ids[row], proposals.source[row]
        reason = _said(grounds.of(source, place, name), language, proposed.called)
        items.append(Recommended(name, float(scores[row]), source, reason))
    return Advice(items, fused.model, fused.degraded, found)


def _cards(
    process: Process, wish: Wish, proposals: Proposals, fused: Fused
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Cards of the proposals [n], as the model saw them if it did; which of them can be had [n]."""
    if fused.situation is not None:
        cards, present = fused.situation.cards, fused.situation.cards_present
    else:
        generation = wish.generation
        index, dims = generation.index, generation.recipe.dims
        found = knowledge.items(process.memory, process.refill, index, proposals.ids, dims)
        cards, present = found.cards, found.present
    return cards, present & (cards["available"] != 0)


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


def _grounds(basis: _Basis, ids: Sequence[str], cards: NDArray[Any]) -> Grounds:
    """What reasons of the shown items [n] rest on."""
    start = basis.start
    if start.vectors is None:
        return Grounds(start, {})
    shown = card.vectors(cards)
    found = {"content": (start.vectors, shown)}
    if basis.loaded is not None:
        table = basis.loaded.item_table
        found["collaborative"] = (
            table.lookup(start.history["item"], start.vectors),
            table.lookup(identity.hashes(ids), shown),
        )
    return Grounds(start, found)


def _said(ground: Ground, language: str, called: Mapping[str, Named]) -> str:
    named = called.get(ground.item_id) if ground.item_id is not None else None
    title = None if named is None else named.title
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
