"""A small artifact for tests, with weights that are not zero."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from reranker.fusion import artifact
from reranker.fusion.artifact import Manifest
from reranker.fusion.baseline import PriorWeights
from reranker.learning import export, warm_start
from reranker.learning.network import FusionNetwork
from reranker.signals import definition
from reranker.signals.item_table import ItemTable
from tests.reranker.artifacts import small_config
from tests.reranker.signals.situations import DIMS, item_table

WIDTH = 4


def network(seed: int = 0) -> FusionNetwork:
    torch.manual_seed(seed)
    made = FusionNetwork(small_config(DIMS, rows=WIDTH, text_width=8))
    made.text_basis.copy_(torch.randn(DIMS, 8))
    torch.nn.init.normal_(made.heads.weight, std=0.5)
    return made.eval()


def parts(seed: int = 0, *, int8: bool = False) -> artifact.Parts:
    graph = export.to_onnx([network(seed)], int8=int8)
    table: ItemTable = item_table(["a", "b", "c", "d"], WIDTH)
    return artifact.Parts(graph, table, graph, table)


def manifest(version: str = "v1", **changes: object) -> Manifest:
    fields: dict[str, object] = {
        "version": version,
        "index": "shop",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
        "signal_digest": definition.digest(),
        "recipe_digest": "0" * 16,
        "dims": DIMS,
        "head_weights": {"click": 0.2, "cart": 0.3, "purchase": 0.5},
        "prior_weights": PriorWeights().as_dict(),
        "tokens": ["query", "item", "shopper", *definition.FAMILIES],
        "hashes": {},
    }
    return Manifest.model_validate({**fields, **changes})


def linear_network(seed: int = 0) -> FusionNetwork:
    """One whose heads say nothing beyond a constant, over signals that are standardised."""
    made = network(seed)
    made.signal_mean.copy_(torch.linspace(-1.0, 2.0, len(definition.SIGNALS)))
    made.signal_scale.copy_(torch.linspace(0.5, 3.0, len(definition.SIGNALS)))
    torch.nn.init.zeros_(made.heads.weight)
    torch.nn.init.normal_(made.heads.bias)
    torch.nn.init.normal_(made.direct.weight)
    return made


def write_networks(
    folder: Path, networks: Sequence[FusionNetwork], *, keep: bool, **changes: object
) -> Path:
    """An artifact of their mean; `keep` puts their weights beside the graph."""
    graph = export.to_onnx(networks, int8=False)
    table: ItemTable = item_table(["a", "b", "c", "d"], WIDTH)
    kept = {artifact.NETWORK: warm_start.packed(networks)} if keep else {}
    made = artifact.Parts(graph, table, graph, table, kept)
    artifact.write(folder, made, manifest(**changes))
    return folder


def write(folder: Path, version: str = "v1", seed: int = 0, **changes: object) -> Path:
    artifact.write(folder / version, parts(seed), manifest(version, **changes))
    return folder / version


def close(a: object, b: object) -> None:
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-5)
