"""Variety at work: what it goes by for one search, and the scores of the order that comes of it.

Items are known by their cards, a shopper by the cards of their history. Where Valkey is away there
is nothing to go by: the order stays, and the answer says that variety went by nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue import card
from indexer.catalogue.diversity import Diversity
from indexer.errors import ValkeyUnavailable
from reranker.diversity import spread, taste
from reranker.diversity.likeness import By, Looks
from reranker.diversity.spread import ITEMS_MAX, Variety
from reranker.diversity.taste import NO_TASTE, Taste
from reranker.serving.knowledge import Asked
from reranker.serving.memory import Memory
from reranker.serving.order import Scores, by_score
from reranker.serving.scoring import Fused
from reranker.signals.past import Past

Groups = Sequence[str | None]
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Varied:
    """Scores [n] of all candidates as variety has them, and their places [n] where scores tie.

    `by` is what likeness went by.
    """

    scores: Scores
    places: NDArray[np.intp]
    dial: float
    by: By

    def told(self) -> dict[str, Any]:
        """What the answer says of it."""
        return {"diversity": {"dial": self.dial, "by": self.by}}


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """How much variety is wanted of the candidates `ids` [n], and how to look at some of them.

    Only the first `window` of them are moved.
    """

    ids: Sequence[str]
    window: int
    dial: float
    policy: Diversity
    look: Callable[[Sequence[str]], Looks]
    past: Past | None = None

    def varied(
        self, fused: Fused, available: NDArray[np.bool_] | None, groups: Groups | None = None
    ) -> Varied | None:
        """What can be had of the window, of each collapsed group its best, with variety among them;
        None where none is wanted.
        """
        scores = fused.scores
        if self.dial <= 0:
            return None
        rows = self._rows(scores, available, groups)
        looks = self.look([self.ids[row] for row in rows.tolist()])
        if looks.by == "nothing" or len(rows) < 2:
            return Varied(scores, np.arange(len(scores)), self.dial, looks.by)
        unit = 1.0 if fused.log_odds else float(scores[rows].std())
        wanted = Variety(self.dial, self.policy, taste_of(self.past), unit)
        found = rows[spread.spread(scores[rows], looks, wanted)]
        moved, places = in_places(scores, rows, found, groups)
        return Varied(moved, places, self.dial, looks.by)

    def _rows(
        self, scores: Scores, available: NDArray[np.bool_] | None, groups: Groups | None
    ) -> NDArray[np.intp]:
        rows = by_score(scores, available=available, groups=groups).rows
        if available is not None:
            rows = rows[available[rows]]
        return rows[: min(self.window, ITEMS_MAX)]


def wish_of(
    memory: Memory,
    asked: Asked,
    dial: float,
    policy: Diversity,
    brought: Mapping[str, Mapping[str, Any]] = NOTHING,
) -> Wish:
    """The wish for a list that was asked for, of items with cards and perhaps a known shopper."""
    return Wish(
        ids=asked.candidates.ids,
        window=asked.window,
        dial=dial,
        policy=policy,
        look=by_cards(memory, asked.index, asked.dims, brought),
        past=asked.who.past if asked.who else None,
    )


def wish_among(
    ids: Sequence[str], cards: NDArray[Any], dial: float, policy: Diversity, past: Past | None
) -> Wish:
    """The wish for a list that no one searched for, of items whose cards [n] are at hand."""

    def look(names: Sequence[str]) -> Looks:
        row_of = {name: row for row, name in enumerate(ids)}
        return Looks.of_cards(cards[[row_of[name] for name in names]])

    return Wish(ids, window=len(ids), dial=dial, policy=policy, look=look, past=past)


def with_variety(fused: Fused, varied: Varied | None) -> Fused:
    """The same scores, with those after variety beside them."""
    return fused if varied is None else replace(fused, varied=varied.scores)


def by_cards(
    memory: Memory, index: str, dims: int, brought: Mapping[str, Mapping[str, Any]] = NOTHING
) -> Callable[[Sequence[str]], Looks]:
    """Looks at items by their cards; by what was `brought` of them, by id, where there is none."""

    def look(ids: Sequence[str]) -> Looks:
        try:
            blobs = memory.cards(index, ids)
        except ValkeyUnavailable:
            return by_names(brought)(ids)
        looks = Looks.of_cards(card.unpack_many(blobs, dims)[0])
        return looks.filled(by_names(brought)(ids)) if brought else looks

    return look


def by_names(brought: Mapping[str, Mapping[str, Any]]) -> Callable[[Sequence[str]], Looks]:
    """Looks at items by the fields that were brought of them, by id."""
    return lambda ids: Looks.of_names([brought.get(name, NOTHING) for name in ids])


def taste_of(past: Past | None) -> Taste:
    """What a shopper's history says of the categories that they take; recent deeds weigh more."""
    if past is None or past.history_cards is None or not len(past.history_cards):
        return NO_TASTE
    categories = past.history_cards["categories"]
    return taste.of_history(categories, past.recency_share[: len(categories)])


def in_places(
    scores: Scores,
    rows: NDArray[np.intp],
    found: NDArray[np.intp],
    groups: Groups | None,
) -> tuple[Scores, NDArray[np.intp]]:
    """Scores and places [n] under which the order `found` of `rows` is one by falling score.

    Each place keeps its score, whoever stands there now. Others of a collapsed group keep their
    distance to the one that stands for it, but never fall below the last of all.
    """
    moved, places = scores.copy(), len(rows) + np.arange(len(scores))
    moved[found], places[found] = scores[rows], np.arange(len(rows))
    if groups is not None:
        shift = {groups[row]: moved[row] - scores[row] for row in rows.tolist()}
        shift.pop(None, None)
        shown = set(rows.tolist())
        for row, group in enumerate(groups):
            if group in shift and row not in shown:
                moved[row] = max(scores[row] + shift[group], scores.min())
    return moved, places
