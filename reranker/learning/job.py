"""The whole job behind `hitweave train`: read, learn, judge, write the artifact, promote it.

Two models of one kind are learned from the same material: that of searches, and that of lists
without a search, which recommendations are ordered by. Each has its own registry and its own gate,
so the second is learned beside the first where there is a core for it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
from elasticsearch import Elasticsearch

from indexer import connections, settings
from indexer.catalogue.generation import Generation
from indexer.errors import ModelBelowPromise
from reranker.fusion.artifact import Manifest
from reranker.fusion.registry import Registry, for_recommendations
from reranker.learning import beside, material, run, taste_index, threads, warm_start
from reranker.learning import judged as judging
from reranker.learning.contest import Contest
from reranker.learning.equipment import Workshop
from reranker.learning.judged import Grades
from reranker.learning.material import Material
from reranker.learning.progress import Progress, silent
from reranker.learning.run import Learned
from reranker.learning.schedule import Schedule

NO_EVENTS = "there is no behaviour to learn from: import events, then train again"
TOO_LITTLE = "there is too little behaviour to learn from and to measure on: import more events"
# Below it a process of its own takes longer to begin than the visits take to learn.
BESIDE_VISITS_MIN, BESIDE_EVENTS_MIN = 1000, 5000


@dataclass(frozen=True)
class Servers:
    """Where a job reads and writes."""

    es: Elasticsearch
    valkey: redis.Redis
    models_dir: Path

    @classmethod
    def reached(cls) -> "Servers":
        """Those of the settings, which answer; raises what `hitweave` knows how to say."""
        known = settings.load()
        es, valkey = connections.elasticsearch(known), connections.valkey(known)
        connections.check_elasticsearch(es, known)
        connections.check_valkey(valkey, known)
        return cls(es, valkey, known.models_dir)


@dataclass(frozen=True, eq=False)
class _Work:
    """What is learned, from what all servers are asked for; it pickles."""

    generation: Generation
    schedule: Schedule
    now: datetime
    workshop: Workshop


def train(
    servers: Servers,
    generation: Generation,
    schedule: Schedule,
    *,
    until: float | None,
    now: datetime,
    progress: Progress = silent,
    workshop: Workshop = Workshop(),  # noqa: B008 - it never changes
    judged: Grades | None = None,
) -> dict[str, Any]:
    """Run the job; returns what `hitweave train` prints.

    `judged` takes the place of the judgements that are kept with the index's models; None: those
    are learned from.
    """
    threads.hold_to(schedule.threads)
    work = _Work(generation, schedule, now, workshop)
    told = progress("journal and catalogue", 1)
    folder = Registry(servers.models_dir, generation.index).folder
    if judged is not None:
        judging.keep(folder, judged)
    known = judging.kept(folder)
    read = material.read(servers.es, servers.valkey, generation, until, known)
    told(1)
    answer: dict[str, Any] = {
        "index": generation.index,
        "promoted": False,
        "events": len(read.events),
        "searches": len(read.searches),
        "judged_queries": len(read.judged),
    }
    if not read.events:
        return {**answer, "why": NO_EVENTS}
    with _recommendations(servers, work, read, progress) as recommendations:
        answer |= _searches(servers, work, read, progress)
        if recommendations is not None:
            answer["recommendations"] = recommendations()
    return answer


def _searches(servers: Servers, work: _Work, read: Material, progress: Progress) -> dict[str, Any]:
    registry = Registry(servers.models_dir, work.generation.index)
    parent = warm_start.read(registry) if work.schedule.warm_start else None
    prepared = run.prepare(read, work.schedule, progress, parent)
    if prepared is None:
        return {"why": TOO_LITTLE}
    contest = Contest(registry, work.generation, work.schedule, read, *prepared, parent)
    return contest.held(work.now, progress, work.workshop) or {"why": TOO_LITTLE}


@contextmanager
def _recommendations(
    servers: Servers, work: _Work, read: Material, progress: Progress
) -> Iterator[Callable[[], dict[str, Any]] | None]:
    """What waits for the answer on recommendations, or finds it; None where none are learned."""

    def named(part: str, total: int) -> Callable[[int], None]:
        return progress(f"recommendations: {part}", total)

    if not work.schedule.visit_cases:
        yield None
    elif _is_worth_a_process(work, read):
        handed = work, material.detached(read)
        with beside.carried_out(_visits_elsewhere, handed, named) as answer:
            yield answer
    else:
        yield lambda: _visits(servers, work, read, named)


def _is_worth_a_process(work: _Work, read: Material) -> bool:
    """Whether there is a core for it, and enough to do; several ranks do all in step."""
    much = work.schedule.visit_cases >= BESIDE_VISITS_MIN and len(read.events) >= BESIDE_EVENTS_MIN
    return much and work.workshop.ranks.size == 1 and len(os.sched_getaffinity(0)) > 1


def _visits_elsewhere(work: _Work, read: Material, progress: Progress) -> dict[str, Any]:
    threads.hold_to(work.schedule.threads)
    return _visits(Servers.reached(), work, read, progress)


def _visits(servers: Servers, work: _Work, read: Material, progress: Progress) -> dict[str, Any]:
    """The same for lists without a search; item vectors are there before the model serves."""
    nothing: dict[str, Any] = {"promoted": False, "why": TOO_LITTLE}
    schedule = work.schedule.of_visits()
    index, es = work.generation.index, servers.es
    registry = Registry(servers.models_dir, for_recommendations(index))
    parent = warm_start.read(registry) if schedule.warm_start else None
    prepared = run.prepare_visits(read, schedule, parent)
    if prepared is None:
        return nothing
    contest = Contest(registry, work.generation, schedule, read, *prepared, parent)

    def ready(manifest: Manifest, learned: Learned) -> None:
        goods = read.goods
        vectors = learned.served_table.sized(goods.hashes, goods.vectors)
        taste_index.write(es, index, manifest.version, goods.ids, vectors)

    told = contest.held(work.now, progress, work.workshop, ready)
    if told is None:
        return nothing
    if told["promoted"]:
        taste_index.tidy(es, index, registry.promotions()[-taste_index.KEPT :])
    return told


def expect(answer: dict[str, Any], schedule: Schedule) -> None:
    """Raise ModelBelowPromise where the run is below what its schedule promises."""
    reached = answer.get("after", {})
    below = [
        f"{name} {reached.get(name, 0.0)} instead of {promised}"
        for name, promised in schedule.expected_metrics.items()
        if reached.get(name, 0.0) < promised
    ]
    if below:
        raise ModelBelowPromise(
            f"the schedule {schedule.name!r} promises more than was reached: {', '.join(below)}"
        )
