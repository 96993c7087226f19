"""Scores of a window under each mode, with the next best where a part is missing.

fused = prior + residual of the model + what a slate policy and the adaptive layer add, where they
may; without a model the prior stands for it, without Valkey the prior of what the legs said. The
model looks at as many candidates as the window has, those that both legs together put first; the
others follow in that order. Where it looks closely at fewer, these are the best by its own line.

One thread of a process computes at a time. The many short array operations of a list let go of the
interpreter each, so that threads which all compute would wake each other at every one of them;
nobody reads from a server meanwhile.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue import card
from indexer.errors import ValkeyUnavailable
from indexer.telemetry import log
from reranker.fusion import baseline
from reranker.fusion.baseline import PriorWeights
from reranker.fusion.registry import for_policy
from reranker.fusion.scorer import Scored, Scorer
from reranker.retrieval.candidates import Candidates
from reranker.serving import adaptation, knowledge
from reranker.serving.adaptation import Adapted
from reranker.serving.knowledge import Asked, Items, Known
from reranker.serving.memory import Memory
from reranker.serving.models import Loaded, Models
from reranker.serving.refill import Refill
from reranker.signals.build import ModelInput, assemble, of_rows
from reranker.signals.item_table import ItemTable
from reranker.signals.situation import Situation

Scores = NDArray[np.float32]
_TURN = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """Scores [n] of all candidates; `rows` [m] are those that the model saw, as it saw them.

    `log_odds` says that the scores are such, not ranks or cosines; `varied` [n] are the scores
    after variety, None where none was asked for.
    `history` [h] are hashes of the shopper's items that it saw beside them. `available` [n] says
    which can be had, None where that was not looked at. `adapted` is what the adaptive layer
    made of those that the model saw, `own_scores` [m] are theirs without it. `by_policy` [m] is
    what the slate policy `policy` added to them, part of `own_scores`.
    """

    scores: Scores
    available: NDArray[np.bool_] | None = None
    model: str | None = None
    degraded: str | None = None
    rows: NDArray[np.intp] | None = None
    inputs: ModelInput | None = None
    history: NDArray[np.uint64] | None = None
    scored: Scored | None = None
    prior_weights: PriorWeights = field(default_factory=PriorWeights)
    tokens: tuple[str, ...] = ()
    situation: Situation | None = None
    scorer: Scorer | None = None
    log_odds: bool = True
    varied: Scores | None = None
    adapted: Adapted | None = None
    own_scores: Scores | None = None
    policy: str | None = None
    by_policy: Scores | None = None


def fused(memory: Memory, refill: Refill, models: Models, asked: Asked) -> Fused:
    """The model's scores, else the prior's."""
    candidates = asked.candidates
    narrowed = asked.closely is not None or len(candidates) > asked.window
    both = baseline.rrf(candidates) if narrowed else None
    kept_as = asked.kept_as or asked.index
    if asked.model is None:
        loaded, promoted = models.found(kept_as, asked.recipe_digest)
    else:
        loaded, promoted = models.version_of(kept_as, asked.recipe_digest, asked.model), True
    if asked.who is None:
        return Fused(baseline.prior_of_legs(candidates), degraded="valkey_unavailable")
    try:
        remembered = knowledge.items(memory, refill, asked.index, candidates.ids, asked.dims)
    except ValkeyUnavailable:
        return Fused(baseline.prior_of_legs(candidates), degraded="valkey_unavailable")
    with _TURN:
        table = loaded.item_table if loaded else None
        looked_at = _looked_at(asked, asked.who, both, remembered, table)
        return _computed(asked, models, loaded, looked_at, promoted=promoted)


@dataclass(frozen=True, slots=True, eq=False)
class _LookedAt:
    """`rows` [m] of the candidates, and everything their signals are computed from; what both legs
    together say of all [n], None where the model looks at all.
    """

    both: Scores | None
    rows: NDArray[np.intp]
    available: NDArray[np.bool_]
    situation: Situation


def _looked_at(
    asked: Asked, who: Known, both: Scores | None, remembered: Items, table: ItemTable | None
) -> _LookedAt:
    candidates, available = asked.candidates, remembered.available
    rows = np.arange(len(candidates))
    if both is not None and len(candidates) > asked.window:
        rows = np.argsort(-both, kind="stable")[: asked.window]
        candidates, remembered = candidates.take(rows), remembered.take(rows)
    situation = knowledge.situation(asked, who, candidates, remembered, table)
    return _LookedAt(both, rows, available, situation)


def _computed(
    asked: Asked, models: Models, loaded: Loaded | None, seen: _LookedAt, *, promoted: bool
) -> Fused:
    inputs, both, rows = assemble(seen.situation), seen.both, seen.rows
    if loaded is not None and both is not None and asked.closely is not None:
        both, rows, inputs = _closely(loaded.scorer, asked.closely, both, rows, inputs)
    found = _by_model(asked, loaded, inputs, promoted=promoted)
    found = _with_policy(found, models, asked, inputs)
    adapted = _adapted(asked, found, inputs)
    scores = found.scores if adapted is None else found.scores + adapted.added
    return replace(
        found,
        scores=_placed(both, rows, scores),
        rows=rows,
        history=seen.situation.history["item"],
        available=seen.available,
        situation=seen.situation,
        adapted=adapted,
        own_scores=found.scores,
    )


def _closely(
    scorer: Scorer, count: int, both: Scores, rows: NDArray[np.intp], inputs: ModelInput
) -> tuple[Scores, NDArray[np.intp], ModelInput]:
    """Of the candidates at `rows` the `count` best by the line that the network starts from, and
    the inputs of these; the others follow in the order of that line.
    """
    first = scorer.first(inputs) if count < len(rows) else None
    if first is None:
        return both, rows, inputs
    falling = np.argsort(-first, kind="stable")
    by_line = both.copy()
    by_line[rows[falling]] = 1.0 / np.arange(2.0, len(rows) + 2.0, dtype=np.float32)
    return by_line, rows[falling[:count]], of_rows(inputs, falling[:count])


def _with_policy(found: Fused, models: Models, asked: Asked, inputs: ModelInput) -> Fused:
    """The scores [m] with what the index's slate policy adds, where one may and can."""
    if not asked.policy or found.degraded:
        return found
    policy, _ = models.found(for_policy(asked.index), asked.recipe_digest)
    if policy is None:
        return found
    try:
        by_policy = policy.scorer.residual(inputs)
    except Exception as error:  # noqa: BLE001 - whatever the runtime says, the order is there
        log("scoring").error("policy_failed", index=asked.index, error=type(error).__name__)
        return replace(found, degraded="policy_failed")
    return replace(
        found, scores=found.scores + by_policy, policy=policy.version, by_policy=by_policy
    )


