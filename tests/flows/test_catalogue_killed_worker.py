"""A worker that is killed in the middle changes neither the counts nor any document."""

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from elasticsearch import Elasticsearch

from compose.local.commands.catalogue import Run
from indexer import settings
from indexer.catalogue import generation, stored
from indexer.catalogue.audit import audit
from indexer.catalogue.mapping import IndexConfig
from indexer.embedding.encoder import open_encoder
from tests.conftest import Stack
from tests.flows.worker_process import WorkerProcess, private_broker, wait_until, worker_process

ENCODER = "hashed:64"
PRODUCTS = [
    {"id": f"p{number}", "title": f"Mug {number} of {number % 7} colours", "price": number}
    for number in range(1200)
]


def kill_all(worker: WorkerProcess) -> bool:
    """As a machine that loses power; whether somebody else must go on."""
    worker.kill()
    return True


def kill_parent(worker: WorkerProcess) -> bool:
    """The process that talks to the broker; its children finish what they hold, unheard."""
    children = worker.children()
    worker.kill_parent()
    for child in children:
        child.resume()
    return True


def kill_child(worker: WorkerProcess) -> bool:
    """As the kernel does when memory is short; the parent starts another."""
    worker.children()[0].kill()
    worker.resume()
    return False


@pytest.fixture
def own_broker(stack: Stack) -> Iterator[redis.Redis]:
    """A broker of the test's own, with a short visibility timeout and small chunks."""
    short = {"VISIBILITY_TIMEOUT_SECONDS": "5", "TASK_TIME_LIMIT_SECONDS": "4"}
    with private_broker(stack, 8, **short, CHUNK_ITEMS="40") as client:
        yield client


@pytest.mark.parametrize("kill", [kill_all, kill_parent, kill_child])
def test_what_a_killed_worker_held_is_done_once_by_the_next(
    es: Elasticsearch,
    valkey: redis.Redis,
    own_broker: redis.Redis,
    index_name: str,
    tmp_path: Path,
    kill: Callable[[WorkerProcess], bool],
) -> None:
    made = generation.create(es, index_name, IndexConfig(encoder=ENCODER))
    job = f"{index_name}-job"
    run = Run(settings.load(), es, valkey, index_name, job)
    lines = io.BytesIO("\n".join(map(json.dumps, PRODUCTS)).encode())
    environment = {"PYTHONUNBUFFERED": "1"}
    with (
        ThreadPoolExecutor(1) as pool,
        worker_process("first@kill", environment, tmp_path / "first.log") as worker,
    ):
        answer = pool.submit(run.carry_out, lines, "jsonl", {}, True)
        wait_until(lambda: valkey.hlen(f"hw:job:{job}:embedded") >= 2, 60)
        worker.stop_in_the_middle(lambda: own_broker.hlen("unacked"))
        done_before = valkey.hlen(f"hw:job:{job}:embedded")
        assert done_before < len(PRODUCTS) / 40, "the job was over before the kill"
        successor = worker_process("second@kill", environment, tmp_path / "second.log")
        with successor if kill(worker) else nullcontext():
            result: dict[str, Any] = answer.result(120)
            # The job is told what a message did before the message is acknowledged.
            wait_until(lambda: own_broker.hlen("unacked") == 0, 30)

    assert {name: count for name, count in result.items() if name not in {"seconds", "job"}} == {
        "read": len(PRODUCTS),
        "embedded": len(PRODUCTS),
        "updated": 0,
        "unchanged": 0,
        "deleted": 0,
        "rejected": 0,
        "stale": 0,
    }
    assert audit(es, valkey, made).to_json() == {
        "documents": len(PRODUCTS),
        "without_vector": 0,
        "cards_missing": 0,
        "cards_behind": 0,
        "examples": (),
        "clean": True,
    }
    ids = [str(product["id"]) for product in PRODUCTS]
    documents = stored.read_documents(es, made, ids)
    vectors = open_encoder(ENCODER).encode([str(p["title"]) for p in PRODUCTS], role="passage")
    for product, vector in zip(PRODUCTS, vectors, strict=True):
        document = documents[str(product["id"])]
        assert {name: document.source[name] for name in product} == product
        assert document.vector is not None
        assert np.allclose(document.vector, vector, atol=1e-6)
