"""The whole job behind `hitweave train`: read, learn, judge, write the artifact, promote it.

Two models of one kind are learned from the same material: that of searches, and that of lists
without a search, which recommendations are ordered by. Each has its own registry and its own gate.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import redis
from elasticsearch import Elasticsearch

from indexer.catalogue.generation import Generation
from indexer.errors import ModelBelowPromise
from reranker.fusion.artifact import Manifest
from reranker.fusion.registry import Registry, for_recommendations
from reranker.learning import judged as judging
from reranker.learning import material, run, taste_index, warm_start
from reranker.learning.contest import Contest
from reranker.learning.equipment import Workshop
from reranker.learning.judged import Grades
from reranker.learning.material import Material
from reranker.learning.run import Learned, Progress, silent
from reranker.learning.schedule import Schedule

NO_EVENTS = "there is no behaviour to learn from: import events, then train again"
TOO_LITTLE = "there is too little behaviour to learn from and to measure on: import more events"


@dataclass(frozen=True)
class Servers:
    """Where a job reads and writes."""

    es: Elasticsearch
    valkey: redis.Redis
    models_dir: Path


@dataclass(frozen=True, eq=False)
class _Job:
    servers: Servers
    generation: Generation
    schedule: Schedule
    now: datetime
    progress: Progress
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
    job = _Job(servers, generation, schedule, now, progress, workshop)
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
    answer |= _searches(job, read)
    if schedule.visit_cases:
        answer["recommendations"] = _recommendations(job, read)
    return answer


def _searches(job: _Job, read: Material) -> dict[str, Any]:
    registry = Registry(job.servers.models_dir, job.generation.index)
    parent = warm_start.read(registry) if job.schedule.warm_start else None
    prepared = run.prepare(read, job.schedule, job.progress, parent)
    if prepared is None:
        return {"why": TOO_LITTLE}
    contest = Contest(registry, job.generation, job.schedule, read, *prepared, parent)
    return contest.held(job.now, job.progress, job.workshop) or {"why": TOO_LITTLE}


def _recommendations(job: _Job, read: Material) -> dict[str, Any]:
    """The same for lists without a search; item vectors are there before the model serves."""
    nothing: dict[str, Any] = {"promoted": False, "why": TOO_LITTLE}
    schedule = job.schedule.of_visits()
    index, es = job.generation.index, job.servers.es
    registry = Registry(job.servers.models_dir, for_recommendations(index))
    parent = warm_start.read(registry) if schedule.warm_start else None
    prepared = run.prepare_visits(read, schedule, parent)
    if prepared is None:
        return nothing
    contest = Contest(registry, job.generation, schedule, read, *prepared, parent)

    def ready(manifest: Manifest, learned: Learned) -> None:
        goods = read.goods
        vectors = learned.served_table.sized(goods.hashes, goods.vectors)
        taste_index.write(es, index, manifest.version, goods.ids, vectors)

    told = contest.held(job.now, job.progress, job.workshop, ready)
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
