"""Fixtures over the real stack: one node, one Valkey, real workers and sidecar for the session."""

import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from elasticsearch import Elasticsearch
from hypothesis import settings as hypothesis_settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
# A slow machine is no counter-example.
hypothesis_settings.register_profile("hitweave", deadline=None)
hypothesis_settings.load_profile("hitweave")
# A busy machine must not turn answers into degraded ones; who tests the deadline sets his own.
os.environ.setdefault("HITWEAVE_DEADLINE_MS", "20000")
# What tests write past Hitweave stays as it is; who tests that it is taken up asks for it.
os.environ.setdefault("HITWEAVE_TAKE_UP_SECONDS", "0")
HITWEAVE = Path(sys.executable).with_name("hitweave")


@dataclass(frozen=True)
class Stack:
    """A running local stack."""

    home: Path
    es_url: str
    valkey_url: str
    sidecar_url: str

    def run(
        self, *args: str, check: bool = True, stdin: str | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a hitweave command on this stack."""
        done = subprocess.run(
            [str(HITWEAVE), "--home", str(self.home), *args],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"hitweave {args}: exit {done.returncode}\n{done.stderr[-4000:]}")
        return done

    def run_json(self, *args: str, **options: object) -> dict[str, object]:
        """Run a command; its last line of standard output, decoded."""
        done = self.run(*args, **options)  # type: ignore[arg-type]
        decoded: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
        return decoded


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole local stack, started once."""
    es_port, valkey_port, port = free_port(), free_port(), free_port()
    running = Stack(
        home=tmp_path_factory.mktemp("stack") / "home",
        es_url=f"http://127.0.0.1:{es_port}",
        valkey_url=f"redis://127.0.0.1:{valkey_port}/0",
        sidecar_url=f"http://127.0.0.1:{port}",
    )
    ports = ["--es-port", str(es_port), "--valkey-port", str(valkey_port), "--port", str(port)]
    try:
        running.run("up", "--detach", *ports, timeout=600)
        with pytest.MonkeyPatch.context() as patch:
            point_settings_at(running, patch)
            yield running
    finally:
        running.run("down", check=False)


def point_settings_at(running: Stack, patch: pytest.MonkeyPatch) -> None:
    """Code in this process reads the stack's addresses."""
    from indexer import settings

    patch.setenv("HITWEAVE_ELASTICSEARCH_URL", running.es_url)
    patch.setenv("HITWEAVE_VALKEY_URL", running.valkey_url)
    patch.setenv("HITWEAVE_SIDECAR_URL", running.sidecar_url)
    patch.setenv("HITWEAVE_HOME", str(running.home))
    settings.load.cache_clear()


@pytest.fixture
def es(stack: Stack) -> Iterator[Elasticsearch]:
    """A client of the stack's node."""
    with Elasticsearch(stack.es_url, request_timeout=30) as client:
        yield client


@pytest.fixture
def valkey(stack: Stack) -> Iterator[redis.Redis]:
    """A client of the stack's Valkey; answers are bytes."""
    with redis.Redis.from_url(stack.valkey_url) as client:
        yield client


@pytest.fixture
def index_name() -> str:
    """An index name that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"
