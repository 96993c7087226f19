"""Experiments in Elasticsearch: the only place that reads and writes them, one document each.

Writes say which state they change; who was overtaken is told so.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from elasticsearch import ApiError, BadRequestError, ConflictError, Elasticsearch, NotFoundError
from elasticsearch import TransportError as NotReached
from pydantic import ValidationError

from indexer.behaviour.event import iso
from indexer.errors import ElasticsearchUnavailable, InvalidRequest
from indexer.telemetry import log
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
Place = tuple[int, int] | None


class ExperimentStore:
    """Every method raises ElasticsearchUnavailable where it does not answer."""

    def __init__(self, client: Elasticsearch, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock

    def read(self, index: str, name: str) -> Trial | None:
        """An experiment as it is now; None where there is none."""
        return self._read(index, name)[0]

    def all(self, index: str | None = None, status: str | None = None) -> list[Trial]:
        """Experiments by start, those not started last; of one index, or of all."""
        terms = {"index": index, "status": status}
        filters = [{"term": {key: value}} for key, value in terms.items() if value is not None]
        try:
            answer = self._client.search(
                index=EXPERIMENTS_INDEX,
                size=EXPERIMENTS_MAX,
                query={"bool": {"filter": filters}},
                ignore_unavailable=True,
                filter_path="hits.hits._source",
            )
        except (ApiError, NotReached) as error:
            raise _unavailable(error) from error
        hits = answer.get("hits", {}).get("hits", [])
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
        try:
            self._client.delete(index=EXPERIMENTS_INDEX, id=_id(index, name), refresh=True)
        except NotFoundError:
            return False
        except (ApiError, NotReached) as error:
            raise _unavailable(error) from error
        return True

    def _there(self, index: str, name: str) -> tuple[Trial, Place]:
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

    def _read(self, index: str, name: str) -> tuple[Trial | None, Place]:
        try:
            found = self._client.get(index=EXPERIMENTS_INDEX, id=_id(index, name)).body
        except NotFoundError:
            return None, None
        except (ApiError, NotReached) as error:
            raise _unavailable(error) from error
        return _trial(found["_source"]), (found["_seq_no"], found["_primary_term"])

    def _write(self, trial: Trial, place: Place) -> Trial:
        self._ensure()
        experiment = trial.experiment
        document = {
            "index": experiment.index,
            "status": trial.status,
            "started_at": trial.started_at,
            "stopped_at": trial.stopped_at,
            "definition": experiment.model_dump(mode="json", exclude_none=True),
        }
        expected: dict[str, Any] = {"op_type": "create"}
        if place is not None:
            expected = {"if_seq_no": place[0], "if_primary_term": place[1]}
        try:
            self._client.index(
                index=EXPERIMENTS_INDEX,
                id=_id(experiment.index, experiment.name),
                document=document,
                refresh=True,
                **expected,
            )
        except ConflictError:
            raise InvalidRequest(
                f"{experiment.name} was changed by somebody else a moment ago: look at it again"
            ) from None
        except (ApiError, NotReached) as error:
            raise _unavailable(error) from error
        return trial

    def _ensure(self) -> None:
        try:
            if not self._client.indices.exists(index=EXPERIMENTS_INDEX):
                self._client.indices.create(
                    index=EXPERIMENTS_INDEX,
                    settings={"number_of_shards": 1, "auto_expand_replicas": "0-1"},
                    mappings={"dynamic": False, "properties": _PROPERTIES},
                )
        except BadRequestError as error:
            if error.error != "resource_already_exists_exception":
                raise _unavailable(error) from error
        except (ApiError, NotReached) as error:
            raise _unavailable(error) from error


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


def _unavailable(error: Exception) -> ElasticsearchUnavailable:
    return ElasticsearchUnavailable(
        f"the experiments cannot be read or written ({type(error).__name__}): see whether "
        f"Elasticsearch is up and lets the sidecar use {EXPERIMENTS_INDEX}"
    )
