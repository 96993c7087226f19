"""Behaviour out of Kafka: a real broker, the command, real workers; nothing lost, nothing twice."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner
from elasticsearch import Elasticsearch

from compose.local import stack as local_stack
from compose.local.commands.consume import command as consume
from compose.local.home import Home, write_json
from compose.local.kafka_checks import check_kafka
from indexer import settings
from indexer.behaviour import kafka
from indexer.errors import AskedWrongly
from tests.bench import killing
from tests.bench.killing import Stores
from tests.conftest import HITWEAVE, Stack
from tests.flows import behaviour, commands
from tests.flows.behaviour import bought
from tests.flows.worker_process import wait_until
from tests.kafka_broker import Broker, headers

# Who was killed, consumer or broker, is forgotten or found again soon, so that no test need wait.
OPTIONS = {
    "session.timeout.ms": 1000,
    "heartbeat.interval.ms": 300,
    "reconnect.backoff.max.ms": 300,
}
PARTITIONS = 3
BEGINNING = "2000-01-01T00:00:00Z"


@dataclass(frozen=True)
class Feed:
    """An index, and the topics that its shop publishes to."""

    broker: Broker
    stores: Stores
    index: str
    topic: str
    rejected: str
    group: str

    def publish(self, *values: Any, **options: Any) -> None:
        self.broker.publish(self.topic, *values, **options)

    @property
    def committed(self) -> int:
        return self.broker.committed(self.group, self.topic)

    def faults(self, sent: list[dict[str, Any]]) -> dict[str, int]:
        """What is not as it was sent, once all is folded; see right()."""
        self.stores.wait_until_folded()
        return self.stores.faults(sent)


def right(sent: list[dict[str, Any]]) -> dict[str, int]:
    return {
        "events journalled": len(sent),
        "events folded": len(sent),
        "items' counts that differ": 0,
        "shoppers' counts that differ": 0,
        "requests set aside": 0,
    }


@pytest.fixture
def feed(
    stack: Stack,
    broker: Broker,
    es: Elasticsearch,
    valkey: redis.Redis,
    index_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Feed]:
    """Settings of the stack with the broker's, and an index of the small encoder."""
    stores = Stores(Home(stack.home), es, valkey, index_name)
    names = (index_name, f"{index_name}.ubi", f"{index_name}.rejected", f"{index_name}.group")
    made = Feed(broker, stores, *names)
    told = {
        "PSEUDONYM_KEY": str(stores.home.pseudonym_key()),
        "KAFKA_SERVERS": broker.servers,
        "KAFKA_TOPICS": made.topic,
        "KAFKA_GROUP": made.group,
        "KAFKA_REJECTED_TOPIC": made.rejected,
        "KAFKA_OPTIONS": json.dumps(OPTIONS),
    }
    for name, value in told.items():
        monkeypatch.setenv(f"HITWEAVE_{name}", value)
    settings.load.cache_clear()
    commands.created(index_name, "--config", commands.config(tmp_path, "encoder: hashed:64\n"))
    broker.make_topic(made.topic, PARTITIONS)
    yield made
    settings.load.cache_clear()


def consumed(*arguments: str) -> tuple[int, int, int]:
    """What the command read, accepted and rejected until the end."""
    answer = behaviour.run(consume, "--until-end", *arguments)
    return answer["read"], answer["accepted"], answer["rejected"]


