"""What the broker handed to a worker that died before noting it is done all the same."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from elasticsearch import Elasticsearch

from indexer import inbox
from indexer.catalogue import generation
from indexer.catalogue.mapping import IndexConfig
from indexer.catalogue.product import Product, ProductUpdate
from tests.conftest import Stack
from tests.flows.worker_process import private_broker, wait_until, worker_process

LATER = 60.0


@pytest.fixture
def broker(stack: Stack) -> Iterator[redis.Redis]:
    """A broker that no worker listens to."""
    with private_broker(stack, 7) as client:
        yield client


def test_a_message_that_vanished_is_sent_again_and_done_by_the_next_worker(
    es: Elasticsearch, valkey: redis.Redis, broker: redis.Redis, index_name: str, tmp_path: Path
) -> None:
    generation.create(es, index_name, IndexConfig(encoder="hashed:8"))
    job = f"{index_name}-job"
    update = ProductUpdate(product=Product(id="1", title="Mug"), received_at_ms=1000)
    inbox.submit(
        "indexer.tasks.write_chunk",
        "index",
        index=index_name,
        job=job,
        chunk=1,
        products=[update.to_json()],
    )
    assert broker.rpop("index")
    with worker_process("heir@lost", {}, tmp_path / "worker.log") as heir:
        wait_until(lambda: valkey.hlen(f"hw:job:{job}:embedded"), 60)
        wait_until(lambda: not broker.keys("hw:outbox:*"), 10)
        assert "lost_tasks_sent_again" in heir.log.read_text()
    assert es.get(index=index_name, id="1")["_source"]["title"] == "Mug"


def test_a_queued_message_is_not_taken_for_lost(broker: redis.Redis) -> None:
    for number in range(3):
        inbox.submit("indexer.tasks.refill_cards", "index", index="x", ids=[str(number)])
    assert inbox.send_lost_again("index", time.time() + LATER) == 0
    assert broker.llen("index") == 3


def test_a_message_before_the_oldest_one_is_lost_and_one_just_sent_is_not(
    broker: redis.Redis,
) -> None:
    for number in range(3):
        inbox.submit("indexer.tasks.refill_cards", "index", index="x", ids=[str(number)])
    broker.rpop("index")
    assert inbox.send_lost_again("index", time.time()) == 0
    assert inbox.send_lost_again("index", time.time() + LATER) == 1
    assert broker.llen("index") == 3
    assert inbox.send_lost_again("index", time.time() + LATER) == 0


def test_a_message_that_a_worker_holds_is_not_lost(broker: redis.Redis) -> None:
    inbox.submit("indexer.tasks.refill_cards", "index", index="x", ids=["1"])
    message = json.loads(broker.rpop("index") or b"")  # type: ignore[arg-type]
    broker.hset("unacked", "tag", json.dumps([message, "", "index"]))
    assert inbox.send_lost_again("index", time.time() + LATER) == 0
    broker.delete("unacked")
    assert inbox.send_lost_again("index", time.time() + LATER) == 1


def test_what_is_done_is_forgotten(broker: redis.Redis) -> None:
    inbox.submit("indexer.tasks.refill_cards", "index", index="x", ids=["1"])
    message = json.loads(broker.rpop("index") or b"")  # type: ignore[arg-type]
    inbox.done(message["headers"]["id"], "index")
    assert inbox.send_lost_again("index", time.time() + LATER) == 0
    assert broker.keys("hw:outbox:*") == []
