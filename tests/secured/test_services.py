"""What Hitweave's own processes do where rights are missing, and that they tell no secret."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from tests.compose.waiting import until
from tests.secured.conftest import PASSWORD, Shop

CLICK = {
    "application": "shop",
    "action_name": "click",
    "event_attributes": {"object": {"object_id": "1"}},
}


def as_user(shop: Shop, name: str, password: str = PASSWORD) -> str:
    return shop.es_url.replace("http://", f"http://{name}:{password}@")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "shop9"), "view_index_metadata"),
        (("train", "shop"), "is granted by the index privileges"),
    ],
)
def test_a_missing_privilege_is_named(shop: Shop, arguments: tuple[str, ...], words: str) -> None:
    done = shop.run(*arguments, HITWEAVE_ELASTICSEARCH_URL=as_user(shop, "stranger"))
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert words in done.stderr


def test_doctor_names_the_privileges_that_are_missing(shop: Shop) -> None:
    whole = json.loads(shop.run("doctor").stdout.strip().splitlines()[-1])
    rights = next(it for it in whole["findings"] if it["subject"] == "rights")
    assert (rights["level"], rights["found"]) == ("ok", "service may do all that Hitweave does")


@pytest.mark.parametrize(
    "changes",
    [
        {"HITWEAVE_ELASTICSEARCH_URL": "http://service:{wrong}@{host}"},
        {"HITWEAVE_ELASTICSEARCH_URL": "http://service:{wrong}@127.0.0.1:1"},
        {"HITWEAVE_ELASTICSEARCH_URL": "service:{wrong}@{host}"},
        {"HITWEAVE_VALKEY_URL": "redis://:{wrong}@127.0.0.1:1/0"},
        {"HITWEAVE_VALKEY_URL": "valkey://:{wrong}@127.0.0.1:1/0"},
    ],
)
def test_no_command_tells_a_password(shop: Shop, changes: dict[str, str]) -> None:
    wrong = "hunter2-hunter2"
    host = shop.es_url.removeprefix("http://")
    filled = {name: text.format(wrong=wrong, host=host) for name, text in changes.items()}
    for command in (("create", "shop", "--if-missing"), ("doctor",)):
        done = shop.run(*command, **filled)
        assert done.returncode != 0
        told = done.stdout + done.stderr
        assert "Traceback" not in told
        for secret in (wrong, PASSWORD, base64.b64encode(f"service:{wrong}".encode()).decode()):
            assert secret not in told


def test_logs_and_metrics_tell_no_secret(shop: Shop) -> None:
    own = base64.b64encode(f"service:{PASSWORD}".encode()).decode()
    assert shop.ask("reader", "/shop/_search?q=mug").status == 200
    told = shop.ask(None, "/metrics").data.decode() + shop.ask(None, "/health/ready").data.decode()
    for name in ("sidecar.log", "worker.log"):
        told += (shop.folder / name).read_text()
    assert PASSWORD not in told
    assert own not in told


def test_events_wait_while_the_journal_is_closed(shop: Shop) -> None:
    with shop.boss() as es:
        _arrives_late(
            shop,
            es,
            lambda: es.indices.close(index="ubi_events"),
            lambda: es.indices.open(index="ubi_events"),
        )


def test_events_wait_while_the_journal_takes_no_writes(shop: Shop) -> None:
    free = {"index.blocks.write": None}
    with shop.boss() as es:
        _arrives_late(
            shop,
            es,
            lambda: es.indices.add_block(index="ubi_events", block="write"),
            lambda: es.indices.put_settings(index="ubi_events", settings=free),
        )


def _arrives_late(
    shop: Shop, es: Elasticsearch, shut: Callable[[], Any], reopen: Callable[[], Any]
) -> None:
    """An event that is sent while the journal is shut is there once it is open again."""

    def count() -> int:
        es.indices.refresh(index="ubi_events")
        return int(es.count(index="ubi_events")["count"])

    before, log = count(), shop.folder / "worker.log"
    seen = log.stat().st_size
    shut()
    try:
        assert shop.ask(None, "/events", CLICK | {"user_id": f"u{before}"}).status == 202
        until(lambda: b"retry: Retry" in log.read_bytes()[seen:], "it is refused", 30)
    finally:
        reopen()
    until(lambda: count() == before + 1, "the event is in the journal", 60)
