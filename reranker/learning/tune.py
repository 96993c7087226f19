"""Settings of a training run searched within a time budget; seeded, on lists assembled once.

Optuna's tree-structured Parzen estimator (Bergstra et al. 2011, Algorithms for Hyper-Parameter
Optimization) proposes; a trial that is below the median after an epoch is ended (Golovin et al.
2017, Google Vizier). Trials are measured on the weeks before the held-out ones: what training is
later judged on has no part in the choice.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna

from reranker.learning import auxiliary, linear, material, plan, run, tables, taste, threads
from reranker.learning.equipment import Equipment
from reranker.learning.fit import fit, heads_of, new_network
from reranker.learning.losses import LOSSES
from reranker.learning.material import Material
from reranker.learning.network import FusionNetwork
from reranker.learning.plan import Plan
from reranker.learning.progress import Progress, silent
from reranker.learning.schedule import Schedule
from reranker.learning.vectors import Vectors
from reranker.learning.world import World

BEFORE_PRUNING = 3  # trials that always run to their end
TUNED = (
    "width",
    "layers",
    "attention_heads",
    "dropout",
    "text_width",
    "loss",
    "epochs",
    "batch_lists",
    "learning_rate",
    "weight_decay",
)


@dataclass(frozen=True)
class Budget:
    """Seconds for everything; `clock` gives seconds from any start that it keeps."""

    seconds: float
    clock: Callable[[], float]
    begun: float

    @property
    def gone(self) -> float:
        """Seconds since it began."""
        return self.clock() - self.begun

    @property
    def spent(self) -> bool:
        """Whether it is used up."""
        return self.gone >= self.seconds


@dataclass(frozen=True, eq=False)
class Ground:
    """What every trial is made on; `cut` begins the held-out time, which is not looked at."""

    lists: run.Lists
    world: World
    taste: taste.Matrix
    plan: Plan
    cut: float

    def vectors(self, schedule: Schedule) -> Vectors:
        """Vectors in as many directions as a schedule has."""
        return tables.vectors_for(self.world, self.taste, schedule)


@dataclass(frozen=True)
class Tuned:
    """The best settings that were found; `default_mrr` is that of the schedule as it was."""

    best: dict[str, Any]
    mrr: float
    default_mrr: float
    trials: int
    pruned: int


def ground(read: Material, schedule: Schedule, progress: Progress = silent) -> Ground | None:
    """Lists from before the held-out time; None where there is too little behaviour for them."""
    if len(read.events) < 2:
        return None
    cut = plan.cut_of(read.events, schedule)
    earlier = material.before(read, cut)
    schedule = schedule.model_copy(update={"refit": False})
    prepared = run.prepare(earlier, schedule, progress)
    if prepared is None:
        return None
    made, world = prepared
    lists = run.assembled(earlier.events, made, world, schedule, progress)
    if lists is None:
        return None
    _, last = taste.learn(
        earlier.events, world.goods, schedule.taste_width, schedule.seed, tables.frame(world)
    )
    return Ground(lists, world, last, made, cut)


def search(
    on: Ground,
    schedule: Schedule,
    budget: Budget,
    progress: Callable[[int], None] = lambda _: None,
    equipment: Equipment | None = None,
) -> Tuned:
    """Try settings until the budget is spent; the schedule's own come first and are not pruned.

    `progress` counts seconds of the budget.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    threads.hold_to(schedule.threads)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=schedule.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=BEFORE_PRUNING, n_warmup_steps=0),
    )
    study.enqueue_trial({name: getattr(schedule, name) for name in TUNED})
    trials = _Trials(on, schedule, budget, progress, equipment or Equipment())
    study.optimize(trials.run, callbacks=[trials.stop_in_time])
    return _tuned(study)


