"""What speaks for a candidate, and which of the shopper's items it is tied to. Pure.

A contribution is counted against the mean of the list: what all candidates have alike speaks for
none of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.popularity import CART, PURCHASE, VIEW
from reranker.fusion import baseline
from reranker.fusion.attribution import Attribution
from reranker.retrieval.candidates import Candidates
from reranker.serving.scoring import Fused
from reranker.signals import definition
from reranker.signals.past import Past, within

Array = NDArray[np.float32]
Kind = Literal["purchase", "cart", "view"]
WEIGHTIEST: tuple[tuple[int, Kind], ...] = (
    (PURCHASE, "purchase"),
    (CART, "cart"),
    (VIEW, "view"),
)


@dataclass(frozen=True, slots=True)
class Deed:
    """An item of the shopper's history, the weightiest thing done with it, and how it is tied."""

    item_id: str
    kind: Kind
    weight: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one candidate; a deed is the strongest of its kind, None without one.

    `contributions` are by signal, by token, or by family where single signals are not told apart.
    """

    contributions: Mapping[str, float]
    signals: Mapping[str, float]
    bought_with: Deed | None = None
    viewed_with: Deed | None = None
    alike: Deed | None = None
    looked_at: Deed | None = None


@dataclass(frozen=True, eq=False)
class Grounds:
    """What the explanations of one list rest on.

    `looks` [m, 1 + h] is how much each candidate that the model saw looks at nobody in particular,
    then at each history item; `attribution` is of the same m candidates.
    """

    fused: Fused
    candidates: Candidates
    attribution: Attribution | None = None
    looks: Array | None = None

    @cached_property
    def places(self) -> Mapping[int, int]:
        """Place among those that the model saw, of each row."""
        rows = self.fused.rows
        return {} if rows is None else {row: at for at, row in enumerate(rows.tolist())}

    @cached_property
    def history(self) -> Sequence[str]:
        """Ids of the history items [h]."""
        past = self._past
        return () if past is None else past.shopper.ids(len(past.history))

    @cached_property
    def centred_prior(self) -> Mapping[str, Array]:
        """Parts of the prior against their mean in the list [m]."""
        if self.fused.inputs is None:
            return {}
        signals = self.fused.inputs["signals"]
        parts = baseline.prior_parts(signals, self.fused.prior_weights)
        return {name: values - values.mean() for name, values in parts.items()}

    @cached_property
    def kinds(self) -> Sequence[Kind | None]:
        """The weightiest deed with each history item [h]; None where all was taken back."""
        past = self._past
        if past is None:
            return ()
        counts = past.history["count"]
        return [
            next((kind for column, kind in WEIGHTIEST if count[column] > 0), None)
            for count in counts
        ]

    @cached_property
    def partners(self) -> tuple[Array, Array]:
        """Weights of bought and of viewed together [h, m]."""
        situation, past = self.fused.situation, self._past
        h, m = len(self.history), len(self.places)
        bought, viewed = np.zeros((2, h, m), dtype=np.float32)
        if situation is not None and past is not None and len(past.partners):
            items, rows, of = past.partner_rows
            found, column = within(items, situation.items)
            bought[of[found], column] = rows["purchase"][found]
            viewed[of[found], column] = rows["view"][found]
        return bought, viewed

    @property
    def _past(self) -> Past | None:
        return None if self.fused.situation is None else self.fused.situation.past

    def evidence(self, row: int) -> Evidence:
        """All that speaks for the candidate at `row`."""
        at = self.places.get(row)
        if at is None or self.fused.inputs is None:
            return Evidence(_of_legs(self.candidates, row), _signals_of_legs(self.candidates, row))
        signals = self.fused.inputs["signals"][at].tolist()
        bought, viewed = self.partners
        return Evidence(
            contributions=self._contributions(at),
            signals=dict(zip(definition.NAMES, signals, strict=True)),
            bought_with=self._strongest(at, bought[:, at], 0.0),
            viewed_with=self._strongest(at, viewed[:, at], 0.0),
            alike=self._strongest(at, self._alike(at), 0.0),
            looked_at=self._looked_at(at),
        )

    def _contributions(self, at: int) -> dict[str, float]:
        found = {name: float(values[at]) for name, values in self.centred_prior.items()}
        for name, value in self._of_residual(at).items():
            found[name] = found.get(name, 0.0) + value
        return found

    def _of_residual(self, at: int) -> dict[str, float]:
        attribution, scored = self.attribution, self.fused.scored
        if attribution is not None:
            parts = attribution.parts[at].tolist()
            return dict(zip(attribution.players, parts, strict=True))
        if scored is None:
            return {}
        split = scored.attention[at] * (scored.residual[at] - scored.residual.mean())
        return dict(zip(self.fused.tokens, split.tolist(), strict=False))

    def _alike(self, at: int) -> Array:
        inputs = self.fused.inputs
        assert inputs is not None  # noqa: S101 - the caller looked
        alike: Array = inputs["history_vectors"] @ inputs["item_vectors"][at]
        return alike

    def _looked_at(self, at: int) -> Deed | None:
        """The item looked at most, where that is more than by chance."""
        if self.looks is None:
            return None
        return self._strongest(at, self.looks[at, 1:], 1.0 / self.looks.shape[1])

    def _strongest(self, at: int, weights: Array, floor: float) -> Deed | None:
        """The history item of the highest weight above `floor`; never the candidate itself."""
        itself = self.candidates.ids[int(self._row(at))]
        order = np.argsort(-weights, kind="stable").tolist()
        best = next((i for i in order if self.history[i] != itself), None)
        if best is None or not weights[best] > floor:
            return None
        kind = self.kinds[best]
        return None if kind is None else Deed(self.history[best], kind, float(weights[best]))

    def _row(self, at: int) -> int:
        assert self.fused.rows is not None  # noqa: S101 - a place among them is given
        return int(self.fused.rows[at])


def _of_legs(candidates: Candidates, row: int) -> dict[str, float]:
    ranks = {"bm25": candidates.bm25_rank[row], "knn": candidates.knn_rank[row]}
    return {name: float(1.0 / rank) for name, rank in ranks.items() if np.isfinite(rank)}


def _signals_of_legs(candidates: Candidates, row: int) -> dict[str, float]:
    scores = {"bm25": candidates.bm25[row], "knn": candidates.knn[row]}
    return {name: float(np.nan_to_num(value)) for name, value in scores.items()}
