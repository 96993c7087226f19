"""A slate policy in the registry: an artifact like any model's, under a name of its own.

The graph takes signals alone and has one head, so that the code that runs a model runs it too. What
never varied among the signals it learned from is held still when serving: it cannot have learned
anything of it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue.generation import Generation
from reranker.fusion import artifact
from reranker.fusion.artifact import Manifest, Parts
from reranker.fusion.baseline import PriorWeights
from reranker.fusion.registry import Registry
from reranker.learning import slate_policy
from reranker.learning.slate_policy import HEAD, SlatePolicy
from reranker.signals import definition, drift
from reranker.signals.item_table import ItemTable


def write(
    registry: Registry,
    generation: Generation,
    policy: SlatePolicy,
    signals: NDArray[np.floating],
    metrics: Mapping[str, Any],
    now: datetime,
) -> Manifest:
    """Write the artifact; it does not serve yet. `signals` [lists, n, signals] it learned from."""
    graph = slate_policy.to_onnx(policy)
    manifest = Manifest(
        version=registry.unused(now.astimezone(UTC).strftime("%Y%m%dT%H%M%S")),
        index=generation.index,
        created_at=now.astimezone(UTC).isoformat(timespec="seconds"),
        parent=registry.current(),
        signal_digest=definition.digest(),
        recipe_digest=generation.recipe.digest(),
        dims=generation.recipe.dims,
        head_weights={HEAD: 1.0},
        prior_weights=PriorWeights().as_dict(),
        tokens=[HEAD],
        hashes={},
        metrics=dict(metrics),
        reference=drift.reference(signals.reshape(-1, signals.shape[-1]), len(signals)),
    )
    table = _no_items(generation.recipe.dims)
    return artifact.write(
        registry.path(manifest.version), Parts(graph, table, graph, table), manifest
    )


def _no_items(dims: int) -> ItemTable:
    nothing = np.zeros((0, 1), np.float32)
    return ItemTable(np.zeros(0, np.uint64), nothing, np.zeros((dims, 1), np.float32))
