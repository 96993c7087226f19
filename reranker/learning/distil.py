"""Distilling what serves into a model for Elastic's Learning to Rank: reads servers and registry.

The teacher ranks for nobody in particular, since the student cannot know the shopper either.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch
from numpy.typing import NDArray

from indexer.catalogue.generation import Generation
from indexer.errors import AskedWrongly
from reranker.fusion import artifact
from reranker.fusion.registry import Registry
from reranker.fusion.scorer import Scorer
from reranker.learning import (
    contest,
    dataset,
    job,
    ltr_features,
    ltr_model,
    material,
    measure,
    moments,
    run,
    threads,
)
from reranker.learning.cases import Case
from reranker.learning.dataset import Assembly, ListSet
from reranker.learning.material import Material
from reranker.learning.plan import Plan
from reranker.learning.progress import Progress, silent
from reranker.learning.schedule import Schedule
from reranker.learning.world import World

WINDOW = 100  # what Elastic's LTR rescores by default


@dataclass(frozen=True, eq=False)
class Distilled:
    """The student, its features, its teacher's version, and held-out metrics by system."""

    booster: Any
    features: ltr_features.Features
    teacher: str
    metrics: dict[str, Any]

    def body(self) -> dict[str, Any]:
        """What `PUT _ml/trained_models/NAME` takes, and how a search uses it."""
        names = list(self.features)
        return {
            "put": {
                "inference_config": ltr_features.model_config(self.features).to_dict(),
                "definition": ltr_model.definition(self.booster, names),
            },
            "rescore": {
                "window_size": WINDOW,
                "learning_to_rank": {"model_id": "NAME", "params": {"query": "what was typed"}},
            },
            "teacher": self.teacher,
            "metrics": self.metrics,
        }


def distil(
    servers: job.Servers, generation: Generation, schedule: Schedule, progress: Progress = silent
) -> Distilled:
    """Learn from the serving model's order; raises AskedWrongly where none serves."""
    threads.hold_to(schedule.threads)
    registry = Registry(servers.models_dir, generation.index)
    version = registry.current()
    if version is None:
        raise AskedWrongly(f"no model of {generation.index!r} serves: `hitweave train` makes one")
    read = material.read(servers.es, servers.valkey, generation, None)
    prepared = run.prepare(read, schedule, progress)
    if prepared is None:
        raise AskedWrongly(job.TOO_LITTLE)
    teacher = artifact.load(registry.path(version))
    made, world = prepared[0], _seen_by(teacher, *prepared)
    train, held_out = _lists(read, made, world, schedule)
    if train is None or held_out is None:
        raise AskedWrongly(job.TOO_LITTLE)
    found = ltr_features.features(generation.config, _numbers(servers.es, generation))
    rows = [
        _extracted(servers.es, generation, found, lists, world, progress)
        for lists in (train, held_out)
    ]
    scorer = Scorer(teacher)
    taught = [contest.scored_by(scorer, lists, world, teacher) for lists in (train, held_out)]
    booster = ltr_model.fit(rows[0], taught[0], train.start, list(found), schedule.seed)
    metrics = _metrics(held_out, taught[1], np.asarray(booster.predict(rows[1])))
    return Distilled(booster, found, version, metrics)


def _seen_by(teacher: artifact.Artifact, made: Plan, world: World) -> World:
    """The world with the teacher's own table of items."""
    return replace(world, tables=[teacher.item_table], table_of_moment=[0] * len(made.at))


def _lists(
    read: Material, made: Plan, world: World, schedule: Schedule
) -> tuple[ListSet | None, ListSet | None]:
    """Lists for nobody, of what a rescorer would get."""
    window = Assembly(keep=None, windows=(WINDOW,), keyword_jitter=0.0, seed=schedule.seed)
    jobs = [(_for_nobody(cases), window) for cases in (made.train, made.held_out)]
    replayed = enumerate(
        moments.replay(read.events, made.at, half_life_hours=world.half_life_hours)
    )
    train, held_out = dataset.assemble(jobs, replayed, world)
    return train, held_out


def _for_nobody(cases: Sequence[Case]) -> list[Case]:
    return [replace(case, user=None) for case in cases]


def _numbers(es: Elasticsearch, generation: Generation) -> set[str]:
    """Which of our numeric fields the index holds as numbers."""
    theirs = ltr_features.numeric_fields(generation.config)
    known = es.field_caps(index=generation.concrete, fields=list(theirs.values()))["fields"]
    plain = {"double", "float", "half_float", "scaled_float", "long", "integer", "short", "byte"}
    return {ours for ours, field in theirs.items() if plain & set(known.get(field, ()))}


def _extracted(
    es: Elasticsearch,
    generation: Generation,
    found: ltr_features.Features,
    lists: ListSet,
    world: World,
    progress: Progress,
) -> NDArray[np.float32]:
    """Feature values [rows, features]; 0 where a query does not match."""
    queries, ids = list(world.query_row), world.goods.ids
    column = {name: number for number, name in enumerate(found)}
    told = progress("features", len(lists))
    rows = np.zeros((len(lists.item), len(found)), dtype=np.float32)
    for i, (first, end) in enumerate(zip(lists.start[:-1], lists.start[1:], strict=True)):
        asked = {ids[row]: first + n for n, row in enumerate(lists.item[first:end])}
        body = ltr_features.values_of(found, queries[lists.query[i]], list(asked))
        answer = es.search(index=generation.concrete, include_named_queries_score=True, **body)
        for hit in answer["hits"]["hits"]:
            for name, value in (hit.get("matched_queries") or {}).items():
                rows[asked[hit["_id"]], column[name]] = value
        told(1)
    return rows


def _metrics(
    held_out: ListSet, teacher: NDArray[np.floating], student: NDArray[np.floating]
) -> dict[str, Any]:
    static = measure.static_scores(held_out)
    systems = {"bm25": static["bm25"], "teacher": teacher, "student": student}
    return {name: measure.summary(scores, held_out) for name, scores in systems.items()}
