"""One recommendation from wish to list: sources, fusion without a query, reasons.

The best list that is still possible is answered: fused by the model, else in the order of the
sources together, else what the catalogue calls popular, then new. Every degradation has a name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer import identity
from indexer.behaviour import pending, query_stats, shopper_profile, state, trending, watermark
from indexer.catalogue import card
from indexer.catalogue.mapping import Wording
from indexer.errors import ElasticsearchUnavailable, ValkeyUnavailable
from indexer.telemetry import log
from reranker.fusion.registry import for_recommendations
from reranker.gathering import (
    AWAY,
    LATE,
    NO_VECTORS,
    Basis,
    Proposed,
    gathered,
    search,
    unwanted,
)
from reranker.recommend import seeds
from reranker.recommend.proposals import Proposals
from reranker.recommend.reason import FAVOURITE, IN_CATALOGUE, Ground, Grounds
from reranker.recommend.sources import CLOSELY
from reranker.recommend.wish import Wish
from reranker.retrieval import fetch
from reranker.retrieval.node import LateAnswer
from reranker.retrieval.query_vector import recipe_digest
from reranker.serving import (
    explaining,
    histories,
    knowledge,
    order,
    scoring,
    sentences,
    varied,
)
from reranker.serving.deadline import Deadline
from reranker.serving.knowledge import Asked, Known
from reranker.serving.process import Process
from reranker.serving.reasons import Reason
from reranker.serving.scoring import Fused
from reranker.serving.titles import Named
from reranker.serving.varied import Varied
from reranker.signals.past import Past

# Why neighbours by behaviour are none: no model of visits has made the vectors they are near by.
UNTAUGHT = "no_model"
# With these, that nothing was found says that nobody did anything yet.
NO_HINDRANCE = (None, NO_VECTORS)
RULES_REFUSED = "rules_refused"


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


def recommend(process: Process, wish: Wish, deadline: Deadline) -> Advice:
    """The list; raises fetch.Refused where Elasticsearch refuses the filter.

    A rule's filter that is refused is left out; where nobody can say what one leaves, there is no
    list.
    """
    try:
        return _recommended(process, wish, deadline)
    except fetch.Refused:
        if not wish.ruled:
            raise
    except ElasticsearchUnavailable as error:
        if not wish.ruled or wish.filter is not None:
            raise
        return Advice((), degraded=LATE if isinstance(error, LateAnswer) else AWAY)
    advice = _recommended(process, replace(wish, ruled=()), deadline)
    log("recommending").error("rules_refused", index=wish.generation.index)
    return replace(advice, degraded=RULES_REFUSED)


def _recommended(process: Process, wish: Wish, deadline: Deadline) -> Advice:
    try:
        basis = _basis(process, wish)
        proposed = gathered(process, wish, basis, deadline)
        advice = _ordered(process, wish, basis, proposed)
        if not advice.items and wish.strategy == "hybrid" and proposed.degraded in NO_HINDRANCE:
            return _new_to_all(process, wish, basis, deadline)
        if wish.strategy == "collaborative" and basis.loaded is None:
            return replace(advice, degraded=proposed.degraded or UNTAUGHT)
        return replace(advice, degraded=advice.degraded or proposed.degraded)
    except ValkeyUnavailable:
        return Advice(_by_catalogue(process, wish, deadline), degraded="valkey_unavailable")


def _basis(process: Process, wish: Wish) -> Basis:
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
    profile = seeds.touched_now(profile, wish.seeds, now)
    model = for_recommendations(generation.index)
    loaded, _ = process.models.found(model, recipe_digest(generation.recipe))

    def whole() -> Past:
        if not wish.session and not wish.seeds:
            return histories.kept_past(memory, process.pasts, reading, known, dims, now)
        with_lent = histories.borrowed(profile, histories.lent(reading))
        return histories.past_of(memory, generation.index, with_lent.profile, dims, now, with_lent)

    if wish.seeds:
        alone = seeds.touched_now(shopper_profile.empty(), wish.seeds, now)
        start = histories.past_of(memory, generation.index, alone, dims, now)
        return Basis(start, start, values[1], loaded, whole)
    past = whole()
    return Basis(past, Past(profile, None, (), now), values[1], loaded, lambda: past)


def _ordered(process: Process, wish: Wish, basis: Basis, proposed: Proposed) -> Advice:
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
    grounds = _grounds(wish, basis, [proposals.ids[row] for row in rows.tolist()], cards[rows])
    language = explaining.language_of(wish.context) or explaining.DEFAULT_LANGUAGE
    items = []
    for place, row in enumerate(rows.tolist()):
        name, source = proposals.ids[row], proposals.source[row]
        ground = grounds.of(source, place, name)
        reason = _said(ground, language, proposed.called, wish.generation.config.wording)
        items.append(Recommended(name, float(scores[row]), source, reason))
    process.refill.look(wish.generation.index, [item.id for item in items])
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


def _fused(process: Process, wish: Wish, basis: Basis, proposals: Proposals) -> Fused:
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
        closely=max(CLOSELY, wish.size),
    )
    return scoring.fused(process.memory, process.refill, process.models, asked)


def _grounds(wish: Wish, basis: Basis, ids: Sequence[str], cards: NDArray[Any]) -> Grounds:
    """What reasons of the shown items [n] rest on."""
    start, text, seeded = basis.start, basis.start.vectors, bool(wish.seeds)
    if text is None:
        return Grounds(start, {}, seeded)
    look = {"content": lambda: (text, card.vectors(cards))}
    if basis.loaded is not None:
        table = basis.loaded.item_table
        look["collaborative"] = lambda: (
            start.taste(table).rows,
            table.lookup(identity.hashes(ids), card.vectors(cards)),
        )
    return Grounds(start, look, seeded)


def _said(
    ground: Ground, language: str, called: Mapping[str, Named], wording: Wording = "shop"
) -> str:
    named = called.get(ground.item_id) if ground.item_id is not None else None
    title = None if named is None else named.title
    return sentences.say(Reason(ground.key, ground.item_id), language, title, wording)


def _new_to_all(process: Process, wish: Wish, basis: Basis, deadline: Deadline) -> Advice:
    """What the catalogue says where no source has anything; nothing without Elasticsearch."""
    try:
        not_these = unwanted(wish, basis.past.shopper)
        return Advice(_by_catalogue(process, wish, deadline, not_these))
    except LateAnswer:
        return Advice((), degraded=LATE)
    except ElasticsearchUnavailable:
        return Advice((), degraded=AWAY)


def _by_catalogue(
    process: Process, wish: Wish, deadline: Deadline, not_these: Sequence[str] = ()
) -> list[Recommended]:
    """What the catalogue itself calls popular, then what is new in it: all that is left without
    Valkey, or where nobody did anything yet with what may be shown.
    """
    config = wish.generation.config
    out: list[dict[str, Any]] = [
        {"term": {config.theirs("available"): False}},
        {"ids": {"values": sorted({*wish.hidden, *wish.seeds, *not_these})}},
    ]
    newest_of_popular = [
        {config.theirs("popularity"): {"order": "desc", "unmapped_type": "float"}},
        {config.theirs("updated_at"): {"order": "desc", "unmapped_type": "date"}},
    ]
    query = {"bool": {"filter": wish.must, "must_not": out}}
    body = {"query": query, "sort": newest_of_popular, "size": wish.size}
    hits = search(process, wish, body, deadline)
    language = explaining.language_of(wish.context) or explaining.DEFAULT_LANGUAGE
    said = {ground: _said(ground, language, {}) for ground in (FAVOURITE, IN_CATALOGUE)}
    return [
        Recommended(hit["_id"], 0.0, "trending", said[_of_catalogue(hit["sort"][0])])
        for hit in hits
    ]


def _of_catalogue(popularity: Any) -> Ground:
    """Why a hit is there that the catalogue says so much of; it may say nothing."""
    return FAVOURITE if isinstance(popularity, int | float) and popularity > 0 else IN_CATALOGUE
