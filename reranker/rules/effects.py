"""What the rules that hold come to together, and the request that is asked under them. Pure.

Where rules contradict each other, the first by id decides; what one hides no other pins. Hiding is
a filter like any other, so total, facets and every page know nothing of what is hidden.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.event import query_key
from reranker.retrieval import clause
from reranker.retrieval.request import RankedRequest
from reranker.rules.rule import Rule, Shift

Clause = Mapping[str, Any]
VARIANTS_MAX = 20


@dataclass(frozen=True, slots=True)
class Move:
    """Products whose score moves by `share` of the list's spread: those named, or those that
    Elasticsearch finds by `query`.
    """

    share: float
    ids: frozenset[str] = frozenset()
    query: Clause | None = None


@dataclass(frozen=True, slots=True)
class Effects:
    """Everything to be done for one search; `pins` are ids with places, by place.

    `order_rules` are those of `rules` that only change the order.
    """

    rules: tuple[str, ...] = ()
    order_rules: tuple[str, ...] = ()
    pins: tuple[tuple[str, int], ...] = ()
    hidden: tuple[str, ...] = ()
    moves: tuple[Move, ...] = ()
    filters: tuple[Clause, ...] = ()
    redirect: str | None = None
    text: str | None = None
    synonyms: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def narrowing(self) -> list[Clause]:
        """What every hit must satisfy."""
        hidden = {"bool": {"must_not": [{"ids": {"values": list(self.hidden)}}]}}
        return [*self.filters, *([hidden] if self.hidden else [])]

    @property
    def marks(self) -> list[Clause]:
        """Queries that Elasticsearch shall tell hits by, numbered as they come."""
        return [move.query for move in self.moves if move.query is not None]

    def told(self, *, ordered: bool = True) -> dict[str, Any]:
        """What the answer says of rules; `ordered`: their order was applied too."""
        applied = [it for it in self.rules if ordered or it not in self.order_rules]
        said: dict[str, Any] = {"rules": applied} if applied else {}
        return said | ({"redirect": self.redirect} if self.redirect is not None else {})


NO_EFFECTS = Effects()


def of(rules: Sequence[Rule]) -> Effects:
    """The effects of rules that hold, in their order."""
    if not rules:
        return NO_EFFECTS
    every = [rule.then for rule in rules]
    hidden = tuple(dict.fromkeys(name for then in every for name in then.hide))
    pins: dict[str, int] = {}
    for place in (place for then in every for place in then.pin):
        if place.id not in hidden:
            pins.setdefault(place.id, place.position)
    return Effects(
        rules=tuple(rule.id for rule in rules),
        order_rules=tuple(rule.id for rule in rules if _orders_alone(rule)),
        pins=tuple(sorted(pins.items(), key=lambda pin: pin[1])),
        hidden=hidden,
        moves=tuple(move for then in every for move in _moves(then.boost, then.bury)),
        filters=tuple(then.filter for then in every if then.filter is not None),
        redirect=next((then.redirect for then in every if then.redirect), None),
        text=next((then.replace_query for then in every if then.replace_query), None),
        synonyms=tuple(pair for then in every for pair in then.synonyms.items()),
    )


def narrowed(request: RankedRequest, effects: Effects) -> RankedRequest:
    """The request as it is asked under these effects; the same one where they ask for no other.

    The window reaches to the last place that is pinned.
    """
    extra = effects.narrowing
    window = max([request.options.window, *(place for _, place in effects.pins)])
    asked = request
    if window > request.options.window:
        asked = replace(asked, options=replace(asked.options, window=window))
    query = request.query if effects.text is None else clause.with_text(request.query, effects.text)
    query = _with_variants(query, variants(effects.text or request.text, effects.synonyms))
    if not extra and effects.text is None and query is request.query:
        return asked
    body = {name: part for name, part in request.body.items() if name != "retriever"}
    body["query"] = query
    if extra:
        body = satisfying(body, extra)
        query = body["query"]
    return replace(
        asked,
        text=effects.text or request.text,
        query=query,
        body=body,
        filters=(*request.filters, *extra),
    )


def satisfying(body: Mapping[str, Any], extra: Sequence[Clause]) -> dict[str, Any]:
    """A search whose hits satisfy `extra` besides, those of its query and those of its `knn`."""
    found = dict(body)
    if "query" in body or "knn" not in body:
        query = body.get("query") or {"match_all": {}}
        found["query"] = {"bool": {"must": [query], "filter": list(extra)}}
    if "knn" in body:
        found["knn"] = [_filtered(part, extra) for part in clause.clauses(body["knn"])]
    return found


def shares(
    effects: Effects, ids: Sequence[str], marks: Sequence[frozenset[int]]
) -> NDArray[np.float64] | None:
    """How far each product of a list moves [n], in shares of the list's spread; None: nothing."""
    if not effects.moves:
        return None
    found = np.zeros(len(ids))
    number = 0
    for move in effects.moves:
        if move.query is None:
            found += [move.share if name in move.ids else 0.0 for name in ids]
            continue
        if marks:
            found += [move.share if number in its else 0.0 for its in marks]
        number += 1
    return found