def _adapted(asked: Asked, found: Fused, inputs: ModelInput) -> Adapted | None:
    """What the layer of the model that scored adds; None where another one was asked for."""
    who = asked.who
    if who is None or who.layer is None or adaptation.key(found.model) != asked.layer:
        return None
    segment = adaptation.segment_of(len(inputs["history_vectors"]), asked.context)
    return adaptation.adapt(who.layer, inputs["signals"], segment)


def _by_model(asked: Asked, loaded: Loaded | None, inputs: ModelInput, *, promoted: bool) -> Fused:
    """Scores [m] of the inputs' candidates."""
    if loaded is None:
        return _without_model(asked, inputs, "model_unavailable" if promoted else None)
    try:
        scored = loaded.scorer.score(inputs)
    except Exception as error:  # noqa: BLE001 - whatever the runtime says, the prior is there
        log("scoring").error("model_failed", index=asked.index, error=type(error).__name__)
        return _without_model(asked, inputs, "model_failed")
    return Fused(
        scores=scored.scores,
        model=loaded.version,
        inputs=inputs,
        scored=scored,
        prior_weights=loaded.scorer.prior_weights,
        tokens=loaded.scorer.tokens,
        scorer=loaded.scorer,
    )


def _without_model(asked: Asked, inputs: ModelInput, why: str | None) -> Fused:
    weights = baseline.untrained_weights(asked.text)
    scores = baseline.prior(inputs["signals"], weights)
    return Fused(scores, degraded=why, inputs=inputs, prior_weights=weights)


def available(
    memory: Memory, index: str, ids: Sequence[str], dims: int
) -> NDArray[np.bool_] | None:
    """Which items can be had, as their cards say [n]; None where that is not known."""
    try:
        records, present = card.unpack_many(memory.cards(index, ids), dims)
    except ValkeyUnavailable:
        return None
    can_be_had: NDArray[np.bool_] = (records["available"] != 0) | ~present
    return can_be_had


def placed(candidates: Candidates, rows: NDArray[np.intp], scores: Scores) -> Scores:
    """Scores [n]: those of `rows`, and below them the others as both legs together put them."""
    return _placed(baseline.rrf(candidates), rows, scores)


def _placed(both: Scores | None, rows: NDArray[np.intp], scores: Scores) -> Scores:
    """Scores [n]: those of `rows`, and below them the others in the order of `both`."""
    if both is None or len(rows) == len(both):
        found = np.empty_like(scores)
        found[rows] = scores
        return found
    found = (both - 1.0) + np.float32(scores.min())  # a sum of reciprocal ranks is below 1
    found[rows] = scores
    return found
