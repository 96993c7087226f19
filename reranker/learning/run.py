"""One training run from material to an artifact's parts; seeded, no server is asked but by `find`.

Measured before refit: the network that the gate judges has never seen anything after the cut, nor
have its item vectors. What is served then learns the days after the cut as well.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from indexer.behaviour.event import BehaviourEvent
from reranker.learning import (
    auxiliary,
    baselines,
    dataset,
    interpolation,
    linear,
    measure,
    mixture,
    moments,
    plan,
    tables,
    taste,
    threads,
    visits,
    warm_start,
)
from reranker.learning.auxiliary import ItemLabels
from reranker.learning.baselines import Baselines
from reranker.learning.dataset import Assembly, ListSet
from reranker.learning.equipment import Equipment
from reranker.learning.fit import fit, heads_of, new_network, score
from reranker.learning.material import Material, candidates
from reranker.learning.mixture import Mixture
from reranker.learning.moments import Moment
from reranker.learning.network import FusionNetwork
from reranker.learning.objective import Trained
from reranker.learning.plan import Plan
from reranker.learning.progress import Progress, silent
from reranker.learning.proposing import Proposer
from reranker.learning.schedule import Schedule
from reranker.learning.vectors import Vectors
from reranker.learning.warm_start import Parent
from reranker.learning.world import World
from reranker.signals.item_table import ItemTable

REFIT_RATE = 0.3


@dataclass(frozen=True, eq=False)
class Lists:
    """The assembled lists of a plan, and the state as it was at its cut."""

    train: ListSet
    held_out: ListSet
    late: ListSet | None
    at_cut: Moment


@dataclass(frozen=True, eq=False)
class Lesson:
    """What networks are fitted to, and with what."""

    lists: Lists
    vectors: Vectors
    schedule: Schedule
    trained: Trained
    direct: NDArray[np.float32]
    penalty: float
    about: ItemLabels | None
    equipment: Equipment
    parent: Parent | None = None


@dataclass(frozen=True, eq=False)
class Learned:
    """Networks and tables, as measured and as served, and the held-out lists with scores.

    The networks are as they were fitted; with a `mixture` they serve with its trees.
    """

    measured: list[FusionNetwork]
    measured_table: ItemTable
    served: list[FusionNetwork]
    served_table: ItemTable
    trained: Trained
    held_out: ListSet
    at_cut: Moment
    scores: dict[str, NDArray[np.floating]]  # system → a score a row of the held-out lists
    vectors: Vectors
    log: dict[str, Any]
    baselines: dict[str, bytes] = field(default_factory=dict)  # files for the artifact
    mixture: Mixture | None = None


def prepare(
    material: Material,
    schedule: Schedule,
    progress: Progress = silent,
    parent: Parent | None = None,
) -> tuple[Plan, World] | None:
    """The plan and what its lists are assembled from; None where there is too little behaviour.

    With a `parent` the item tables are in its frame.
    """
    if len(material.events) < 2:
        return None
    known = material.events, material.searches, material.titles
    made = plan.plan(*known, schedule, material.judged)
    if made is None or not made.train or not made.held_out:
        return None
    queries = made.queries
    told = progress("candidates", len(queries))
    found, vectors = candidates(material, queries, max(schedule.windows), told)
    every, of_moment = tables.over_time(material, made, schedule, parent)
    world = World(
        goods=material.goods,
        found=dict(zip(queries, found, strict=True)),
        query_vectors=dict(zip(queries, vectors, strict=True)),
        query_row={query: row for row, query in enumerate(queries)},
        tables=every,
        table_of_moment=of_moment,
        context_keys=material.context_keys,
        half_life_hours=material.half_life_hours,
    )
    return made, world


def prepare_visits(
    material: Material, schedule: Schedule, parent: Parent | None = None
) -> tuple[Plan, World] | None:
    """The same for lists without a search."""
    if len(material.events) < 2:
        return None
    made = visits.plan(material.events, material.goods.row.keys(), schedule)
    if made is None or not made.train or not made.held_out:
        return None
    every, of_moment = tables.over_time(material, made, schedule, parent)
    goods = material.goods
    world = World(
        goods=goods,
        found={},
        query_vectors={"": np.zeros(goods.vectors.shape[1], dtype=np.float32)},
        query_row={"": 0},
        tables=every,
        table_of_moment=of_moment,
        context_keys=material.context_keys,
        half_life_hours=material.half_life_hours,
        propose=Proposer(goods),
    )
    return made, world


def learn(
    material: Material,
    made: Plan,
    world: World,
    schedule: Schedule,
    progress: Progress = silent,
    equipment: Equipment | None = None,
    parent: Parent | None = None,
) -> Learned | None:
    """Assemble, train, measure, refit; None where no list has a labelled candidate.

    With a `parent` the networks begin with its weights.
    """
    equipment = equipment or Equipment()
    threads.hold_to(schedule.threads)
    lists = assembled(material.events, made, world, schedule, progress)
    if lists is None:
        return None
    served_table, last = taste.learn(
        material.events, world.goods, schedule.taste_width, schedule.seed, tables.frame(world)
    )
    vectors = tables.vectors_for(world, last, schedule)
    trained = heads_of(lists.train, schedule.head_weights)
    penalty = linear.best_penalty(lists.train, lists.held_out, schedule.linear_penalties)
    log: dict[str, Any] = {"start": {"penalty": penalty}}
    lesson = Lesson(
        lists=lists,
        vectors=vectors,
        schedule=schedule,
        trained=trained,
        direct=linear.start(lists.train, penalty),
        penalty=penalty,
        about=auxiliary.labels_of(world.goods, schedule.auxiliary),
        equipment=equipment,
        parent=parent,
    )
    with ThreadPoolExecutor(1) as beside:  # one core each: the trees need none of the network
        waiting = beside.submit(_baselines, lists, schedule, progress)
        measured, shares, found = _fitted(lesson, log, progress)
        served = _refitted(measured, shares, lesson, progress)
        against = waiting.result()
    scores = measure.static_scores(lists.held_out)
    scores["prior"] = measure.untrained(lists.held_out, list(world.query_row))
    scores["fused"] = found
    scores |= against.scores
    log |= against.chosen
    mixed = None
    if against.trees is not None and schedule.trees:
        both = scores["fused"], scores["lambdamart"]
        mixed = mixture.chosen(*both, lists.held_out, against.trees)
    if mixed is not None:
        scores["network"] = scores["fused"]
        scores["fused"] = mixture.mean(scores["fused"], scores["lambdamart"], mixed.share)
        log["trees"] = {"share": mixed.share}
    return Learned(
        measured=measured,
        measured_table=world.tables[world.table_of_moment[made.at.index(made.cut)]],
        served=served,
        served_table=served_table,
        trained=trained,
        held_out=lists.held_out,
        at_cut=lists.at_cut,
        scores=scores,
        vectors=vectors,
        log=log,
        baselines=against.files,
        mixture=mixed,
    )


def assembled(
    events: Sequence[BehaviourEvent],
    made: Plan,
    world: World,
    schedule: Schedule,
    progress: Progress = silent,
) -> Lists | None:
    """The lists of a plan, in one replay of the events."""
    training = Assembly(
        keep=schedule.keep,
        windows=schedule.windows,
        seed=schedule.seed,
        served=True,
        cold_start=schedule.cold_start,
        label_doubt=schedule.label_doubt,
    )
    serving = Assembly(keep=None, windows=(max(schedule.windows),), keyword_jitter=0.0)
    jobs = [(made.train, training), (made.held_out, serving), (made.late, training)]
    told = progress("lists", sum(len(cases) for cases, _ in jobs))
    kept: list[Moment] = []
    replayed = moments.replay(events, made.at, half_life_hours=world.half_life_hours)
    kept_too = moments.keeping(replayed, made.cut, kept)
    train, held_out, late = dataset.assemble(jobs, enumerate(kept_too), world, told)
    return None if train is None or held_out is None else Lists(train, held_out, late, *kept)


def _baselines(lists: Lists, schedule: Schedule, progress: Progress) -> Baselines:
    if not schedule.baseline:
        return Baselines()
    return baselines.fit(
        lists.train,
        lists.held_out,
        lists.late,
        seed=schedule.seed,
        threads=schedule.threads,
        progress=progress("LambdaMART and linear, on the same signals", 2),
    )


def _fitted(
    lesson: Lesson, log: dict[str, Any], progress: Progress
) -> tuple[list[FusionNetwork], list[float], NDArray[np.float32]]:
    """Members of different seeds, each stopped where its held-out MRR is best; how much of what
    each one learned beyond the linear ranker is kept; and the scores [rows] of the held-out lists.
    """
    schedule, train = lesson.schedule, lesson.lists.train
    told = progress("training", schedule.members * schedule.epochs * len(train))
    held_out = value_of(lesson.lists.held_out, lesson.vectors, lesson.trained)
    members, shares, scores = [], [], []
    for number in range(schedule.members):
        seed = schedule.seed + number
        network = new_network(train, lesson.vectors, schedule, seed, lesson.direct)
        begun = _begun(network, lesson.parent, number)
        fitted = fit(
            network,
            train,
            lesson.vectors,
            schedule,
            epochs=schedule.epochs,
            learning_rate=schedule.learning_rate,
            seed=seed,
            trained=lesson.trained,
            measure=held_out,
            progress=told,
            about=lesson.about,
            part=f"member_{number}",
            equipment=lesson.equipment,
        )
        share, kept = _kept(fitted.network, lesson)
        interpolation.go_back(fitted.network, lesson.direct, share)
        shares.append(share)
        scores.append(kept)
        log[f"member_{number}"] = {
            "share_beyond_linear": share,
            "begun_from": begun,
            "epochs": fitted.epochs,
            "loss": [round(value, 4) for value in fitted.losses],
            "held_out_mrr": [round(value, 4) for value in fitted.held_out],
        }
        members.append(fitted.network)
    return members, shares, np.mean(scores, axis=0)


def _begun(network: FusionNetwork, parent: Parent | None, number: int) -> str | None:
    """Give a network the weights of its parent; the version that it begins from."""
    if parent is None:
        return None
    weights = parent.networks[number % len(parent.networks)]
    return parent.version if warm_start.begin(network, weights) else None


def _kept(network: FusionNetwork, lesson: Lesson) -> tuple[float, NDArray[np.float32]]:
    """The share that is best on the held-out lists, as far as it is ahead beyond noise; and the
    scores [rows] that it leaves there.
    """
    held_out, weights = lesson.lists.held_out, lesson.trained.weights
    begun = interpolation.start_of(network, lesson.direct)
    start, end = (score([it], held_out, lesson.vectors, weights) for it in (begun, network))
    share = interpolation.best_share(start, end, measure.Yardstick(held_out).values)
    return share, start + np.float32(share) * (end - start)


def value_of(
    held_out: ListSet, vectors: Vectors, trained: Trained
) -> Callable[[FusionNetwork], float]:
    """Measures a network on lists by their mean value."""
    yardstick = measure.Yardstick(held_out)

    def value(network: FusionNetwork) -> float:
        scores = score([network], held_out, vectors, trained.weights)
        return float(yardstick.values(scores).mean())

    return value


def _refitted(
    measured: Sequence[FusionNetwork],
    shares: Sequence[float],
    lesson: Lesson,
    progress: Progress,
) -> list[FusionNetwork]:
    """Copies of the measured networks that have also learned the days after the cut.

    What is linear in them is solved anew. The rest goes on only where the schedule says so, at a
    lower rate, and goes back as far as when it was measured: a second look at the old days makes it
    hold less on new ones.
    """
    schedule, lists = lesson.schedule, lesson.lists
    copies = [interpolation.copied(network) for network in measured]
    if lists.late is None or not schedule.refit:
        return copies
    every = dataset.joined(lists.train, lists.late)
    standard = dataset.signal_moments(lists.train)
    moved = linear.start(every, lesson.penalty, standard) - lesson.direct
    told = progress("refit", len(copies) * max(schedule.refit_epochs, 1) * len(every))
    for number, network in enumerate(copies):
        with torch.no_grad():
            network.direct.weight += torch.from_numpy(moved).to(network.direct.weight.device)
        if schedule.refit_epochs == 0:
            told(len(every))
            continue
        begun = interpolation.copied(network)
        fit(
            network,
            every,
            lesson.vectors,
            schedule,
            epochs=schedule.refit_epochs,
            learning_rate=REFIT_RATE * schedule.learning_rate,
            seed=schedule.seed + 100 + number,
            trained=lesson.trained,
            progress=told,
            about=lesson.about,
            part=f"refit_{number}",
            equipment=lesson.equipment,
        )
        interpolation.go_back_to(network, begun, shares[number])
    return copies
