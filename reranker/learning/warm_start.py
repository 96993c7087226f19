"""Training that begins where the serving model ended; torch.

An artifact keeps the weights of its measured networks, which saw nothing after its own cut; so a
network that begins with them has seen nothing after a later cut either. What weights mean depends
on how signals were standardised, on the directions of the text vectors and on the frame of the
behavioural ones: the first two are worked into the weights, the third is kept by turning the new
tables towards the old one (see `taste`).
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from indexer.errors import InvalidArtifact
from reranker.fusion import artifact, line
from reranker.fusion.registry import Registry
from reranker.fusion.weights import Weights, unpacked
from reranker.learning.goods import Goods
from reranker.learning.network import FusionNetwork
from reranker.signals.item_table import ItemTable

OF_A_LIST = ("signal_mean", "signal_scale", "text_basis")


@dataclass(frozen=True, eq=False)
class Parent:
    """The measured networks of what serves, and the item table that they read."""

    version: str
    networks: Sequence[Weights]
    table: ItemTable

    def frame(self, goods: Goods) -> NDArray[np.float32]:
        """Its behavioural vectors of all goods [items, width]."""
        return self.table.lookup(goods.hashes, goods.vectors)


def packed(networks: Sequence[FusionNetwork]) -> bytes:
    """The weights as a file of an artifact."""
    arrays = {
        f"{number}/{name}": value.cpu().numpy()
        for number, network in enumerate(networks)
        for name, value in network.state_dict().items()
    }
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def read(registry: Registry) -> Parent | None:
    """What serves, to begin from; None where nothing does or it kept no weights."""
    version = registry.current()
    if version is None:
        return None
    folder = registry.path(version)
    try:
        loaded = artifact.load(folder, measured=True)
        content = artifact.optional(folder, loaded.manifest).get(artifact.WEIGHTS)
    except InvalidArtifact:
        return None
    if content is None:
        return None
    return Parent(version, unpacked(content), loaded.item_table)


def begin(network: FusionNetwork, weights: Weights) -> bool:
    """Give a new network the old weights, in terms of its own signals and texts, in place.

    False where it has another shape: then it stays as it is.
    """
    own = network.state_dict()
    old = {name: torch.from_numpy(value.copy()) for name, value in weights.items()}
    if {name: it.shape for name, it in old.items()} != {name: it.shape for name, it in own.items()}:
        return False
    found = {**old, **{name: own[name].cpu() for name in OF_A_LIST}}
    # A text in the new directions, back in the old ones: what both can say of it is the same.
    turn = old["text_basis"].T @ torch.linalg.pinv(found["text_basis"].T)
    found["text.weight"] = old["text.weight"] @ turn
    _reading(found, old, "wide.0", slice(None))
    # All lines are over the same signals.
    _reading(found, old, "direct", [*range(own["signal_mean"].shape[0])] * line.LINES)
    for number, columns in enumerate(network.config.families):
        _reading(found, old, f"family.{number}", list(columns))
    network.load_state_dict(found)
    return True


def _reading(
    found: dict[str, Tensor], old: Mapping[str, Tensor], layer: str, columns: slice | list[int]
) -> None:
    """A layer over standardised signals, for signals standardised otherwise, in place."""
    mean, scale = (found[name][columns] for name in OF_A_LIST[:2])
    old_mean, old_scale = (old[name][columns] for name in OF_A_LIST[:2])
    weight = old[f"{layer}.weight"]
    found[f"{layer}.weight"] = weight * (scale / old_scale)
    if f"{layer}.bias" in old:
        found[f"{layer}.bias"] = old[f"{layer}.bias"] + weight @ ((mean - old_mean) / old_scale)
