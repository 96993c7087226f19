"""Models are trained anew on a schedule, by a worker of their own with Celery's beat."""

import subprocess
import sys
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from compose.local.commands.create import command as create
from compose.local.processes import learner_command
from indexer.catalogue.generation import resolve
from indexer.settings import Settings
from reranker.fusion import registry
from reranker.learning import job, judged, tasks
from reranker.worker import schedule_of
from tests.conftest import Stack
from tests.flows import behaviour
from tests.flows.worker_process import REPOSITORY, wait_until
from tests.reranker.artifacts import promote_untrained


def test_without_an_interval_nothing_is_sent() -> None:
    assert schedule_of(Settings(retrain_hours=None)) == {}


def test_what_waits_longer_than_an_interval_is_forgotten() -> None:
    (sent,) = schedule_of(Settings(retrain_hours=2.0)).values()
    assert sent["schedule"] == sent["options"]["expires"] == 7200.0
    assert sent["options"]["queue"] == tasks.QUEUE


def test_only_what_was_promoted_is_trained_anew(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in ("b", registry.for_policy("b"), registry.for_recommendations("c")):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "current").write_text("v1")
    assert registry.indices(tmp_path) == ["b", "c"]
    assert registry.indices(tmp_path / "none") == []


def test_the_beat_trains_and_the_gate_decides(
    stack: Stack,
    es: Elasticsearch,
    index_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tmp_path / "index.yaml"
    config.write_text("encoder: hashed:32\n")
    behaviour.run(create, index_name, "--config", str(config))
    promote_untrained(tmp_path / "models", resolve(es, index_name), "v1")
    judged.keep(tmp_path / "models" / index_name, {"lamp": {"1": 1.0}, "mug": {"2": 2.0}})
    monkeypatch.setenv("HITWEAVE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HITWEAVE_HOME", str(tmp_path))
    monkeypatch.setenv("HITWEAVE_RETRAIN_HOURS", str(1 / 3600))
    log = tmp_path / "learner.log"
    line = learner_command(f"learn@{index_name}", str(tmp_path))
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, *line[1:]], cwd=REPOSITORY, stdout=output, stderr=output
        )
    try:
        wait_until(lambda: b"retrained" in log.read_bytes() or worker.poll() is not None, 240)
    finally:
        worker.terminate()
        worker.wait(60)
    said = log.read_text()
    assert "retrained" in said, said
    assert job.NO_EVENTS in said
    assert '"judged_queries":2' in said.replace("\\", "")
    assert (tmp_path / "models" / index_name / "current").read_text() == "v1"


def test_judgements_given_once_stay_until_they_are_forgotten(
    stack: Stack, index_name: str, tmp_path: Path
) -> None:
    config, file = tmp_path / "index.yaml", tmp_path / "judged.csv"
    config.write_text("encoder: hashed:32\n")
    file.write_text("query,docid,rating\nlamp,1,1\nmug,2,0\nbag,3,2\n")
    behaviour.run(create, index_name, "--config", str(config))

    def known(*options: str) -> object:
        answer = stack.run_json("train", index_name, *options)
        assert answer["why"] == job.NO_EVENTS
        return answer["judged_queries"]

    assert known("--judgements", str(file)) == 2  # what has no relevant item says nothing
    assert known() == 2
    assert known("--forget-judgements") == 0
