"""Recommenders to compare with, fitted to the same events; and who did what next. Pure but seeded.

Weighted regularised matrix factorisation (Hu, Koren and Volinsky 2008, doi 10.1109/ICDM.2008.22)
and item-kNN are those of the library implicit, the others are counts.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Event = Mapping[str, Any]
Recommend = Callable[[str, int], Sequence[str]]
"""User, size → item ids, best first."""


def item_of(event: Event) -> str:
    """The id of the item of a UBI event."""
    return str(event["event_attributes"]["object"]["object_id"])


def next_items(after: Iterable[Event], *, first_visit: bool) -> dict[str, list[str]]:
    """User → what was touched in `after` (in time order), or in the first session of it only."""
    found: dict[str, list[str]] = defaultdict(list)
    session: dict[str, Any] = {}
    for event in after:
        user = event.get("user_id")
        if user is None:
            continue
        visit = event.get("session_id") if first_visit else None
        if session.setdefault(str(user), visit) == visit:
            found[str(user)].append(item_of(event))
    return {user: list(dict.fromkeys(items)) for user, items in found.items()}


@dataclass(frozen=True)
class History:
    """Events in time order, as counts and as a matrix; `repeats`: known items may come again."""

    events: Sequence[Event]
    repeats: bool
    seed: int = 7

    @cached_property
    def items(self) -> list[str]:
        """Every item, the one touched first first."""
        return list(dict.fromkeys(item_of(event) for event in self.events))

    @cached_property
    def users(self) -> dict[str, int]:
        """Row of each user."""
        return {user: row for row, user in enumerate(self.own)}

    @cached_property
    def own(self) -> dict[str, dict[str, int]]:
        """User → item → how often, the item touched last at the end."""
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for event in self.events:
            if event.get("user_id") is not None:
                counts = found[str(event["user_id"])]
                item = item_of(event)
                counts[item] = counts.pop(item, 0) + 1
        return dict(found)

    @cached_property
    def matrix(self) -> sparse.csr_matrix:
        """Counts [users, items]."""
        column = {item: number for number, item in enumerate(self.items)}
        cells = [
            (self.users[user], column[item], count)
            for user, counts in self.own.items()
            for item, count in counts.items()
        ]
        rows, columns, values = zip(*cells, strict=True)
        shape = (len(self.users), len(self.items))
        return sparse.csr_matrix((values, (rows, columns)), shape=shape, dtype=np.float32)

    def systems(self) -> dict[str, Recommend]:
        """Every baseline by name."""
        from implicit.als import AlternatingLeastSquares
        from implicit.nearest_neighbours import BM25Recommender, CosineRecommender

        als = AlternatingLeastSquares(
            factors=64, regularization=0.05, alpha=20.0, iterations=20, random_state=self.seed
        )
        fitted = {"als": als, "item-kNN cosine": CosineRecommender(K=50)}
        fitted["item-kNN bm25"] = BM25Recommender(K=50)
        for model in fitted.values():
            model.fit(self.matrix, show_progress=False)
        found: dict[str, Recommend] = {"popularity": self._popularity, "item-item": self._together}
        if self.repeats:
            found["own history"] = self._own
        return found | {name: self._of(model) for name, model in fitted.items()}

    def _of(self, model: Any) -> Recommend:
        def recommend(user: str, size: int) -> Sequence[str]:
            row = self.users[user]
            ids, _ = model.recommend(
                row, self.matrix[row], N=size, filter_already_liked_items=not self.repeats
            )
            return [self.items[column] for column in ids.tolist() if column >= 0]

        return recommend

    @cached_property
    def _popular(self) -> NDArray[np.float64]:
        return np.asarray((self.matrix > 0).sum(axis=0), dtype=np.float64).ravel()

    def _popularity(self, user: str, size: int) -> Sequence[str]:
        return self._best(user, self._popular, size)

    def _own(self, user: str, size: int) -> Sequence[str]:
        """What was bought most often, of those the latest."""
        latest_first = reversed(self.own[user].items())
        return [item for item, _ in sorted(latest_first, key=lambda it: -it[1])][:size]

    @cached_property
    def _cooccurrence(self) -> sparse.csr_matrix:
        binary = (self.matrix > 0).astype(np.float32)
        return (binary.T @ binary).tocsr()

    def _together(self, user: str, size: int) -> Sequence[str]:
        binary = (self.matrix[self.users[user]] > 0).astype(np.float32)
        scores = np.asarray((binary @ self._cooccurrence).todense()).ravel()
        return self._best(user, scores, size)

    def _best(self, user: str, scores: NDArray[Any], size: int) -> Sequence[str]:
        known = () if self.repeats else self.own[user]
        order = np.argsort(-scores, kind="stable")[: size + len(known)].tolist()
        return [self.items[row] for row in order if self.items[row] not in known][:size]
