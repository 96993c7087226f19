"""Fitting the network to lists, and scoring lists with it; torch, seeded, on the CPU or a GPU.

Text vectors and behavioural vectors of all goods lie in memory once; a batch only picks rows.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reranker.fusion.baseline import PriorWeights, prior
from reranker.learning.dataset import ListSet, batches, signal_moments
from reranker.learning.losses import LOSSES
from reranker.learning.network import HEADS, FusionNetwork, Lists, NetworkConfig
from reranker.learning.schedule import Schedule
from reranker.signals import definition
from reranker.signals.build import HISTORY_FEATURES

GRADIENT_NORM_MAX = 1.0
WARM_UP = 0.1
SCORE_LISTS = 16
Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Vectors:
    """What rows point into: text of goods, behaviour of goods by table, and queries.

    `text_turned` and `queries_turned` are the same in the main directions `basis` of the goods'
    texts: what training reads, so that a step does not multiply by the same matrix again.
    """

    text: Tensor  # [goods, dims]
    taste: Tensor  # [tables, goods, width]
    queries: Tensor  # [queries, dims]
    basis: Tensor  # [dims, text_width]
    text_turned: Tensor  # [goods, text_width]
    queries_turned: Tensor  # [queries, text_width]


def vectors_of(text: Array, taste: Array, queries: Array, width: int) -> Vectors:
    """Vectors with the basis of their texts, at most `width` directions."""
    _, _, directions = np.linalg.svd(text.T @ text)
    basis = np.ascontiguousarray(directions[:width].T, dtype=np.float32)
    basis *= np.float32(np.sqrt(basis.shape[0] / basis.shape[1]))  # about unit variance each
    parts = (text, taste, queries, basis, text @ basis, queries @ basis)
    return Vectors(*(torch.from_numpy(np.ascontiguousarray(p, dtype=np.float32)) for p in parts))


@dataclass
class Fitted:
    """A network and how its training went."""

    network: FusionNetwork
    epochs: int
    losses: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Trained:
    """Heads that have labels, and their weights in the final score."""

    heads: tuple[int, ...]
    weights: Array  # [3]


def heads_of(lists: ListSet, weights: dict[str, float]) -> Trained:
    """The heads that `lists` have labels for; their weights sum to one."""
    seen: NDArray[np.bool_] = np.any(lists.labels > 0, axis=0)
    wanted = np.array([weights.get(name, 0.0) for name in HEADS])
    raw = np.where(seen, wanted, 0.0)
    if not raw.any():
        raw = seen.astype(np.float64)
    return Trained(
        tuple(np.flatnonzero(seen).tolist()), (raw / max(raw.sum(), 1e-6)).astype(np.float32)
    )


def new_network(lists: ListSet, vectors: Vectors, schedule: Schedule, seed: int) -> FusionNetwork:
    """An untrained network, its standardisation taken from `lists`."""
    torch.manual_seed(seed)
    families = tuple(tuple(definition.columns(name)) for name in definition.FAMILIES)
    config = NetworkConfig(
        families=families,
        signals=len(definition.SIGNALS),
        dims=vectors.text.shape[1],
        rows=vectors.taste.shape[2],
        history_features=HISTORY_FEATURES,
        text_width=vectors.basis.shape[1],
        width=schedule.width,
        layers=schedule.layers,
        attention_heads=schedule.attention_heads,
        dropout=schedule.dropout,
    )
    network = FusionNetwork(config)
    mean, scale = signal_moments(lists)
    network.signal_mean.copy_(torch.from_numpy(mean))
    network.signal_scale.copy_(torch.from_numpy(scale))
    network.text_basis.copy_(vectors.basis)
    return network


def fit(
    network: FusionNetwork,
    lists: ListSet,
    vectors: Vectors,
    schedule: Schedule,
    *,
    epochs: int,
    learning_rate: float,
    seed: int,
    trained: Trained,
    measure: Callable[[FusionNetwork], float] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Fitted:
    """Train for `epochs`; with `measure` keep the best epoch and stop when it no longer rises."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)  # of dropout
    optimiser = torch.optim.AdamW(
        network.parameters(), learning_rate, weight_decay=schedule.weight_decay
    )
    steps = epochs * -(-len(lists) // schedule.batch_lists)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    fitted = Fitted(network, 0)
    best: tuple[float, dict[str, Tensor]] | None = None
    for epoch in range(epochs):
        network.train()
        total = 0.0
        for picked, rows in batches(lists, random.permutation(len(lists)), schedule.batch_lists):
            loss = _loss(network, lists, vectors, picked, rows, schedule, trained)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM_MAX)
            optimiser.step()
            rate.step()
            total += float(loss.detach()) * len(picked)
            progress(len(picked))
        fitted.losses.append(total / len(lists))
        fitted.epochs = epoch + 1
        if measure is None:
            continue
        fitted.held_out.append(measure(network))
        if best is None or fitted.held_out[-1] > best[0]:
            state = {name: value.clone() for name, value in network.state_dict().items()}
            best = (fitted.held_out[-1], state)
        elif epoch - int(np.argmax(fitted.held_out)) >= schedule.patience:
            break
    if best is not None:
        network.load_state_dict(best[1])
    return fitted


