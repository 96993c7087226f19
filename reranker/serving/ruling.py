"""Rules at work: what holds for a request, and the order that comes of it.

The order of work is fused → diversity → boost and bury → what is sold out last → what the query
names by its code first → pin. What is hidden, or left out by a rule's filter, was never asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue import codes
from indexer.errors import ElasticsearchUnavailable
from reranker.retrieval import clause, fetch
from reranker.retrieval.candidates import Candidates, Retrieved, marks_of
from reranker.retrieval.node import Nodes
from reranker.retrieval.query import Beside
from reranker.rules import effects, matching, placing
from reranker.rules.effects import NO_EFFECTS, Effects
from reranker.rules.matching import RuleSet
from reranker.rules.placing import Placed
from reranker.serving import order
from reranker.serving.call import Call
from reranker.serving.order import Ordered, Scores
from reranker.serving.varied import Varied

Groups = Sequence[str | None]


def under_rules(call: Call, now: float) -> Call:
    """The call under the rules that hold for it at `now` (seconds)."""
    if not call.rules:
        return call
    request = call.request
    filters = [*request.filters, *clause.clauses(request.body.get("post_filter"))]
    seen = matching.seen(request.text, filters, request.options.context, now)
    return under(call, effects.of(call.rules.matching(seen)))


def effects_without_words(
    rules: RuleSet, wanted: Mapping[str, Any] | None, context: Mapping[str, Any], now: float
) -> Effects:
    """The effects where nobody searches, of which those that narrow hold: of rules that no query
    must read for, of those goods that the filter `wanted` asks for.
    """
    if not rules:
        return NO_EFFECTS
    return effects.of(rules.matching(matching.seen("", clause.clauses(wanted), context, now)))


def under(call: Call, found: Effects) -> Call:
    """The call with its request as these effects have it asked."""
    if found == NO_EFFECTS:
        return call
    return replace(call, request=effects.narrowed(call.request, found), effects=found)


def beside(call: Call) -> Beside:
    """What Elasticsearch shall say beside the candidates: for the call's effects, and by code."""
    pinned = [name for name, _ in call.effects.pins]
    code = codes.folded(call.request.text) if call.generation.config.codes else ""
    return Beside(call.effects.marks, pinned, code)


def in_order(
    found: Effects,
    retrieved: Retrieved,
    scores: Scores,
    available: NDArray[np.bool_] | None,
    varied: Varied | None = None,
) -> tuple[Ordered, Placed]:
    """The order of the candidates, and the whole one with pinned products that are none."""
    places = None
    if varied is not None:
        scores, places = varied.scores, varied.places
    ids, groups = retrieved.candidates.ids, retrieved.groups
    shares = effects.shares(found, ids, retrieved.marks)
    moved = placing.moved(scores, shares) if shares is not None else scores
    ordered = order.by_score(moved, available=available, groups=groups, places=places)
    names, falling = [ids[row] for row in ordered.rows.tolist()], ordered.scores.tolist()
    there = {*ids, *retrieved.pinned} if found.pins else ()
    pins = [(name, position) for name, position in found.pins if name in there]
    pins = _with_named(pins, retrieved.named, names)
    if not pins:
        return ordered, Placed(names, falling)
    group_of = dict(zip(ids, groups, strict=True)) if groups else {}
    placed = placing.place(names, falling, pins, {**retrieved.pinned, **group_of})
    return order.within(placed, ids), placed


def _with_named(
    pins: Sequence[tuple[str, int]], named: Sequence[str], names: Sequence[str]
) -> list[tuple[str, int]]:
    """The pins, and behind those of the first place what the query names by its code, in the
    order of `names`; nothing of it where it stands first anyway.
    """
    if set(names[: len(named)]) == set(named):
        return list(pins)
    placed, wanted = {name for name, _ in pins}, set(named)
    ahead = [name for name in names if name in wanted]
    ahead += [name for name in named if name not in ahead]
    first = [(name, 1) for name in ahead if name not in placed]
    return [*(it for it in pins if it[1] <= 1), *first, *(it for it in pins if it[1] > 1)]


@dataclass(frozen=True, slots=True, eq=False)
class RuledList:
    """Candidates that a client found itself, without those that rules leave out.

    `marks` as in Retrieved; `degraded` where Elasticsearch could not be asked about them.
    """

    candidates: Candidates
    effects: Effects = NO_EFFECTS
    marks: Sequence[frozenset[int]] = ()
    degraded: str | None = None

    def in_order(
        self, scores: Scores, available: NDArray[np.bool_] | None, varied: Varied | None = None
    ) -> Ordered:
        """The order of the list; products that it does not have cannot be pinned."""
        retrieved = Retrieved(
            candidates=self.candidates, total=None, shards={}, timed_out=False, marks=self.marks
        )
        return in_order(self.effects, retrieved, scores, available, varied)[0]


@dataclass(frozen=True, slots=True)
class Source:
    """Where documents of a given list are looked up, as whom, and how long that may take."""

    nodes: Nodes
    target: str
    headers: Mapping[str, str]
    timeout_seconds: float


def effects_on(rules: RuleSet, text: str, context: Mapping[str, Any], now: float) -> Effects:
    """The effects of rules on a list that a client found for `text`; its filters are not known."""
    if not rules:
        return NO_EFFECTS
    return effects.of(rules.matching(matching.seen(text, (), context, now)))


def narrowed_list(found: Effects, candidates: Candidates, source: Source) -> RuledList:
    """The list without what is hidden; Elasticsearch is asked only where a rule names a query."""
    hidden = set(found.hidden)
    kept = [row for row, name in enumerate(candidates.ids) if name not in hidden]
    rest = candidates if len(kept) == len(candidates) else candidates.take(np.array(kept, np.intp))
    if not (found.filters or found.marks) or not len(rest):
        return RuledList(rest, found)
    try:
        hits = fetch.among(
            source.nodes,
            source.target,
            rest.ids,
            Beside(found.marks),
            found.filters,
            source.headers,
            timeout_seconds=source.timeout_seconds,
        )
    except (ElasticsearchUnavailable, fetch.Refused):
        return RuledList(rest, found, degraded="elasticsearch_unavailable")
    if found.filters:
        there = {hit["_id"] for hit in hits}
        rows = [row for row, name in enumerate(rest.ids) if name in there]
        rest = rest.take(np.array(rows, np.intp))
    return RuledList(rest, found, marks_of(rest.ids, hits))
