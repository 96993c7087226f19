"""The whole local stack as users run it, and a node of the bundled Java."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from elasticsearch import Elasticsearch

from compose.local import ground, java_runtime
from compose.local import stack as local_stack
from compose.local.home import Home
from compose.local.running import processes_of
from tests.compose.test_cli import run
from tests.compose.waiting import until
from tests.conftest import Stack, free_port

BILINGUAL = {"tokenizer": "standard", "filter": ["cjk_width", "lowercase", "cjk_bigram", "kstem"]}


def last_line(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return decoded


def tokens(es: Elasticsearch, **how: Any) -> list[str]:
    return [token["token"] for token in es.indices.analyze(**how)["tokens"]]


def check_node(es: Elasticsearch) -> None:
    """What our module and our plugin must give any node of ours."""
    (node,) = es.nodes.info(metric="plugins")["nodes"].values()
    assert "attention-fusion" in [plugin["name"] for plugin in node["plugins"]]
    children = [{"standard": {"query": {"match": {"title": "lamp"}}}}]
    es.search(index="no-such-*", retriever={"attention_fusion": {"retrievers": children}})
    assert es.ping()
    assert es.info()["version"]["number"] == "9.5.3"
    text = "无线耳机 ｗｉｒｅｌｅｓｓ Headphones"
    bigrams = ["无线", "线耳", "耳机", "wireless", "headphone"]
    assert tokens(es, text=text, **BILINGUAL) == bigrams
    assert tokens(es, analyzer="english", text="The running shoes") == ["run", "shoe"]
    assert tokens(es, analyzer="cjk", text="耳机套 the shoe") == ["耳机", "机套", "shoe"]
    assert "耳机" in tokens(es, analyzer="smartcn", text="我买耳机")
    filters = ["lowercase", "stop", "porter_stem", "asciifolding"]
    assert tokens(es, tokenizer="standard", filter=filters, text="the Résumés") == ["resume"]


def test_the_node_of_the_stack_has_banner_and_analysis(es: Elasticsearch) -> None:
    check_node(es)


def test_an_index_may_define_filters_with_options(es: Elasticsearch, index_name: str) -> None:
    filters = {
        "words": {"type": "synonym_graph", "synonyms": ["tv => television set", "sofa, couch"]},
        "flat": {"type": "synonym", "synonyms": ["sofa, couch"], "expand": False},
        "both": {"type": "asciifolding", "preserve_original": True},
        "stems": {"type": "stemmer", "language": "porter2"},
        "pairs": {"type": "cjk_bigram", "output_unigrams": True, "ignored_scripts": ["hangul"]},
    }
    chains = {name: ["lowercase", name] for name in filters} | {
        "late": ["lowercase", "stems", "words"]
    }
    analyzers = {
        name: {"type": "custom", "tokenizer": "standard", "filter": chain}
        for name, chain in chains.items()
    }
    analyzers["ends"] = {"type": "english", "stopwords": ["foo"]}
    es.indices.create(
        index=index_name, settings={"analysis": {"filter": filters, "analyzer": analyzers}}
    )
    here = {"index": index_name}
    assert tokens(es, analyzer="words", text="TV", **here) == ["television", "set"]
    assert tokens(es, analyzer="words", text="couch", **here) == ["sofa", "couch"]
    assert tokens(es, analyzer="flat", text="couch", **here) == ["sofa"]
    assert tokens(es, analyzer="both", text="né", **here) == ["ne", "né"]
    assert tokens(es, analyzer="stems", text="skies", **here) == ["sky"]
    assert tokens(es, analyzer="pairs", text="耳机", **here) == ["耳", "耳机", "机"]
    assert tokens(es, analyzer="late", text="couches", **here) == ["sofa", "couch"]
    assert tokens(es, analyzer="ends", text="foo the", **here) == ["the"]
    es.indices.delete(index=index_name)


def test_status_names_every_part_and_its_java(stack: Stack) -> None:
    state = stack.run_json("status")
    assert state["ready"] is True
    parts: Any = state["parts"]
    assert {*parts} == {
        *("elasticsearch", "valkey", "worker-embed", "worker-index", "worker-behaviour", "sidecar")
    }
    assert all(part["ready"] for part in parts.values())
    assert "Java" in parts["elasticsearch"]["note"]


def test_the_best_java_of_this_machine_runs_the_stack(stack: Stack) -> None:
    place = ground.find(Home(stack.home))
    java = java_runtime.find(place)
    assert java is not None
    parts = local_stack.status(Home(stack.home))["parts"]
    assert java.describe() in parts["elasticsearch"]["note"]


def test_doctor_finds_no_fault_in_a_stack_that_is_up(stack: Stack) -> None:
    done = stack.run("doctor")
    report = last_line(done)
    assert report["faults"] == 0
    assert {"settings", "java", "disk", "elasticsearch", "valkey", "workers", "sidecar"} <= {
        finding["subject"] for finding in report["findings"]
    }


def test_up_again_changes_nothing(stack: Stack) -> None:
    before = stack.run_json("status")["parts"]
    done = stack.run("up", "--detach")
    assert "already up" in done.stderr
    assert last_line(done)["parts"] == before


def test_every_port_of_the_stack_is_on_loopback(stack: Stack) -> None:
    stack_id = str(Home(stack.home).id())
    listening = [
        connection.laddr
        for process in processes_of(stack_id, {})
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len({address.port for address in listening}) >= 4
    assert {address.ip for address in listening} <= {"127.0.0.1", "::ffff:127.0.0.1"}


@pytest.mark.parametrize("part", ["worker-behaviour", "sidecar"])
def test_a_killed_process_of_ours_comes_back(stack: Stack, part: str) -> None:
    def now() -> dict[str, Any]:
        found: dict[str, Any] = local_stack.status(Home(stack.home))["parts"][part]
        return found

    before = now()
    os.kill(before["pid"], signal.SIGKILL)
    until(lambda: now()["restarts"] > before["restarts"] and now()["ready"], f"{part} is back", 90)
    assert now()["pid"] != before["pid"]


def test_checks_for_containers_ask_the_running_processes(stack: Stack, tmp_path: Path) -> None:
    port = stack.sidecar_url.rsplit(":", 1)[1]
    assert stack.run("serve", "--check", "--port", port).returncode == 0
    absent = stack.run("serve", "--check", "--port", str(free_port()), check=False)
    assert absent.returncode == 3
    assert (
        stack.run("worker", "-Q", "embed", "--check", "--name", "no", check=False).returncode == 3
    )


@pytest.fixture
def own_home(tmp_path: Path) -> Iterator[Path]:
    """A home of a second stack, taken down after the test."""
    yield tmp_path / "home"
    run("down", "--home", str(tmp_path / "home"))


def up(home: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(
        *("up", "--detach", "--only", "elasticsearch,valkey", "--es-heap", "512m"),
        *("--home", str(home), *options),
        **environment,
    )


@pytest.mark.slow
def test_the_bundled_java_runs_a_node_whose_data_survives(own_home: Path) -> None:
    es_port, valkey_port = free_port(), free_port()
    ports = ("--es-port", str(es_port), "--valkey-port", str(valkey_port))
    done = up(own_home, *ports, HITWEAVE_JAVA="bundled")
    assert done.returncode == 0, done.stderr
    assert "jars on the class path" in last_line(done)["parts"]["elasticsearch"]["note"]
    with Elasticsearch(f"http://127.0.0.1:{es_port}") as es, redis.Redis(port=valkey_port) as store:
        check_node(es)
        es.index(index="kept", id="1", document={"title": "无线耳机"})
        store.set("kept", "yes")
        stack_id = str(Home(own_home).id())
        assert run("down", "--home", str(own_home)).returncode == 0
        assert processes_of(stack_id, {}) == []
        assert not es.ping()
        again = up(own_home, HITWEAVE_JAVA="bundled")
        assert again.returncode == 0, again.stderr
        assert es.get(index="kept", id="1")["_source"] == {"title": "无线耳机"}
        assert store.get("kept") == b"yes"


def test_a_node_that_cannot_start_says_which_part_and_shows_its_log(own_home: Path) -> None:
    done = up(
        *(own_home, "--es-port", str(free_port()), "--valkey-port", str(free_port())),
        *("--es-heap", "4000g"),
        HITWEAVE_JAVA="bundled",
    )
    assert done.returncode == 3
    assert "elasticsearch ended with code 1" in done.stderr
    assert "--es-heap" in done.stderr
    assert "heap" in done.stderr.split("The end of")[1]
    assert processes_of(str(Home(own_home).id()), {}) == []


def test_another_server_is_used_and_not_started(stack: Stack, own_home: Path) -> None:
    done = run(
        *("up", "--detach", "--home", str(own_home), "--only", "valkey,worker-behaviour"),
        *("--es-url", stack.es_url, "--valkey-url", stack.valkey_url),
    )
    assert done.returncode == 0, done.stderr
    state = last_line(done)
    assert state["elasticsearch_url"] == stack.es_url
    assert state["parts"]["valkey"] == {"state": "not started here", "ready": True}
    assert state["parts"]["worker-behaviour"]["ready"] is True


def test_a_server_of_theirs_that_does_not_answer_is_named_before_anything_starts(
    own_home: Path,
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    own = ("--home", str(own_home), "--port", str(free_port()), "--only", "sidecar")
    done = run("up", *own, "--es-url", nowhere)
    assert done.returncode == 3, done.stderr
    assert nowhere in done.stderr
    assert not (own_home / "run.json").exists()


def test_a_fresh_home_needs_nothing_of_the_old_one(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    first = (home.id(), home.pseudonym_key())
    shutil.rmtree(home.folder)
    home.make()
    assert (home.id(), home.pseudonym_key()) != first