@contextmanager
def consuming(log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a process of its own."""
    with log.open("ab") as words:
        process = subprocess.Popen(
            [str(HITWEAVE), "consume"],
            stdout=subprocess.PIPE,
            stderr=words,
            env={**os.environ, **{f"HITWEAVE_{name}": it for name, it in environment.items()}},
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_what_is_published_counts_once_however_often_it_is_read(
    valkey: redis.Redis, feed: Feed
) -> None:
    sent = killing.events(feed.index, 300)  # in no order of their times
    query = {"application": feed.index, "query_id": "q", "user_query": "mug", "timestamp": 1.3e9}
    feed.publish(*sent[:200], query)
    feed.publish(sent[200:250], b"\n".join(json.dumps(it).encode() for it in sent[250:]))
    assert consumed() == (203, 301, 0)
    assert feed.committed == 203
    assert feed.faults(sent) == right(sent)
    before = behaviour.state(valkey, feed.index)
    assert consumed() == (0, 0, 0)
    assert consumed("--since", BEGINNING) == (203, 301, 0)
    assert feed.faults(sent) == right(sent)
    assert behaviour.state(valkey, feed.index) == before


def test_a_replay_begins_with_the_messages_of_its_time(feed: Feed) -> None:
    for hour in range(6):
        at_ms = 1_700_000_000_000 + hour * 3_600_000
        feed.publish(*(bought(feed.index, 10 * hour + it) for it in range(4)), at_ms=at_ms)
    assert consumed("--since", "2023-11-15T01:13:20Z") == (12, 12, 0)
    assert consumed("--since", "2023-11-15T02:13:20+01:00") == (12, 12, 0)
    assert consumed("--since", "2024-01-01T00:00:00Z") == (0, 0, 0)


def test_a_consumer_and_a_broker_killed_in_the_middle_lose_and_double_nothing(
    valkey: redis.Redis, feed: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITWEAVE_EVENTS_CHUNK", "40")
    settings.load.cache_clear()
    sent = killing.events(feed.index, 1000)
    feed.publish(*sent)
    with consuming(tmp_path / "log") as process:
        wait_until(lambda: feed.committed > 100, 60)
        process.kill()
        process.wait()
        assert feed.committed < 1000, "it was over before the kill"
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill_broker, feed)
        assert consumed()[0] >= 1000 - killed.result(60)
    assert feed.committed == 1000
    assert feed.faults(sent) == right(sent)
    before = behaviour.state(valkey, feed.index)
    assert consumed("--since", BEGINNING) == (1000, 1000, 0)
    assert feed.faults(sent) == right(sent)
    assert behaviour.state(valkey, feed.index) == before


def kill_broker(feed: Feed) -> int:
    """Amid the reading, and start it again; how much was committed until then."""
    before = feed.committed
    wait_until(lambda: feed.committed > before + 100, 60)
    feed.broker.kill()
    feed.broker.start()
    done = feed.committed
    assert done < 1000, "it was over before the kill"
    return done


def test_what_is_not_taken_goes_to_the_dead_letters_and_the_rest_goes_on(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITWEAVE_LINE_BYTES_MAX", "2000")
    settings.load.cache_clear()
    feed.broker.make_topic(feed.rejected, max_message_bytes="2500")
    unknown = bought("no-such-shop", 1, user_id="as-it-was-sent")
    long = bought(feed.index, 2, message="x" * 3000)
    bad = (b"{bad", None, unknown, long)
    feed.publish(*bad, bought(feed.index, 3), key="one-partition")
    assert consumed() == (5, 1, 4)
    assert feed.committed == 5
    assert feed.faults([bought(feed.index, 3)])["events folded"] == 1
    letters = feed.broker.messages(feed.rejected)
    whole = [None if it is None or isinstance(it, bytes) else json.dumps(it).encode() for it in bad]
    assert [it.value() for it in letters] == [b"{bad", None, whole[2], None]
    assert {it.key() for it in letters} == {b"one-partition"}
    told = [headers(it) for it in letters]
    reasons = ("is not JSON", "has no value", "no index has this name", "LINE_BYTES_MAX is 2000")
    assert all(why in it["reason"] for why, it in zip(reasons, told, strict=True))
    assert [it["offset"] for it in told] == ["0", "1", "2", "3"]
    assert {it["topic"] for it in told} == {feed.topic}
    assert [it.get("left_out") for it in told] == [None, None, None, "value"]
    assert consumed() == (0, 0, 0)


@pytest.fixture
def grudging(stack: Stack, valkey: redis.Redis, index_name: str) -> Iterator[str]:
    """A user of Valkey who may not add to streams yet."""
    valkey.execute_command("ACL", "SETUSER", index_name, "on", "nopass", "~*", "&*", "+@all")
    valkey.execute_command("ACL", "SETUSER", index_name, "-xadd")
    yield index_name
    valkey.execute_command("ACL", "DELUSER", index_name)


def test_a_valkey_that_refuses_for_a_while_loses_nothing_and_a_signal_ends_it_cleanly(
    stack: Stack, valkey: redis.Redis, feed: Feed, grudging: str, tmp_path: Path
) -> None:
    sent, log = killing.events(feed.index, 200), tmp_path / "log"
    feed.publish(*sent[:150])
    url = stack.valkey_url.replace("://", f"://{grudging}:any@")
    with consuming(log, VALKEY_URL=url) as process:
        wait_until(lambda: b"consumer_rests" in log.read_bytes(), 60)
        feed.publish(*sent[150:])
        assert feed.committed == 0
        with pytest.raises(AskedWrongly, match="reads in it"):
            consumed("--since", BEGINNING)
        assert CliRunner().invoke(consume, ["--check"]).exit_code == 0
        others = consumed()  # of the partitions that this one is given meanwhile
        assert others[0] == others[1] == feed.committed > 0
        valkey.execute_command("ACL", "SETUSER", grudging, "+xadd")
        wait_until(lambda: feed.committed == 200, 60)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, log.read_text()
    report = json.loads(said.splitlines()[-1])
    assert report["read"] == report["accepted"] == 200 - others[0]
    words = log.read_bytes()
    assert b"messages_left_to_others" in words
    assert (words.count(b"consumer_rests"), words.count(b"consumer_goes_on")) == (1, 1)
    assert kafka.members(settings.load()) == []
    assert CliRunner().invoke(consume, ["--check"]).exit_code == 3
    assert feed.faults(sent) == right(sent)


@pytest.fixture
def own_home(stack: Stack, tmp_path: Path) -> Iterator[Home]:
    """A home beside the stack's that uses its servers; nothing of it runs after the test."""
    made = Home(tmp_path / "home")
    made.make()
    yield made
    local_stack.take_down(made)


def test_up_runs_a_consumer_where_kafka_is_set_and_the_doctor_knows(
    stack: Stack, feed: Feed, own_home: Home
) -> None:
    known = settings.load()
    assert [it.level for it in check_kafka(known)] == ["ok", "note", "warning"]
    only = local_stack.parts_named("worker-behaviour")
    wish = local_stack.Wish(1, 1, 1, only, es_url=stack.es_url, valkey_url=stack.valkey_url)
    plan = local_stack.plan(own_home, wish)
    assert [part.name for part in plan.parts] == ["worker-behaviour", "consumer"]
    alone = plan.model_copy(update={"parts": plan.parts[1:]})  # the stack has a worker
    write_json(own_home.plan_file, alone.model_dump(mode="json"))
    assert [*local_stack.supervise(own_home)][-1]["phase"] == "ready"
    assert local_stack.status(own_home)["parts"]["consumer"]["ready"]
    assert [it.level for it in check_kafka(known)] == ["ok", "note"]
    sent = killing.events(feed.index, 10)
    feed.publish(*sent)
    wait_until(lambda: feed.committed == 10, 60)
    assert feed.faults(sent) == right(sent)
    assert local_stack.take_down(own_home) == ["consumer"]
    assert kafka.members(known) == []


def test_what_cannot_begin_says_what_to_do(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("yesterday", "2026-03-01T00:00:00"):
        with pytest.raises(AskedWrongly, match="ISO 8601 time with zone"):
            consumed("--since", wrong)
    monkeypatch.setenv("HITWEAVE_KAFKA_TOPICS", "no-such-topic")
    settings.load.cache_clear()
    with pytest.raises(AskedWrongly, match="no topic no-such-topic"):
        consumed()
    assert [it.level for it in check_kafka(settings.load())] == ["ok", "fault", "note", "warning"]