class _Trials:
    """Runs one trial after the other on the same lists."""

    def __init__(
        self,
        on: Ground,
        schedule: Schedule,
        budget: Budget,
        progress: Callable[[int], None],
        equipment: Equipment,
    ) -> None:
        self.on, self.schedule, self.budget = on, schedule, budget
        self.progress, self.equipment = progress, equipment
        lists = on.lists
        penalty = linear.best_penalty(lists.train, lists.held_out, schedule.linear_penalties)
        self.direct = linear.start(lists.train, penalty)
        self.told = 0

    def run(self, trial: Any) -> float:
        """The best MRR over the epochs of one network; raises TrialPruned."""
        schedule = self.schedule.model_copy(update=_suggested(trial, self.schedule))
        if schedule.width % schedule.attention_heads:
            raise optuna.TrialPruned
        train, vectors = self.on.lists.train, self.on.vectors(schedule)
        trained = heads_of(train, schedule.head_weights)
        fitted = fit(
            new_network(train, vectors, schedule, schedule.seed, self.direct),
            train,
            vectors,
            schedule,
            epochs=schedule.epochs,
            learning_rate=schedule.learning_rate,
            seed=schedule.seed,
            trained=trained,
            measure=self._measure(trial, run.value_of(self.on.lists.held_out, vectors, trained)),
            progress=lambda _: self._go_on(trial),
            about=auxiliary.labels_of(self.on.world.goods, schedule.auxiliary),
            equipment=self.equipment,
        )
        return max(fitted.held_out)

    def stop_in_time(self, study: Any, _trial: Any) -> None:
        """End the search where the budget is spent."""
        self._count()
        if self.budget.spent:
            study.stop()

    def _measure(
        self, trial: Any, mrr: Callable[[FusionNetwork], float]
    ) -> Callable[[FusionNetwork], float]:
        epochs = itertools.count()

        def measured(network: FusionNetwork) -> float:
            value = mrr(network)
            trial.report(value, next(epochs))
            if trial.number > 0 and trial.should_prune():
                raise optuna.TrialPruned
            return value

        return measured

    def _go_on(self, trial: Any) -> None:
        """Leave a trial where no time is left; the first is always finished."""
        self._count()
        if trial.number > 0 and self.budget.spent:
            raise optuna.TrialPruned

    def _count(self) -> None:
        """Tell the seconds that are gone since it was last told."""
        gone = int(min(self.budget.gone, self.budget.seconds))
        self.progress(gone - self.told)
        self.told = gone


def _suggested(trial: Any, own: Schedule) -> dict[str, Any]:
    """What a trial proposes for each of TUNED; the schedule's own values are within reach."""
    choice, number = trial.suggest_categorical, trial.suggest_float
    rate, decay = own.learning_rate, own.weight_decay
    return {
        "width": choice("width", _with(own.width, 32, 48, 64, 96)),
        "layers": trial.suggest_int("layers", 1, max(3, own.layers)),
        "attention_heads": choice("attention_heads", _with(own.attention_heads, 2, 4, 8)),
        "dropout": number("dropout", 0.0, max(0.4, own.dropout)),
        "text_width": choice("text_width", _with(own.text_width, 48, 96, 192)),
        "loss": choice("loss", list(LOSSES)),
        "epochs": trial.suggest_int("epochs", 1, max(4, own.epochs)),
        "batch_lists": choice("batch_lists", _with(own.batch_lists, 16, 32, 64)),
        "learning_rate": number("learning_rate", min(3e-4, rate), max(1e-2, rate), log=True),
        "weight_decay": number("weight_decay", 0.0, max(0.1, decay)),
    }


def _with(own: int, *others: int) -> list[int]:
    return sorted({own, *others})


def _tuned(study: Any) -> Tuned:
    """What came out; numbers rounded so that a file of them can be read."""
    best = {
        name: float(f"{value:.3g}") if isinstance(value, float) else value
        for name, value in study.best_params.items()
    }
    states = [trial.state for trial in study.trials]
    return Tuned(
        best=best,
        mrr=round(study.best_value, 4),
        default_mrr=round(study.trials[0].value, 4),
        trials=len(states),
        pruned=states.count(optuna.trial.TrialState.PRUNED),
    )
