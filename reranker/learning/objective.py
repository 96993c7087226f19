"""What training makes small: the loss of a batch, heads and auxiliary tasks together; torch."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reranker.learning.auxiliary import Auxiliary, ItemLabels
from reranker.learning.losses import LOSSES
from reranker.learning.network import FusionNetwork, Lists

LABELLED_WEIGHT_MIN = 0.1


@dataclass(frozen=True, eq=False)
class Trained:
    """Heads that have labels, and their weights in the final score."""

    heads: tuple[int, ...]
    weights: NDArray[np.float32]  # [3]


@dataclass(frozen=True, eq=False)
class Batch:
    """Lists with what is known of them; `topic` and `sentiment` only for auxiliary tasks."""

    lists: Lists
    prior: Tensor  # [B, n]
    labels: Tensor  # [B, n, 3]
    topic: Tensor | None = None  # [B, n]
    sentiment: Tensor | None = None  # [B, n]


class Objective(nn.Module):
    """The network, its auxiliary heads, and how far a batch is from what it should be.

    `short` is the format of the network's products; None: single precision.
    """

    def __init__(
        self,
        network: FusionNetwork,
        trained: Trained,
        loss: str,
        about: ItemLabels | None,
        short: torch.dtype | None,
        seed: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.auxiliary = None
        if about is not None:
            self.auxiliary = Auxiliary(network.config.width, about, seed)
        self.trained, self.loss, self.short = trained, LOSSES[loss], short

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The whole loss, and what of it the heads are alone."""
        kind = batch.prior.device.type
        with torch.autocast(kind, self.short, enabled=self.short is not None):
            heads, *_ = self.network(*batch.lists.tensors())
        ranked = self._ranked(heads.float(), batch)
        if self.auxiliary is None or batch.topic is None or batch.sentiment is None:
            return ranked, ranked.detach()
        there = batch.lists.item_mask
        with torch.autocast(kind, self.short, enabled=self.short is not None):
            token = self.network.item(batch.lists.item_vectors, batch.lists.item_rows)
            other = self.auxiliary(token[there], batch.topic[there], batch.sentiment[there])
        return ranked + other, ranked.detach()

    def _ranked(self, heads: Tensor, batch: Batch) -> Tensor:
        """Sum over the heads that have labels, each with the prior beneath it."""
        parts = [
            float(self.trained.weights[head] or LABELLED_WEIGHT_MIN)
            * self.loss(
                batch.prior + heads[..., head], batch.labels[..., head], batch.lists.item_mask
            )
            for head in self.trained.heads
        ]
        return torch.stack(parts).sum()
