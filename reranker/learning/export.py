"""From torch to the ONNX graph that serves: several networks averaged into one, int8 where asked.

What is exported is checked against torch on real lists before it is handed on.
"""

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from indexer.telemetry import quiet
from reranker.fusion.scorer import LIST_INPUTS
from reranker.learning.network import FusionNetwork, Lists

OPSET = 18
_TRACER_WARNING: type[Warning] = getattr(torch.jit, "TracerWarning")  # noqa: B009 - untyped
INPUTS = (*LIST_INPUTS, "item_mask", "history_mask")
# What `FusionNetwork.history_attention` takes, in its order.
HISTORY_INPUTS = (*INPUTS[2:7], "history_mask")
OUTPUTS = ("heads", "attention", "history_attention")
_LIST_AXES = {
    "signals": {0: "lists", 1: "items"},
    "query_vector": {0: "lists"},
    "item_vectors": {0: "lists", 1: "items"},
    "item_rows": {0: "lists", 1: "items"},
    "history_vectors": {0: "lists", 1: "past"},
    "history_rows": {0: "lists", 1: "past"},
    "history_features": {0: "lists", 1: "past"},
    "item_mask": {0: "lists", 1: "items"},
    "history_mask": {0: "lists", 1: "past"},
    "heads": {0: "lists", 1: "items"},
    "attention": {0: "lists", 1: "items"},
    "history_attention": {0: "lists", 1: "items", 2: "nobody_and_past"},
}


class Folded(FusionNetwork):
    """A network with fewer and larger products, for a runtime that takes as long to begin one as
    to compute it: constants are multiplied out, and all families are one product.
    """

    def __init__(self, network: FusionNetwork) -> None:
        super().__init__(network.config)
        self.load_state_dict(network.state_dict())
        config, width = self.config, self.config.width
        families = torch.zeros(config.signals, len(config.families), width)
        for place, (layer, columns) in enumerate(zip(self.family, config.families, strict=True)):
            families[list(columns), place] = cast(nn.Linear, layer).weight.detach().T
        with torch.no_grad():
            self.text_weight = self.text_basis @ self.text.weight.T  # [dims, W]
            self.family_bias = torch.stack([cast(nn.Linear, it).bias for it in self.family])
        self.family_weight = families.flatten(1)  # [signals, families * W]

    def read(self, vectors: Tensor) -> Tensor:
        """Text vectors [..., dims] as tokens [..., W]."""
        return vectors @ self.text_weight + self.text.bias

    def families(self, scaled: Tensor) -> Tensor:
        """A token for each family of signals [B, n, families, W]."""
        batch, count, _ = scaled.shape
        found = (scaled @ self.family_weight).view(batch, count, *self.family_bias.shape)
        return found + self.family_bias


class Ensemble(nn.Module):
    """The mean of several networks."""

    def __init__(self, members: Sequence[FusionNetwork]) -> None:
        super().__init__()
        self.members = nn.ModuleList(Folded(member) for member in members)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean heads [B, n, 3], attention [B, n, tokens] and that over the history [B, n, 1 + h].

        The last one is computed by the same nodes once more, which the runtime finds to be equal.
        """
        found = [member(*inputs) for member in self.members]
        heads = _mean([f[0] for f in found])
        by = dict(zip(INPUTS, inputs, strict=True))
        sides = [by[name] for name in HISTORY_INPUTS]
        looks = [cast(FusionNetwork, member).history_attention(*sides) for member in self.members]
        return heads, _mean([f[1] for f in found]), _mean(looks)


def _mean(found: Sequence[Tensor]) -> Tensor:
    return found[0] if len(found) == 1 else torch.stack(tuple(found)).mean(dim=0)


def to_onnx(members: Sequence[FusionNetwork], *, int8: bool) -> bytes:
    """The serialised graph of the mean of `members`."""
    ensemble = Ensemble(members).eval()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The one branch on a shape is on the text vectors' width, which the graph fixes.
        warnings.simplefilter("ignore", _TRACER_WARNING)
        warnings.simplefilter("ignore", DeprecationWarning)
        path = Path(folder) / "float.onnx"
        torch.onnx.export(
            ensemble,
            example(members[0]).tensors(),
            path,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes=_LIST_AXES,
            opset_version=OPSET,
            dynamo=False,
        )
        graph = path.read_bytes()
    return quantised(graph) if int8 else graph


def quantised(graph: bytes) -> bytes:
    """The graph with int8 weights in its matrix products (activations quantised as they come)."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(graph)
        with quiet():
            quantize_dynamic(source, target, weight_type=QuantType.QInt8, per_channel=True)
        return target.read_bytes()


def example(network: FusionNetwork, items: int = 5, past: int = 3, seed: int = 0) -> Lists:
    """A batch of one list of random numbers, of the shapes that `network` takes."""
    config, random = network.config, torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(1, *shape, generator=random)

    return Lists(
        signals=draw(items, config.signals),
        query_vector=draw(config.dims),
        item_vectors=draw(items, config.dims),
        item_rows=draw(items, config.rows),
        history_vectors=draw(past, config.dims),
        history_rows=draw(past, config.rows),
        history_features=draw(past, config.history_features),
        item_mask=torch.ones(1, items, dtype=torch.bool),
        history_mask=torch.ones(1, past, dtype=torch.bool),
    )


def named(lists: Lists) -> dict[str, np.ndarray]:
    """A batch as the graph's inputs."""
    return {name: t.numpy() for name, t in zip(INPUTS, lists.tensors(), strict=True)}