def _rate(step: int, steps: int) -> float:
    """Share of the learning rate at a step: a linear rise, then half a cosine down to zero."""
    rise = max(WARM_UP * steps, 1.0)
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1.0 + math.cos(math.pi * min((step - rise) / max(steps - rise, 1.0), 1.0)))


def _loss(
    network: FusionNetwork,
    lists: ListSet,
    vectors: Vectors,
    picked: NDArray[np.intp],
    rows: NDArray[np.intp],
    schedule: Schedule,
    trained: Trained,
) -> Tensor:
    """Sum over the heads that have labels, each with the prior beneath it."""
    batch, base = tensors(lists, vectors, picked, rows)
    labels = torch.from_numpy(lists.labels[rows] * (rows >= 0)[..., None])
    heads, _ = network(*batch.tensors())
    loss = LOSSES[schedule.loss]
    parts = [
        float(trained.weights[head] or 0.1) * loss(base + heads[..., head], labels[..., head], mask)
        for head in trained.heads
        for mask in (batch.item_mask,)
    ]
    return torch.stack(parts).sum()


def score(
    networks: Sequence[FusionNetwork], lists: ListSet, vectors: Vectors, weights: Array
) -> Array:
    """Prior plus the mean residual of `networks`, a number a row of `lists`."""
    scores = np.empty(len(lists.item), dtype=np.float32)
    head_weights = torch.from_numpy(weights)
    with torch.no_grad():
        for network in networks:
            network.eval()
        for picked, rows in batches(lists, np.arange(len(lists)), SCORE_LISTS):
            batch, base = tensors(lists, vectors, picked, rows)
            heads = [network(*batch.tensors())[0] for network in networks]
            total = base + torch.stack(heads).mean(dim=0) @ head_weights
            there = rows >= 0
            scores[rows[there]] = total.numpy()[there]
    return scores


def tensors(
    lists: ListSet,
    vectors: Vectors,
    picked: NDArray[np.intp],
    rows: NDArray[np.intp],
    *,
    turned: bool = True,
) -> tuple[Lists, Tensor]:
    """A batch for the network, and the prior [B, n]; `rows` are -1 where a list has ended.

    `turned` text vectors are for training; what serves takes them as they are.
    """
    text, queries = vectors.text, vectors.queries
    if turned:
        text, queries = vectors.text_turned, vectors.queries_turned
    signals = lists.signals[rows].astype(np.float32)
    item = torch.from_numpy(lists.item[rows].astype(np.int64))
    depth = max(int((lists.history[picked] >= 0).sum(axis=1).max()), 1)
    past = lists.history[picked][:, :depth]
    past_rows = torch.from_numpy(np.maximum(past, 0).astype(np.int64))
    table = torch.from_numpy(lists.table[picked].astype(np.int64))[:, None]
    features = lists.history_features[picked][:, :depth].astype(np.float32)
    batch = Lists(
        signals=torch.from_numpy(signals),
        query_vector=queries[torch.from_numpy(lists.query[picked].astype(np.int64))],
        item_vectors=text[item],
        item_rows=vectors.taste[table, item],
        history_vectors=text[past_rows],
        history_rows=vectors.taste[table, past_rows],
        history_features=torch.from_numpy(features),
        item_mask=torch.from_numpy(rows >= 0),
        history_mask=torch.from_numpy(past >= 0),
    )
    return batch, torch.from_numpy(prior(signals, PriorWeights()))
