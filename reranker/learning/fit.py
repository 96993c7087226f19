"""Fitting the network to lists, and scoring lists with it; torch, seeded, on the CPU or a GPU."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from reranker.learning import threads
from reranker.learning.auxiliary import ItemLabels
from reranker.learning.course import Course, Fitted, Measure, Task
from reranker.learning.dataset import ListSet, batches, by_length, signal_moments
from reranker.learning.distributed import Ranks
from reranker.learning.equipment import Equipment
from reranker.learning.network import HEADS, FusionNetwork, NetworkConfig
from reranker.learning.objective import Trained
from reranker.learning.schedule import Schedule
from reranker.learning.vectors import Vectors, tensors
from reranker.signals import definition
from reranker.signals.build import HISTORY_FEATURES

SCORE_LISTS = 16
Array = NDArray[np.float32]


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


def new_network(
    lists: ListSet,
    vectors: Vectors,
    schedule: Schedule,
    seed: int,
    direct: Array | None = None,
) -> FusionNetwork:
    """An untrained network, its standardisation taken from `lists`.

    `direct` [heads, signals] is what it starts from (linear.start); None: from the prior alone.
    """
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
    if direct is not None:
        with torch.no_grad():
            network.direct.weight.copy_(torch.from_numpy(direct))
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
    measure: Measure | None = None,
    progress: Callable[[int], None] = lambda _: None,
    about: ItemLabels | None = None,
    part: str = "fit",
    equipment: Equipment | None = None,
) -> Fitted:
    """Train for `epochs`; with `measure` keep the best epoch and stop when it no longer rises.

    Goes on where the checkpoint of `part` stands. `network` is trained in place, by all ranks.
    """
    equipment = equipment or Equipment()
    kept = equipment.checkpoints
    start = None if kept is None else kept.load(part)
    if start is not None and start["lists"] != len(lists):
        start = None
    task = Task(
        part=part,
        network=network,
        lists=lists,
        vectors=vectors,
        schedule=schedule,
        trained=trained,
        about=about,
        epochs=epochs,
        learning_rate=learning_rate,
        seed=seed,
        measured=measure is not None,
        kept=kept is not None,
        start=start,
    )
    equipment.ranks.share(task)
    return Course(task, equipment).run(measure, progress)


def follow(ranks: Ranks, device: torch.device) -> list[Fitted]:
    """Take part in every fit that the first rank announces, until it announces none."""
    found: list[Fitted] = []
    while True:
        task: Task | None = ranks.share(None)
        if task is None:
            return found
        threads.hold_to(task.schedule.threads)
        found.append(Course(task, Equipment(device, ranks)).run(None, lambda _: None))


def score(
    networks: Sequence[FusionNetwork], lists: ListSet, vectors: Vectors, weights: Array
) -> Array:
    """Prior plus the mean residual of `networks`, a number a row of `lists`."""
    scores = np.empty(len(lists.item), dtype=np.float32)
    device = next(networks[0].parameters()).device
    there_vectors, head_weights = vectors.to(device), torch.from_numpy(weights).to(device)
    with torch.no_grad():
        for network in networks:
            network.eval()
        for picked, rows in batches(lists, by_length(lists), SCORE_LISTS):
            batch, base = tensors(lists, there_vectors, picked, rows)
            heads = [network(*batch.tensors())[0] for network in networks]
            total = base + torch.stack(heads).mean(dim=0) @ head_weights
            there = rows >= 0
            scores[rows[there]] = total.cpu().numpy()[there]
    return scores
