"""A node that takes requests and answers none does not take the sidecar with it."""

import dataclasses
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from tests.conftest import HITWEAVE, Stack, free_port
from tests.flows import commands
from tests.flows.test_search import MATCH, own, products, raw
from tests.flows.worker_process import wait_until

# Far more than any deadline here, far less than the 30 s that the node's own patience is.
SOON = 12.0
RANKED = {"query": MATCH, "ext": own("fused")}
SORTED = {"query": MATCH, "sort": [{"price": "asc"}]}


@pytest.fixture(scope="module")
def index(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    name, folder = f"t{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("shop")
    commands.created(name, "--config", commands.config(folder, "encoder: hashed:64\n"))
    commands.sent(name, commands.feed(folder, *products()))
    return name


@pytest.fixture(scope="module")
def hurried(stack: Stack, index: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack with a sidecar of the usual deadline, which has seen the index, but long ago."""
    port, log = free_port(), tmp_path_factory.mktemp("sidecar") / "log"
    usual = {"HITWEAVE_DEADLINE_MS": "500", "HITWEAVE_GENERATION_TTL_SECONDS": "0.05"}
    with log.open("wb") as output:
        started = subprocess.Popen(
            [str(HITWEAVE), "--home", str(stack.home), "serve", "--port", str(port)],
            env={**os.environ, **usual},
            stdout=output,
            stderr=output,
        )
    found = dataclasses.replace(stack, sidecar_url=f"http://127.0.0.1:{port}")
    try:
        wait_until(lambda: ranked(found, index) is None, 120)
        yield found
    finally:
        started.terminate()
        started.wait(60)


def ranked(sidecar: Stack, index: str) -> Any:
    """Why a search is not ranked as it should be; None where it is."""
    try:
        status, _, answer = raw(sidecar, "POST", f"/{index}/_search", RANKED)
    except OSError as error:
        return error
    return answer["hitweave"]["degraded"] if status == 200 else answer


@contextmanager
def hanging(stack: Stack) -> Iterator[None]:
    """The node's process is stopped meanwhile."""
    parts: Any = stack.run_json("status")["parts"]
    part = psutil.Process(parts["elasticsearch"]["pid"])
    stopped = part.children(recursive=True) or [part]
    for one in stopped:
        one.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for one in stopped:
            one.send_signal(signal.SIGCONT)


def in_time(sidecar: Stack, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and answer, which must come soon."""
    began = time.monotonic()
    status, _, answer = raw(sidecar, method, path, body)
    assert time.monotonic() - began < SOON, (path, status, answer)
    return status, answer


def test_a_node_that_hangs_does_not_take_the_sidecar_with_it(hurried: Stack, index: str) -> None:
    search = f"/{index}/_search"
    candidates = [{"id": "lamp-1", "bm25": 2.0}, {"id": "lamp-2", "bm25": 1.0}]
    event = {
        "application": index,
        "action_name": "view",
        "user_id": "u-hang",
        "event_attributes": {"object": {"object_id": "lamp-1"}},
    }
    needs_no_node = [
        ("POST", "/rerank", {"index": index, "query": "lamp", "candidates": candidates}, 200),
        ("POST", "/recommend", {"index": index, "user_id": "u-hang", "size": 3}, 200),
        ("GET", f"/{index}/_suggest?q=l", None, 200),
        ("POST", "/events", event, 202),
        ("GET", "/health/ready", None, 503),
    ]
    for _ in range(8):  # in every process
        assert raw(hurried, "POST", "/events", event)[0] == 202
    with ThreadPoolExecutor(40) as clients:
        with hanging(hurried):
            passed = [clients.submit(raw, hurried, "POST", search, SORTED) for _ in range(20)]
            found = [clients.submit(in_time, hurried, "POST", search, RANKED) for _ in range(20)]
            for path in ("/health/live", "/metrics"):
                assert in_time(hurried, "GET", path)[0] == 200
            for status, answer in (one.result() for one in found):
                assert (status, answer["error"]["type"]) == (503, "no_node_available_exception")
                assert "does not answer in time" in answer["error"]["reason"]
            for method, path, body, expected in needs_no_node:
                assert in_time(hurried, method, path, body)[0] == expected, path
        for status, _, answer in (one.result() for one in passed):
            refused = status == 503 and "requests wait for it already" in answer["error"]["reason"]
            assert status == 200 or refused
        # Some of those that are not refused kept the node's own patience and have their answer.
        assert [one.result()[0] for one in passed].count(200) > 0
    wait_until(lambda: ranked(hurried, index) is None, SOON)