def kept(effects: Effects) -> list[Any] | None:
    """What later pages of a search must know of the effects that made its order, as JSON."""
    if effects == NO_EFFECTS:
        return None
    return [
        *(effects.rules, effects.hidden, effects.filters),
        *(effects.redirect, effects.text, effects.pins, effects.synonyms),
    ]


def from_kept(parts: Sequence[Any] | None) -> Effects:
    """The effects of a kept order."""
    if parts is None:
        return NO_EFFECTS
    rules, hidden, filters, redirect, text, pins, synonyms = parts
    return Effects(
        rules=tuple(rules),
        pins=tuple((name, place) for name, place in pins),
        hidden=tuple(hidden),
        filters=tuple(filters),
        redirect=redirect,
        text=text,
        synonyms=tuple((word, tuple(others)) for word, others in synonyms),
    )


def variants(text: str, synonyms: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """The text with each synonym in the place of its word, one at a time."""
    said = query_key(text)
    found = []
    for word, others in synonyms:
        folded = query_key(word)
        # A script without spaces has no end of a word to be seen.
        parted = folded.isascii()
        pattern = rf"(?<!\w){re.escape(folded)}(?!\w)" if parted else re.escape(folded)
        found += [re.sub(pattern, other.replace("\\", r"\\"), said) for other in others]
    return [it for it in dict.fromkeys(found) if it != said][:VARIANTS_MAX]


def _with_variants(query: Clause, texts: Sequence[str]) -> Clause:
    """The query, or the same with another text; the best of them counts."""
    if not texts or not clause.text_of(query):
        return query
    return {"dis_max": {"queries": [query, *(clause.with_text(query, text) for text in texts)]}}


def _orders_alone(rule: Rule) -> bool:
    then = rule.then
    return not (then.hide or then.filter or then.redirect or then.replace_query or then.synonyms)


def _moves(boosts: Sequence[Shift], buries: Sequence[Shift]) -> Iterator[Move]:
    for sign, shifts in ((1.0, boosts), (-1.0, buries)):
        for shift in shifts:
            yield Move(sign * shift.by, frozenset(shift.ids), _by_value(shift))


def _by_value(shift: Shift) -> Clause | None:
    """A query for one of the values; on a text field, for all of its words."""
    if shift.field is None:
        return None
    asked = [
        {"match": {shift.field: {"query": value, "operator": "and"}}} for value in shift.value or ()
    ]
    return asked[0] if len(asked) == 1 else {"bool": {"should": asked}}


def _filtered(knn: Any, extra: Sequence[Clause]) -> Any:
    if not isinstance(knn, Mapping):
        return knn
    return {**knn, "filter": [*clause.clauses(knn.get("filter")), *extra]}
