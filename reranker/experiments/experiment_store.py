"""Experiments in Elasticsearch: the only place that reads and writes them, one document each.

Writes say which state they change; who was overtaken is told so.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from elasticsearch import Elasticsearch
from pydantic import ValidationError

from indexer.behaviour.event import iso
from indexer.errors import InvalidRequest
from indexer.telemetry import log
from reranker.definitions.definition_index import DefinitionIndex, Place
from reranker.experiments.experiment import Experiment, Trial

EXPERIMENTS_INDEX = "hitweave_experiments"
EXPERIMENTS_MAX = 1000
_PROPERTIES = {
    "index": {"type": "keyword"},
    "status": {"type": "keyword"},
    "started_at": {"type": "date"},
    "stopped_at": {"type": "date"},
    "definition": {"type": "object", "enabled": False},
}


class ExperimentStore:
    """Every method raises ElasticsearchUnavailable where it does not answer."""

    def __init__(self, client: Elasticsearch, clock: Callable[[], float] = time.time) -> None:
        self._kept = DefinitionIndex(client, EXPERIMENTS_INDEX, "experiments", _PROPERTIES)
        self._clock = clock

    def read(self, index: str, name: str) -> Trial | None:
        """An experiment as it is now; None where there is none."""
        return self._read(index, name)[0]

    def all(self, index: str | None = None, status: str | None = None) -> list[Trial]:
        """Experiments by start, those not started last; of one index, or of all."""
        terms = {"index": index, "status": status}
        filters = [{"term": {key: value}} for key, value in terms.items() if value is not None]
        hits = self._kept.search(EXPERIMENTS_MAX, query={"bool": {"filter": filters}})
        found = [trial for hit in hits if (trial := _trial(hit["_source"])) is not None]
        return sorted(found, key=lambda it: (it.started_at or "~", it.experiment.name))

    def put(self, experiment: Experiment) -> Trial:
        """Keep a draft; raises InvalidRequest where it was started already."""
        before, place = self._read(experiment.index, experiment.name)
        if before is not None and before.status != "draft":
            raise InvalidRequest(
                f"{experiment.name} was started at {before.started_at}: what it said then must "
                "hold to its end. Use another name"
            )
        return self._write(Trial(experiment), place)

    def start(self, index: str, name: str) -> Trial:
        """Let units take part from now on; raises InvalidRequest where that cannot be."""
        trial, place = self._there(index, name)
        if trial.status != "draft":
            raise InvalidRequest(f"{name} is {trial.status}: only a draft can be started")
        if not trial.experiment.named_only:
            self._check_alone(index)
        return self._write(replace(trial, status="running", started_at=iso(self._clock())), place)

    def stop(self, index: str, name: str) -> Trial:
        """Let nobody take part any more; what was measured stays."""
        trial, place = self._there(index, name)
        if trial.status != "running":
            raise InvalidRequest(f"{name} is {trial.status}: only what runs can be stopped")
        return self._write(replace(trial, status="stopped", stopped_at=iso(self._clock())), place)

    def delete(self, index: str, name: str) -> bool:
        """Forget an experiment that does not run; whether there was one."""
        trial = self.read(index, name)
        if trial is None:
            return False
        if trial.status == "running":
            raise InvalidRequest(f"{name} runs: stop it first")
        return self._kept.delete(_id(index, name))

    def _there(self, index: str, name: str) -> tuple[Trial, Place | None]:
        trial, place = self._read(index, name)
        if trial is None:
            raise InvalidRequest(f"there is no experiment {name!r} of {index!r}")
        return trial, place

    def _check_alone(self, index: str) -> None:
        others = [it.experiment.name for it in self.all(index, "running") if _is_open(it)]
        if others:
            raise InvalidRequest(
                f"{others[0]} runs for every search of {index!r}: stop it, or make this one "
                "named_only"
            )

    def _read(self, index: str, name: str) -> tuple[Trial | None, Place | None]:
        found = self._kept.read(_id(index, name))
        return (None, None) if found is None else (_trial(found[0]), found[1])

    def _write(self, trial: Trial, place: Place | None) -> Trial:
        experiment = trial.experiment
        document = {
            "index": experiment.index,
            "status": trial.status,
            "started_at": trial.started_at,
            "stopped_at": trial.stopped_at,
            "definition": experiment.model_dump(mode="json", exclude_none=True),
        }
        key = _id(experiment.index, experiment.name)
        if not self._kept.write(key, document, place):
            raise InvalidRequest(
                f"{experiment.name} was changed by somebody else a moment ago: look at it again"
            )
        return trial


def _id(index: str, name: str) -> str:
    return f"{index}/{name}"


def _is_open(trial: Trial) -> bool:
    return not trial.experiment.named_only


def _trial(source: Mapping[str, Any]) -> Trial | None:
    """The experiment of a document; None, and logged, where this version does not understand it."""
    try:
        experiment = Experiment.model_validate(source["definition"])
    except ValidationError as error:
        name = source["definition"].get("name")
        log("experiments").error("experiment_not_understood", experiment=name, reason=str(error))
        return None
    return Trial(experiment, source["status"], source.get("started_at"), source.get("stopped_at"))
