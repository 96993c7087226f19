"""Auxiliary tasks of training: which topic an item is of, and how well reviews speak of it.

Multi-task learning (Caruana 1997): both read the item's token, text and behaviour together, so
that it must know them. Their heads are no part of the network: what is exported has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from reranker.learning.goods import Goods
from reranker.learning.schedule import AuxiliaryTask

TOPIC_ITEMS_MIN = 5
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class ItemLabels:
    """Labels of all goods; `topics` is how many topics there are."""

    topic: Tensor  # [goods] int64, UNKNOWN where an item has none
    sentiment: Tensor  # [goods] 0 (worst) to 1 (best rating of the catalogue), NaN: not rated
    topics: int
    weights: Mapping[AuxiliaryTask, float]

    def to(self, device: torch.device) -> "ItemLabels":
        """The same on a device."""
        moved = self.topic.to(device), self.sentiment.to(device)
        return ItemLabels(*moved, self.topics, self.weights)


def labels_of(goods: Goods, weights: Mapping[AuxiliaryTask, float]) -> ItemLabels | None:
    """Labels of the tasks that weigh something; None where no task does or nothing is known."""
    topic, topics = _topics(goods.cards["categories"][:, 0])
    sentiment = _sentiment(goods.ratings, len(goods.ids))
    rated = bool(np.isfinite(sentiment).any())
    known: dict[AuxiliaryTask, bool] = {"topic": topics > 1, "sentiment": rated}
    left = {name: weight for name, weight in weights.items() if weight > 0 and known[name]}
    if not left:
        return None
    return ItemLabels(torch.from_numpy(topic), torch.from_numpy(sentiment), topics, left)


def _topics(first: NDArray[np.uint32]) -> tuple[NDArray[np.int64], int]:
    """The number of each item's first category [goods], rare ones unknown; and how many."""
    names, number, count = np.unique(first, return_inverse=True, return_counts=True)
    kept = (names != 0) & (count >= TOPIC_ITEMS_MIN)
    renumbered = np.where(kept, np.cumsum(kept) - 1, UNKNOWN).astype(np.int64)
    return renumbered[number], int(kept.sum())


def _sentiment(ratings: NDArray[np.float32] | None, count: int) -> NDArray[np.float32]:
    """Ratings on the catalogue's own range [goods], NaN where there is none to compare with."""
    nobody = np.full(count, np.nan, dtype=np.float32)
    if ratings is None or not np.isfinite(ratings).any():
        return nobody
    low, high = np.nanmin(ratings), np.nanmax(ratings)
    return nobody if low == high else ((ratings - low) / (high - low)).astype(np.float32)


class Auxiliary(nn.Module):
    """Heads over item tokens, and their weighted loss."""

    def __init__(self, width: int, labels: ItemLabels, seed: int) -> None:
        super().__init__()
        self.weights = dict(labels.weights)
        with torch.random.fork_rng(devices=[]):  # the network's own draws stay what they are
            torch.manual_seed(seed)
            self.heads = nn.ModuleDict()
            if "topic" in self.weights:
                self.heads["topic"] = nn.Linear(width, labels.topics)
            if "sentiment" in self.weights:
                self.heads["sentiment"] = nn.Linear(width, 1)

    def forward(self, token: Tensor, topic: Tensor, sentiment: Tensor) -> Tensor:
        """The loss of tokens [items, W] with their labels [items]: cross-entropy, a mean each."""
        parts = []
        if "topic" in self.heads:
            given = functional.cross_entropy(
                self.heads["topic"](token).float(), topic, ignore_index=UNKNOWN, reduction="sum"
            )
            parts.append(self.weights["topic"] * given / (topic != UNKNOWN).sum().clamp(min=1))
        if "sentiment" in self.heads:
            known = sentiment.isfinite()
            given = functional.binary_cross_entropy_with_logits(
                self.heads["sentiment"](token).float().squeeze(-1),
                sentiment.nan_to_num(),
                weight=known.float(),
                reduction="sum",
            )
            parts.append(self.weights["sentiment"] * given / known.sum().clamp(min=1))
        return torch.stack(parts).sum()
