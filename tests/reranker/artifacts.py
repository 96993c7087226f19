"""Artifacts for tests of serving: a real network that nobody trained, exported and promoted."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from indexer import identity
from indexer.catalogue.generation import Generation
from reranker.fusion import artifact
from reranker.fusion.artifact import Manifest, Parts
from reranker.fusion.baseline import PriorWeights
from reranker.fusion.registry import Registry
from reranker.learning import export, warm_start
from reranker.learning.network import HEADS as DEEDS
from reranker.learning.network import FusionNetwork, NetworkConfig
from reranker.signals import definition
from reranker.signals.build import HISTORY_FEATURES
from reranker.signals.item_table import ItemTable

ROWS, HEADS = 8, 2


def small_config(dims: int, *, rows: int, text_width: int, layers: int = 1) -> NetworkConfig:
    """Of a network that is quickly made."""
    return NetworkConfig(
        families=tuple(tuple(definition.columns(name)) for name in definition.FAMILIES),
        signals=len(definition.SIGNALS),
        dims=dims,
        rows=rows,
        history_features=HISTORY_FEATURES,
        text_width=text_width,
        width=16,
        layers=layers,
        attention_heads=HEADS,
    )


def promote_untrained(
    models_dir: Path,
    generation: Generation,
    version: str,
    *,
    seed: int = 0,
    optional: Mapping[str, bytes] | None = None,
) -> None:
    """Write and promote a network whose heads are random, so that its residual is not zero."""
    torch.manual_seed(seed)
    dims = generation.recipe.dims
    network = FusionNetwork(small_config(dims, rows=ROWS, text_width=min(dims, 16)))
    torch.nn.init.normal_(network.heads.weight, std=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing notes that the choice by shape is fixed: it is
        graph = export.to_onnx([network.eval()], int8=False)
    table = ItemTable(
        items=np.sort(identity.hashes(["lamp-a"])),
        vectors=np.ones((1, ROWS), dtype=np.float32),
        projection=np.zeros((dims, ROWS), dtype=np.float32),
    )
    manifest = Manifest(
        version=version,
        index=generation.index,
        created_at="2026-01-01T00:00:00.000Z",
        signal_digest=definition.digest(),
        recipe_digest=generation.recipe.digest(),
        dims=dims,
        head_weights=dict.fromkeys(DEEDS, 1.0),
        prior_weights=PriorWeights().as_dict(),
        tokens=["query", "item", "shopper", *definition.FAMILIES],
        hashes={},
        config={"attention_heads": HEADS},
    )
    beside = {artifact.NETWORK: warm_start.packed([network]), **(optional or {})}
    registry = Registry(models_dir, generation.index)
    artifact.write(registry.path(version), Parts(graph, table, graph, table, beside), manifest)
    registry.promote(version)
