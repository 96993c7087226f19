"""Behaviour from files: `hitweave events` and `hitweave erase-user`, through real workers."""

import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner
from elasticsearch import Elasticsearch

from compose.local import event_import
from compose.local.commands.create import command as create
from compose.local.commands.erase_user import command as erase_user
from compose.local.commands.events import command as import_events
from indexer import settings
from indexer.behaviour import journal, state, store
from indexer.behaviour.event import pseudonym
from indexer.errors import AskedWrongly, StackFailed, UnknownIndex
from tests.conftest import Stack
from tests.flows import behaviour
from tests.flows.behaviour import bought, journalled, ndjson
from tests.flows.worker_process import WorkerProcess, private_broker, wait_until, worker_process

EVENTS = 120


@pytest.fixture
def shop(stack: Stack, index_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An index of the small encoder, and commands that use the stack's own pseudonym key."""
    monkeypatch.setenv("HITWEAVE_PSEUDONYM_KEY", (stack.home / "pseudonym.key").read_text().strip())
    settings.load.cache_clear()
    config = tmp_path / "index.yaml"
    config.write_text("encoder: hashed:64\n")
    behaviour.run(create, index_name, "--config", str(config))
    return index_name


def counts(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in ("read", "accepted", "duplicate", "rejected")}


def test_a_file_comes_in_once_however_often_it_is_imported(
    es: Elasticsearch, valkey: redis.Redis, shop: str, tmp_path: Path
) -> None:
    file = ndjson(tmp_path / "events.ndjson", *(bought(shop, n) for n in range(EVENTS)))
    first = behaviour.run(import_events, str(file))
    assert counts(first) == {"read": EVENTS, "accepted": EVENTS, "duplicate": 0, "rejected": 0}
    before = behaviour.state(valkey, shop)
    assert len(before) > 20
    second = behaviour.run(import_events, str(file))
    assert counts(second) == {"read": EVENTS, "accepted": 0, "duplicate": EVENTS, "rejected": 0}
    assert behaviour.state(valkey, shop) == before
    assert journalled(es, shop)["ubi_events"] == EVENTS
    replayed = list(journal.scan(es, shop))
    assert len({it.event_id for it in replayed}) == EVENTS
    assert [it.timestamp for it in replayed] == sorted(it.timestamp for it in replayed)


def test_what_is_journalled_but_not_folded_is_repaired_by_the_next_delivery(
    es: Elasticsearch, valkey: redis.Redis, shop: str, tmp_path: Path
) -> None:
    file = ndjson(tmp_path / "events.ndjson", *(bought(shop, n) for n in range(EVENTS)))
    behaviour.run(import_events, str(file))
    before = behaviour.state(valkey, shop)
    valkey.delete(*before)  # as if every worker had ended between journal and state
    again = behaviour.run(import_events, str(file))
    assert (again["accepted"], again["duplicate"]) == (EVENTS, 0)
    assert behaviour.state(valkey, shop) == before
    assert journalled(es, shop)["ubi_events"] == EVENTS


def test_packed_files_and_standard_input_are_read_alike(
    es: Elasticsearch, shop: str, tmp_path: Path
) -> None:
    lines = [bought(shop, number) for number in range(6)]
    plain = ndjson(tmp_path / "events.ndjson", *lines)
    packed = tmp_path / "events.ndjson.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert behaviour.run(import_events, str(packed))["accepted"] == 6
    assert behaviour.run(import_events, "-", stdin=plain.read_bytes())["duplicate"] == 6


def test_bad_lines_are_kept_with_their_reason_and_without_raw_ids(
    stack: Stack, shop: str, tmp_path: Path
) -> None:
    nameless = bought(shop, 1)
    del nameless["event_attributes"]
    timeless = bought(shop, 2)
    del timeless["timestamp"]
    file = ndjson(
        tmp_path / "events.ndjson",
        bought(shop, 0),
        "{not json",
        "",
        nameless,
        timeless,
        bought("no-such-shop", 3, user_id="a-raw-user-id"),
        bought(shop, 4, message="x" * 2_000_000),
    )
    answer = behaviour.run(import_events, str(file))
    assert counts(answer) == {"read": 7, "accepted": 1, "duplicate": 0, "rejected": 5}
    kept = [json.loads(it) for it in Path(answer["rejected_file"]).read_text().splitlines()]
    assert [it["line"] for it in kept] == [2, 4, 5, 6, 7]
    assert "must say when" in kept[2]["reason"]
    assert "a-raw-user-id" not in Path(answer["rejected_file"]).read_text()
    assert Path(answer["rejected_file"]).parent == stack.home / "rejected"


def test_queries_come_in_beside_events(es: Elasticsearch, shop: str, tmp_path: Path) -> None:
    query = {"application": shop, "query_id": "q", "user_query": "mug", "timestamp": 1318425555000}
    file = ndjson(tmp_path / "both.ndjson", query, bought(shop, 1, query_id="q"))
    assert behaviour.run(import_events, str(file))["accepted"] == 2
    assert journalled(es, shop) == {"ubi_events": 1, "ubi_queries": 1}
    assert [it.query_key for it in journal.scan(es, shop)] == ["mug"]


def test_a_given_index_takes_the_file_whatever_it_says(
    es: Elasticsearch, shop: str, tmp_path: Path
) -> None:
    file = ndjson(tmp_path / "events.ndjson", bought("another-name", 1))
    assert behaviour.run(import_events, str(file), "--index", shop)["accepted"] == 1
    with pytest.raises(UnknownIndex):
        behaviour.run(import_events, str(file), "--index", "no-such-index")


def test_without_waiting_it_says_what_was_handed_over(
    es: Elasticsearch, shop: str, tmp_path: Path
) -> None:
    file = ndjson(tmp_path / "events.ndjson", *(bought(shop, n) for n in range(10)), "{bad")
    answer = behaviour.run(import_events, str(file), "--no-wait")
    assert (answer["handed_over"], answer["rejected"]) == (10, 1)
    wait_until(lambda: journalled(es, shop)["ubi_events"] == 10, 60)


def test_a_damaged_file_says_where_and_repeats_nothing(shop: str, tmp_path: Path) -> None:
    whole = "".join(json.dumps(bought(shop, number)) + "\n" for number in range(4000)).encode()
    file = tmp_path / "events.ndjson.gz"
    file.write_bytes(gzip.compress(whole, mtime=0)[:-2000])
    with pytest.raises(AskedWrongly, match="damaged after line"):
        behaviour.run(import_events, str(file))
    with pytest.raises(AskedWrongly, match="cannot be read"):
        behaviour.run(import_events, str(tmp_path / "absent"))


@pytest.fixture
def own_broker(stack: Stack, shop: str) -> Iterator[redis.Redis]:
    """A broker that only this test's workers listen to, with a short visibility timeout."""
    short = {"VISIBILITY_TIMEOUT_SECONDS": "5", "TASK_TIME_LIMIT_SECONDS": "4"}
    with private_broker(stack, 7, **short, EVENTS_CHUNK="20") as client:
        yield client


def test_a_worker_killed_in_the_middle_loses_and_doubles_nothing(
    es: Elasticsearch, valkey: redis.Redis, own_broker: redis.Redis, shop: str, tmp_path: Path
) -> None:
    file = ndjson(tmp_path / "events.ndjson", *(bought(shop, n) for n in range(1200)))
    with (
        ThreadPoolExecutor(1) as pool,
        worker_process("first@events", {}, tmp_path / "first.log", "behaviour") as worker,
    ):
        answer = pool.submit(behaviour.run, import_events, str(file))
        wait_until(lambda: folded(valkey, shop) >= 100, 60)
        worker.stop_in_the_middle(lambda: own_broker.hlen("unacked"))
        assert folded(valkey, shop) < 1200, "it was over before the kill"
        kill(worker)
        with worker_process("second@events", {}, tmp_path / "second.log", "behaviour"):
            result = answer.result(120)
    assert counts(result) == {"read": 1200, "accepted": 1200, "duplicate": 0, "rejected": 0}
    assert folded(valkey, shop) == 1200
    assert journalled(es, shop)["ubi_events"] == 1200


def kill(worker: WorkerProcess) -> None:
    worker.kill()


def folded(valkey: redis.Redis, shop: str) -> int:
    names = valkey.scan_iter(f"hw:{shop}:seen:*", count=10_000)
    return sum(valkey.scard(name) for name in names)


def test_without_a_worker_it_says_so_and_leaves_the_events_in_valkey(
    valkey: redis.Redis,
    own_broker: redis.Redis,
    shop: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_import, "STALL_SECONDS", 0.1)
    monkeypatch.setattr(event_import, "NOBODY_SECONDS", 0.2)
    file = ndjson(tmp_path / "events.ndjson", bought(shop, 1))
    with pytest.raises(StackFailed, match="no worker"):
        behaviour.run(import_events, str(file))
    assert valkey.xlen(store.key(shop, "arrived")) == 1


def test_a_person_is_removed_everywhere_and_others_stay(
    es: Elasticsearch, valkey: redis.Redis, shop: str, tmp_path: Path
) -> None:
    def of(user: str, number: int, **fields: Any) -> dict[str, Any]:
        return bought(shop, number, user_id=user, **fields)

    gone, stays = f"gone-{shop}", f"stays-{shop}"
    anonymous = bought(shop, 50, client_id="browser")
    del anonymous["user_id"]
    query = {"application": shop, "user_query": "mug", "timestamp": 1318425555000}
    lines: list[Any] = [
        *(of(gone, number, client_id="browser", session_id="mine") for number in range(5)),
        anonymous,
        *(of(stays, number, session_id="theirs") for number in range(10, 13)),
        of(stays, 20, client_id="browser", session_id="theirs"),
        {**query, "query_id": "q-gone", "user_id": gone},
        {**query, "query_id": "q-stays", "user_id": stays},
        of(gone, 30, action_name="x" * 101),
        f'{{"user_id": "{gone}", broken',
    ]
    imported = behaviour.run(import_events, str(ndjson(tmp_path / "events.ndjson", *lines)))
    assert (imported["accepted"], imported["rejected"]) == (12, 2)
    key = settings.load().pseudonym_key.get_secret_value()
    page = store.key(shop, f"page:{pseudonym(key, gone)}:d1")
    other_page = store.key(shop, f"page:{pseudonym(key, stays)}:d1")
    valkey.mset({page: b"[]", other_page: b"[]"})
    popularity = valkey.get(store.key(shop, state.popularity_key("i1")))

    report = behaviour.run(erase_user, gone)

    assert report["journal"] == {"ubi_events": 6, "ubi_queries": 1}
    removed = report["valkey"][shop]
    assert (removed["shopper"], removed["page"]) == (2, 1)
    assert report["rejected_lines"] == 2
    assert journalled(es, shop) == {"ubi_events": 4, "ubi_queries": 1}
    assert {it.user for it in journal.scan(es, shop)} == {pseudonym(key, stays)}
    assert valkey.exists(store.key(shop, state.shopper_key(pseudonym(key, gone)))) == 0
    assert valkey.exists(store.key(shop, state.shopper_key(pseudonym(key, stays)))) == 1
    assert valkey.exists(page, other_page) == 1
    assert valkey.get(store.key(shop, state.popularity_key("i1"))) == popularity
    everything = b"".join([*behaviour.state(valkey, shop)])
    assert pseudonym(key, gone).encode() not in everything

    again = behaviour.run(erase_user, gone)
    assert (again["journal"], again["valkey"]) == ({"ubi_events": 0, "ubi_queries": 0}, {})


def test_wrong_usage_is_explained(shop: str) -> None:
    assert CliRunner().invoke(import_events, []).exit_code == 2
    assert CliRunner().invoke(erase_user, []).exit_code == 2
