"""What a process keeps of Valkey is never older than the index's revisions."""

import uuid
from collections.abc import Iterator

import pytest
import redis

from indexer.errors import ValkeyUnavailable
from reranker.serving.line import Lines
from reranker.serving.memory import Memory
from tests.conftest import free_port


@pytest.fixture
def index(valkey: redis.Redis) -> Iterator[str]:
    name = f"memory-{uuid.uuid4().hex[:8]}"
    yield name
    for key in valkey.scan_iter(f"hw:{name}:*"):
        valkey.delete(key)


@pytest.fixture
def memory(valkey: redis.Redis) -> Memory:
    return Memory(valkey, entries_max=100)


def read(memory: Memory, index: str, *ids: str) -> tuple[list[bytes | None], list[bytes | None]]:
    memory.ask(index, []).finish()
    return memory.items(index, ids)


def test_values_and_gaps_come_in_the_order_asked_for(
    memory: Memory, valkey: redis.Redis, index: str
) -> None:
    valkey.mset({f"hw:{index}:card:a": b"1", f"hw:{index}:pop:b": b"2"})
    assert read(memory, index, "a", "b") == ([b"1", None], [None, b"2"])


def test_what_is_read_again_is_kept_anew(memory: Memory, valkey: redis.Redis, index: str) -> None:
    key = f"hw:{index}:page"
    valkey.set(key, b"order", ex=50)
    assert memory.get_and_keep(key, ttl_seconds=500) == b"order"
    assert valkey.ttl(key) > 400
    assert memory.get_and_keep(f"{key}:absent", ttl_seconds=500) is None


def test_a_new_card_is_seen_once_the_revision_says_so(
    memory: Memory, valkey: redis.Redis, index: str
) -> None:
    valkey.mset({f"hw:{index}:card:a": b"old", f"hw:{index}:cards-revision": b"1"})
    assert read(memory, index, "a")[0] == [b"old"]
    valkey.set(f"hw:{index}:card:a", b"new")
    assert read(memory, index, "a")[0] == [b"old"]  # nobody said that it changed
    valkey.incr(f"hw:{index}:cards-revision")
    assert read(memory, index, "a")[0] == [b"new"]


def test_without_a_revision_nothing_is_kept(
    memory: Memory, valkey: redis.Redis, index: str
) -> None:
    valkey.set(f"hw:{index}:card:a", b"old")
    assert read(memory, index, "a")[0] == [b"old"]
    valkey.set(f"hw:{index}:card:a", b"new")
    assert read(memory, index, "a")[0] == [b"new"]


def test_a_value_read_before_a_revision_is_not_kept_under_the_next(
    memory: Memory, valkey: redis.Redis, index: str
) -> None:
    valkey.mset({f"hw:{index}:pop:a": b"old", f"hw:{index}:revision": b"1"})
    reading = memory.ask(index, [])
    reading.finish()
    found = memory._kept["pop"].look_up(index, ["a"])  # a request that is between two reads
    valkey.mset({f"hw:{index}:pop:a": b"new", f"hw:{index}:revision": b"2"})
    memory.ask(index, []).finish()
    found.fill(iter([b"old"]))
    assert memory.items(index, ["a"])[1] == [b"new"]


def test_too_many_values_are_let_go(valkey: redis.Redis, index: str) -> None:
    memory = Memory(valkey, entries_max=2)
    valkey.mset(
        {f"hw:{index}:card:{n}": b"x" for n in range(5)} | {f"hw:{index}:cards-revision": 1}
    )
    assert read(memory, index, *"01234")[0] == [b"x"] * 5
    read(memory, index)
    assert memory._kept["card"].look_up(index, ["0"]).missing() == ["card:0"]


def test_a_server_that_fails_is_left_alone_for_a_moment() -> None:
    now = [100.0]
    away = redis.Redis(port=free_port(), socket_connect_timeout=0.2)
    memory = Memory(away, entries_max=1, clock=lambda: now[0])
    with pytest.raises(ValkeyUnavailable, match="does not answer"):
        memory.ask("i", [])
    with pytest.raises(ValkeyUnavailable, match="left alone"):
        memory.cards("i", ["a"])
    now[0] += 2.0
    with pytest.raises(ValkeyUnavailable, match="does not answer"):
        memory.cards("i", ["a"])


def test_replies_nobody_picked_up_do_not_reach_the_next_one(
    valkey: redis.Redis, index: str
) -> None:
    lines = Lines(valkey)
    lines.send("SET", f"hw:{index}:x", "1")
    lines.send("NO-SUCH-COMMAND")
    first = lines.send("GET", f"hw:{index}:x")
    second = lines.send("GET", f"hw:{index}:absent")
    assert lines.receive(first) == b"1"
    assert lines.receive(second) is None


def test_a_line_that_went_stale_is_opened_anew(valkey: redis.Redis, index: str) -> None:
    lines = Lines(valkey)
    number = lines.ask("CLIENT", "ID")
    valkey.execute_command("CLIENT", "KILL", "ID", str(number))
    assert lines.ask("SET", f"hw:{index}:x", "1") in (b"OK", "OK", True)
    assert lines.ask("CLIENT", "ID") != number
