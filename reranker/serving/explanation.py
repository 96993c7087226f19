"""What a score is made of, in Elasticsearch's own form: parts that add up to it. Pure.

The residual of the model is one number an item; it is shown by how the attention weighs the
tokens, which add up to one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reranker.fusion import baseline
from reranker.retrieval.candidates import Candidates
from reranker.serving.scoring import Fused

Explanation = dict[str, Any]


def of(fused: Fused, candidates: Candidates, row: int, shown: float) -> Explanation:
    """The explanation of the candidate at `row`, whose `_score` is `shown`."""
    parts = _parts(fused, candidates, row)
    explained = sum(part["value"] for part in parts)
    if abs(shown - explained) > 1e-6:
        parts.append(part(shown - explained, "placed after what can be had, or outside the window"))
    name = fused.model or "no trained model"
    return part(shown, f"sum of, by {name}:", parts)


def part(value: float, description: str, details: Sequence[Explanation] = ()) -> Explanation:
    """One node of an explanation."""
    return {"value": float(value), "description": description, "details": list(details)}


def _parts(fused: Fused, candidates: Candidates, row: int) -> list[Explanation]:
    if fused.inputs is None or fused.rows is None:
        return _legs(candidates, row, float(fused.scores[row]))
    at = np.flatnonzero(fused.rows == row)
    if not len(at):
        return _legs(candidates, row, float(fused.scores[row]))
    return [_prior(fused, int(at[0])), *_residual(fused, int(at[0]))]


def _prior(fused: Fused, at: int) -> Explanation:
    assert fused.inputs is not None  # noqa: S101 - the caller looked
    signals = fused.inputs["signals"][at]
    weights = fused.prior_weights
    made: Mapping[str, Any] = baseline.prior_parts(signals, weights)
    details = [part(float(value), f"signal {name}") for name, value in made.items()]
    return part(sum(d["value"] for d in details), "prior, sum of:", details)


def _residual(fused: Fused, at: int) -> list[Explanation]:
    scored = fused.scored
    if scored is None:
        return []
    residual = float(scored.residual[at])
    weights = scored.attention[at].tolist()
    names = fused.tokens or tuple(f"token {number}" for number in range(len(weights)))
    details = [
        part(weight * residual, f"{name}, attention {weight:.4f}")
        for name, weight in zip(names, weights, strict=False)
    ]
    return [part(residual, "residual of the model, by attention over:", details)]


def _legs(candidates: Candidates, row: int, score: float) -> list[Explanation]:
    """Where a candidate stood in the legs, for orders that are made of ranks or one score."""
    found = []
    for leg, value, rank in (
        ("keywords", candidates.bm25[row], candidates.bm25_rank[row]),
        ("vectors", candidates.knn[row], candidates.knn_rank[row]),
    ):
        if np.isfinite(rank):
            found.append(f"{leg}: rank {rank:.0f} with {value:.4f}")
    return [part(score, "by its places: " + ("; ".join(found) or "none"))]
