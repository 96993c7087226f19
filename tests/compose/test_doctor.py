"""Each fault that the doctor knows, on real servers where it is about one."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from elasticsearch import Elasticsearch

from compose.local import checks, index_checks
from compose.local.action_checks import check_actions
from compose.local.drift_checks import check_drift
from compose.local.finding import Finding
from compose.local.home import Home
from compose.local.item_checks import check_items
from compose.local.running import processes_of
from indexer.behaviour import journal_index
from indexer.embedding.encoder import open_encoder
from indexer.settings import Settings
from reranker.fusion.registry import Registry
from reranker.serving import drift_watch
from reranker.serving.drift_watch import Told
from tests.compose.test_cli import run
from tests.conftest import HITWEAVE, Stack, free_port
from tests.reranker.fusion.artifacts import write


def faults(findings: Iterator[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level == "fault"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    """A Valkey of its own, to be set up wrongly."""
    home, port = tmp_path_factory.mktemp("doctor") / "home", free_port()
    up = ("up", "--detach", "--only", "valkey", "--valkey-port", str(port))
    done = run(*up, "--home", str(home))
    assert done.returncode == 0, done.stderr
    with redis.Redis(port=port) as client:
        yield client
    run("down", "--home", str(home))


def settings_of(store: redis.Redis) -> Settings:
    port = store.connection_pool.connection_kwargs["port"]
    return Settings(valkey_url=f"redis://127.0.0.1:{port}/0")


def test_a_valkey_of_ours_has_no_fault(store: redis.Redis) -> None:
    assert [finding.level for finding in checks.check_valkey(settings_of(store))] == ["ok"]


def test_a_valkey_that_evicts_is_a_fault(store: redis.Redis) -> None:
    store.config_set("maxmemory-policy", "allkeys-lru")
    found = faults(checks.check_valkey(settings_of(store)))
    store.config_set("maxmemory-policy", "noeviction")
    assert [finding.found for finding in found] == ["maxmemory-policy is allkeys-lru"]
    assert "noeviction" in found[0].advice


def test_queues_without_a_worker_are_faults(store: redis.Redis) -> None:
    found = faults(checks.check_workers(settings_of(store)))
    assert [finding.found.split()[-1] for finding in found] == ["embed", "index", "behaviour"]
    assert all(finding.unreachable for finding in found)


def test_signals_that_drift_are_a_warning_and_of_the_serving_model_alone(
    store: redis.Redis, tmp_path: Path
) -> None:
    write(tmp_path / "shop")
    registry = Registry(tmp_path, "shop")
    registry.promote("v1")
    usable = settings_of(store)
    assert not list(check_drift(usable, registry))  # nobody has seen enough
    tell = drift_watch.teller(store)
    tell("shop", Told("v0", 300, {"price": 2.0}))
    assert not list(check_drift(usable, registry))
    tell("shop", Told("v1", 300, {}))
    assert [it.level for it in check_drift(usable, registry)] == ["ok"]
    tell("shop", Told("v1", 300, {"price": 1.234, "knn": 0.5}))
    (found,) = check_drift(usable, registry)
    assert (found.level, found.subject) == ("warning", "signals")
    assert "price 1.23, knn 0.50" in found.found
    assert "hitweave train shop" in found.advice
    drift_watch.teller(store, clock=lambda: 0.0)("shop", Told("v1", 300, {"price": 9.0}))
    assert not list(check_drift(usable, registry))  # said too long ago


def test_a_model_that_was_trained_and_may_not_serve_is_told_from_none(tmp_path: Path) -> None:
    (none,) = checks.check_models(Settings(models=tmp_path))
    assert none.found.startswith("no model in")
    assert "hitweave train" in none.advice
    write(tmp_path / "shop")
    (refused,) = checks.check_models(Settings(models=tmp_path))
    assert (refused.level, refused.found) == ("note", "no model serves, trained: shop")
    assert "hitweave models list" in refused.advice


def test_events_that_cannot_be_counted_end_no_examination() -> None:
    with Elasticsearch(f"http://127.0.0.1:{free_port()}", max_retries=0) as away:
        found = [*check_actions(away), *check_items(away)]
    assert [(it.level, it.subject) for it in found] == [("note", "actions"), ("note", "items")]
    assert all("ConnectionError" in it.found for it in found)


def test_servers_that_do_not_answer_are_unreachable() -> None:
    nowhere = Settings(
        elasticsearch_url=f"http://127.0.0.1:{free_port()}",
        valkey_url=f"redis://127.0.0.1:{free_port()}/0",
        sidecar_url=f"http://127.0.0.1:{free_port()}",
        kafka_servers=f"127.0.0.1:{free_port()}",
    )
    for check in (
        checks.check_elasticsearch,
        checks.check_valkey,
        checks.check_workers,
        checks.check_kafka,
        checks.check_sidecar,
    ):
        (found,) = faults(check(nowhere))
        assert found.unreachable
        assert found.advice


def test_every_setting_that_cannot_work_is_named(tmp_path: Path) -> None:
    wrong = {
        "HITWEAVE_CHUNK_ITEMS": "0",
        "HITWEAVE_DEVICE": "abacus",
        "HITWEAVE_HOME": str(tmp_path),
    }
    done = run("doctor", **wrong)
    assert done.returncode == 1
    assert "HITWEAVE_CHUNK_ITEMS" in done.stdout
    assert "HITWEAVE_DEVICE" in done.stdout


def test_another_pseudonym_key_than_the_stacks_is_a_fault(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    done = run("doctor", "--home", str(home.folder), HITWEAVE_PSEUDONYM_KEY="another")
    assert "is not the key of the stack" in done.stdout


def stamped(**changes: object) -> dict[str, object]:
    """The mapping of an index as `create` stamps it, with some of the stamp changed."""
    recipe = open_encoder("hashed:32").recipe
    stamp = {
        "config": {"vector_field": "nested.vector"},
        "recipe": recipe.model_dump(mode="json"),
        "recipe_digest": recipe.digest(),
        **changes,
    }
    vector = {"type": "dense_vector", "dims": 32}
    return {
        "_meta": {"hitweave": stamp},
        "properties": {"nested": {"properties": {"vector": vector}}},
    }


def test_a_stamp_that_agrees_with_its_index_is_no_problem() -> None:
    assert index_checks.stamp_problem(stamped()) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recipe_digest": "0" * 16}, "digest"),
        ({"config": {"vector_field": "title"}}, "has None dimensions"),
        ({"recipe": {"encoder": "hashed:32"}}, "cannot be read"),
        ({"recipe": "?"}, "cannot be read"),
    ],
)
def test_a_stamp_that_lies_is_a_problem(changes: dict[str, object], words: str) -> None:
    assert words in str(index_checks.stamp_problem(stamped(**changes)))


def test_the_journal_is_no_catalogue_with_a_stamp_that_lies(
    stack: Stack, es: Elasticsearch, index_name: str
) -> None:
    stack.run("create", index_name)
    assert all(es.indices.exists(index=name) for name in journal_index.INDICES)
    found = [f.found.partition(":")[0] for f in index_checks.check_indices(es)]
    assert not {*journal_index.INDICES} & {*found}
    assert any(name.startswith(index_name) for name in found)


def test_a_promoted_model_that_is_not_whole_is_a_fault(tmp_path: Path) -> None:
    registry = Registry(tmp_path, "shop")
    (registry.folder / "v1").mkdir(parents=True)
    (registry.folder / "current").write_text("v1")
    (found,) = faults(checks.check_models(Settings(models=tmp_path)))
    assert found.found.startswith("shop: ")
    assert "rollback" in found.advice


def test_a_nearly_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil._ntuple_diskusage(100_000_000_000, 99_000_000_000, 1_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert {finding.level for finding in checks.check_disk(Home(tmp_path))} == {"warning"}


def test_ports_of_a_stack_that_is_down_are_looked_at(
    tmp_path: Path, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = store.connection_pool.connection_kwargs["port"]
    home = tmp_path / "home"
    assert run("up", "--home", str(home), "--valkey-port", str(port)).returncode == 2
    (tmp_path / "home" / "stack.json").write_text(
        f'{{"elasticsearch_url":"http://127.0.0.1:{free_port()}",'
        f'"valkey_url":"redis://127.0.0.1:{port}/0","sidecar_url":"http://127.0.0.1:1"}}'
    )
    (found,) = checks.check_ports(Home(home))
    assert f"port {port} is in use by" in found.found
    assert "--valkey-port" in found.advice


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_in_the_foreground_takes_all_down_when_it_is_ended(
    tmp_path: Path, number: signal.Signals
) -> None:
    line = [str(HITWEAVE), "up", "--only", "valkey", "--home", str(tmp_path / "home")]
    line += ["--valkey-port", str(free_port())]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HITWEAVE_")}
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean) as up:
        assert up.stdout is not None
        assert b'"ready":true' in up.stdout.readline()
        stack_id = str(Home(tmp_path / "home").id())
        assert len(processes_of(stack_id, {})) == 1
        up.send_signal(number)
        assert up.wait(60) == 0
    assert processes_of(stack_id, {}) == []
