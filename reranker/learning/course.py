"""One fit from its first step to its last; where it stands can be kept and taken up again.

Each rank takes its part of every batch. The first measures after each epoch and keeps the best.
A fit that is taken up goes through the same steps as one that never stopped: weights, moments of
the optimiser, the order of the lists and the random state of dropout are all kept.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reranker.learning import precision
from reranker.learning.auxiliary import ItemLabels
from reranker.learning.checkpoint import State
from reranker.learning.dataset import ListSet, batches
from reranker.learning.equipment import Equipment
from reranker.learning.network import FusionNetwork
from reranker.learning.objective import Batch, Objective, Trained
from reranker.learning.schedule import Schedule
from reranker.learning.vectors import Vectors, tensors

GRADIENT_NORM_MAX = 1.0
WARM_UP = 0.1
CHECKPOINT_STEPS = 50
TOLD_STEPS = 10
Measure = Callable[[FusionNetwork], float]


@dataclass(frozen=True, eq=False)
class Task:
    """What is fitted to what: all that a rank must be told. `kept`: the first rank keeps it."""

    part: str
    network: FusionNetwork
    lists: ListSet
    vectors: Vectors
    schedule: Schedule
    trained: Trained
    about: ItemLabels | None
    epochs: int
    learning_rate: float
    seed: int
    measured: bool
    kept: bool
    start: State | None


@dataclass
class Fitted:
    """A network and how its training went."""

    network: FusionNetwork
    epochs: int
    losses: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)


class Course:
    """A fit at some step."""

    def __init__(self, task: Task, equipment: Equipment) -> None:
        self.task, self.equipment = task, equipment
        schedule, where, ranks = task.schedule, equipment.device, equipment.ranks
        self.vectors = task.vectors.to(where)
        self.about = None if task.about is None else task.about.to(where)
        short = precision.shortened(schedule.precision, where)
        self.objective = Objective(
            task.network, task.trained, schedule.loss, task.about, short, task.seed
        ).to(where)
        self.optimiser = torch.optim.AdamW(
            self.objective.parameters(), task.learning_rate, weight_decay=schedule.weight_decay
        )
        self.scaler = precision.scaler(short, where)
        self.random = np.random.default_rng(task.seed)
        torch.manual_seed(task.seed + ranks.rank)  # of dropout
        self.fitted = Fitted(task.network, 0)
        self.best: tuple[float, dict[str, Tensor]] | None = None
        self.batch, self.loss, self.done = 0, 0.0, False
        if task.start is not None:
            self._take_up(task.start)
        self.module = ranks.joined(self.objective)

    @property
    def _batches(self) -> int:
        return -(-len(self.task.lists) // self.task.schedule.batch_lists)

    @property
    def _step(self) -> int:
        return self.fitted.epochs * self._batches + self.batch

    @property
    def _seen(self) -> int:
        """Lists that were learned from, each as often as it was."""
        count = len(self.task.lists)
        now = min(self.batch * self.task.schedule.batch_lists, count)
        return self.fitted.epochs * count + now

    def run(self, measure: Measure | None, progress: Callable[[int], None]) -> Fitted:
        """Go on to the end; the network is then that of the best epoch."""
        progress(self._seen)
        while not self.done:
            self._epoch(progress)
            self._judge(measure)
            self._keep(self.random.bit_generator.state)
        if self.best is not None:
            self.task.network.load_state_dict(self.best[1])
        self.fitted.network = self.task.network.to("cpu")
        return self.fitted

    def _epoch(self, progress: Callable[[int], None]) -> None:
        lists, size = self.task.lists, self.task.schedule.batch_lists
        self.objective.train()
        random_before = self.random.bit_generator.state
        order = self.random.permutation(len(lists))[self.batch * size :]
        for picked, rows in batches(lists, order, size):
            self._learn(picked, rows)
            self.batch += 1
            progress(len(picked))
            if self.batch % CHECKPOINT_STEPS == 0 and self.batch < self._batches:
                self._keep(random_before)
        self.loss = sum(self.equipment.ranks.gather(self.loss))
        self.fitted.losses.append(self.loss / len(lists))
        self.fitted.epochs += 1
        self.batch, self.loss = 0, 0.0

    def _learn(self, picked: NDArray[np.intp], rows: NDArray[np.intp]) -> None:
        """One step of the optimiser on this rank's part of a batch."""
        own, weight = self.equipment.ranks.part(picked)
        steps = self.task.epochs * self._batches
        rate = self.task.learning_rate * _share(self._step, steps)
        for parameters in self.optimiser.param_groups:
            parameters["lr"] = rate
        whole, ranked = self.module(self._batch(picked[own], rows[own]))
        self.optimiser.zero_grad()
        self.scaler.scale(whole * weight).backward()
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.objective.parameters(), GRADIENT_NORM_MAX)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        counted = len(own) if weight else 0
        self.loss += float(ranked) * counted
        if self._step % TOLD_STEPS == 0:
            self._tell(loss=float(ranked), whole_loss=float(whole.detach()), learning_rate=rate)

    def _batch(self, picked: NDArray[np.intp], rows: NDArray[np.intp]) -> Batch:
        lists = self.task.lists
        found, prior = tensors(lists, self.vectors, picked, rows)
        labels = torch.from_numpy(lists.labels[rows] * (rows >= 0)[..., None]).to(prior.device)
        if self.about is None:
            return Batch(found, prior, labels)
        item = torch.from_numpy(lists.item[rows].astype(np.int64)).to(prior.device)
        return Batch(found, prior, labels, self.about.topic[item], self.about.sentiment[item])

    def _judge(self, measure: Measure | None) -> None:
        """Measure where asked, and decide whether the fit has ended; the first rank does."""
        fitted, told = self.fitted, {"epoch_loss": self.fitted.losses[-1]}
        if self.task.measured:
            value = 0.0 if measure is None else measure(fitted.network)
            fitted.held_out.append(self.equipment.ranks.share(value))
            told["held_out_mrr"] = fitted.held_out[-1]
            if self.best is None or fitted.held_out[-1] > self.best[0]:
                state = self.task.network.state_dict()
                self.best = (fitted.held_out[-1], {n: v.clone() for n, v in state.items()})
        self._tell(**told)
        self.equipment.tracker.flush()
        self.done = fitted.epochs >= self.task.epochs or (
            self.task.measured
            and fitted.epochs - 1 - int(np.argmax(fitted.held_out)) >= self.task.schedule.patience
        )

    def _tell(self, **numbers: float) -> None:
        if self.equipment.ranks.leads:
            for name, value in numbers.items():
                self.equipment.tracker.scalar(f"{self.task.part}/{name}", value, self._step)

    def _keep(self, order: Any) -> None:
        """Keep where the fit stands; `order` is the random state before the current epoch."""
        if not self.task.kept:
            return
        ranks, checkpoints = self.equipment.ranks, self.equipment.checkpoints
        drops, losses = ranks.gather(_random_state()), ranks.gather(self.loss)
        if not ranks.leads or checkpoints is None:
            return
        state: State = {
            "lists": len(self.task.lists),
            "objective": self.objective.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "order": orjson.dumps(_plain(order)).decode(),
            "dropout": drops,
            "batch": self.batch,
            "loss": sum(losses),
            "epochs": self.fitted.epochs,
            "losses": list(self.fitted.losses),
            "held_out": list(self.fitted.held_out),
            "best": self.best,
            "done": self.done,
        }
        checkpoints.save(self.task.part, state)

    def _take_up(self, state: State) -> None:
        """Stand where a kept fit stood."""
        rank = self.equipment.ranks.rank
        self.objective.load_state_dict(state["objective"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        self.random.bit_generator.state = _numbers(orjson.loads(state["order"]))
        if rank < len(state["dropout"]):
            _set_random_state(state["dropout"][rank])
        self.batch, self.done = state["batch"], state["done"]
        self.loss = state["loss"] if rank == 0 else 0.0
        self.fitted.epochs = state["epochs"]
        self.fitted.losses, self.fitted.held_out = state["losses"], state["held_out"]
        self.best = state["best"]


def _share(step: int, steps: int) -> float:
    """Share of the learning rate at a step: a linear rise, then half a cosine down to zero."""
    rise = max(WARM_UP * steps, 1.0)
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1.0 + math.cos(math.pi * min((step - rise) / max(steps - rise, 1.0), 1.0)))


def _random_state() -> list[Tensor]:
    """Of torch's generators: the processor's, and the GPU's where there is one."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state()] if torch.cuda.is_available() else states


def _set_random_state(states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1 and torch.cuda.is_available():
        torch.cuda.set_rng_state(states[1])


def _plain(order: Any) -> Any:
    """A state of numpy with its 128-bit numbers as text: JSON has none so long."""
    return {**order, "state": {name: str(value) for name, value in order["state"].items()}}


def _numbers(order: Any) -> Any:
    return {**order, "state": {name: int(value) for name, value in order["state"].items()}}
