"""A catalogue from file to index and cards, through real workers."""

import gzip
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from click.testing import CliRunner
from elasticsearch import Elasticsearch

from compose.local.commands.catalogue import command as catalogue
from indexer.catalogue import card, card_store
from indexer.embedding.encoder import open_encoder
from indexer.errors import AskedWrongly
from tests.conftest import Stack
from tests.flows import commands
from tests.flows.commands import counts, created, run, sent

DIMS = 64
Feed = Callable[..., Path]
MUG: dict[str, Any] = {"id": "1", "title": "Red mug", "price": 3.5, "brand": "Acme"}


@pytest.fixture
def index(stack: Stack, index_name: str, tmp_path: Path) -> str:
    """An index of the small encoder."""
    created(index_name, "--config", commands.config(tmp_path, f"encoder: hashed:{DIMS}"))
    return index_name


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    """Write products to a file."""

    return partial(commands.feed, tmp_path)


def source(es: Elasticsearch, index: str, item_id: str) -> dict[str, Any]:
    found: dict[str, Any] = es.get(index=index, id=item_id)["_source"]
    return found


def vector(es: Elasticsearch, index: str, item_id: str) -> list[float]:
    hits = es.search(index=index, query={"ids": {"values": [item_id]}}, fields=["embedding"])
    found: list[float] = hits["hits"]["hits"][0]["fields"]["embedding"]
    return found


def item_card(valkey: redis.Redis, index: str, item_id: str) -> Any:
    blob = valkey.get(card_store.key(index, item_id))
    records, present = card.unpack_many([blob], DIMS)
    assert present[0]
    return records[0]


def test_products_are_searchable_with_their_vectors_and_cards(
    stack: Stack, es: Elasticsearch, valkey: redis.Redis, index: str, feed: Feed
) -> None:
    line = {**MUG, "updated_at": "2026-01-01T00:00:00Z", "available": False, "ean": "401"}
    answer = stack.run_json("catalogue", index, str(feed(line)))
    assert answer["read"] == 1
    assert counts(answer) == {"embedded": 1}

    hits = es.search(index=index, query={"match": {"title": "mug"}})["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == ["1"]
    assert {k: v for k, v in hits[0]["_source"].items() if k != "hitweave"} == {
        "id": "1",
        "title": "Red mug",
        "price": 3.5,
        "brand": "Acme",
        "ean": "401",
        "available": False,
        "updated_at": "2026-01-01T00:00:00.000Z",
    }
    expected = open_encoder(f"hashed:{DIMS}").encode(["Red mug. Acme"], role="passage")[0]
    assert np.allclose(vector(es, index, "1"), expected, atol=1e-6)
    found = item_card(valkey, index, "1")
    assert (found["price"], found["available"]) == (3.5, 0)
    assert found["brand"] == card.token("acme")
    assert np.allclose(card.vectors(np.array([found]))[0], expected, atol=0.01)


def test_the_same_file_again_changes_nothing(stack: Stack, index: str, feed: Feed) -> None:
    path = feed(MUG, {**MUG, "id": "2"}, {"id": "3", "deleted": True})
    assert sent(index, path) == {"embedded": 2, "unchanged": 1}
    assert sent(index, path) == {"unchanged": 3}


def test_a_price_change_does_not_reembed(
    stack: Stack, es: Elasticsearch, valkey: redis.Redis, index: str, feed: Feed
) -> None:
    sent(index, feed(MUG))
    before = vector(es, index, "1")
    assert sent(index, feed({**MUG, "price": 9})) == {"updated": 1}
    assert source(es, index, "1")["price"] == 9
    assert vector(es, index, "1") == before
    assert item_card(valkey, index, "1")["price"] == 9


def test_a_new_title_is_embedded_anew(
    stack: Stack, es: Elasticsearch, index: str, feed: Feed
) -> None:
    sent(index, feed(MUG))
    before = vector(es, index, "1")
    assert sent(index, feed({**MUG, "title": "Blue bowl"})) == {"embedded": 1}
    assert vector(es, index, "1") != before


def test_an_older_update_never_overwrites_a_newer_one(
    stack: Stack, es: Elasticsearch, index: str, feed: Feed
) -> None:
    newer = {**MUG, "price": 2, "updated_at": "2026-02-01T00:00:00Z"}
    older = {**MUG, "price": 1, "updated_at": "2026-01-01T00:00:00Z"}
    sent(index, feed(newer))
    assert sent(index, feed(older)) == {"stale": 1}
    assert source(es, index, "1")["price"] == 2


def test_of_two_lines_of_one_product_the_newer_counts_wherever_it_stands(
    stack: Stack, es: Elasticsearch, index: str, feed: Feed
) -> None:
    newer = {**MUG, "price": 2, "updated_at": "2026-02-01T00:00:00Z"}
    older = {**MUG, "price": 1, "updated_at": "2026-01-01T00:00:00Z"}
    first, second = {**MUG, "id": "2", "price": 1}, {**MUG, "id": "2", "price": 2}
    assert sent(index, feed(newer, older, first, second)) == {"embedded": 2, "stale": 2}
    assert source(es, index, "1")["price"] == 2
    assert source(es, index, "2")["price"] == 2


def test_of_lines_that_say_no_time_the_later_counts(
    stack: Stack, es: Elasticsearch, index: str, feed: Feed
) -> None:
    names = [str(number) for number in range(8)]
    lines = [
        {"id": name, "title": f"{word} {name}"} for word in ("wrong", "right") for name in names
    ]
    gone = {"id": "gone", "title": "Gone"}
    back = [{"id": "back", "deleted": True}, {"id": "back", "title": "Back again"}]
    sent(index, feed(*lines, gone, {"id": "gone", "deleted": True}, *back))
    assert [source(es, index, name)["title"] for name in names] == [f"right {n}" for n in names]
    assert not es.exists(index=index, id="gone")
    assert source(es, index, "back")["title"] == "Back again"


def test_a_deleted_product_stays_deleted_when_older_news_of_it_comes_late(
    stack: Stack, es: Elasticsearch, valkey: redis.Redis, index: str, feed: Feed
) -> None:
    gone = {"id": "1", "deleted": True, "updated_at": "2026-02-01T00:00:00Z"}
    late = {**MUG, "updated_at": "2026-01-15T00:00:00Z"}
    sent(index, feed({**MUG, "updated_at": "2026-01-01T00:00:00Z"}))
    assert sent(index, feed(gone)) == {"deleted": 1}
    assert valkey.get(card_store.key(index, "1")) is None
    assert sent(index, feed(late)) == {"stale": 1}
    assert not es.exists(index=index, id="1")
    again = {**MUG, "updated_at": "2026-03-01T00:00:00Z"}
    assert sent(index, feed(again)) == {"embedded": 1}


def test_what_says_a_time_to_come_can_still_be_corrected_and_deleted(
    stack: Stack, es: Elasticsearch, index: str, feed: Feed
) -> None:
    ahead = "2100-01-01T00:00:00Z"
    sent(index, feed({**MUG, "price": 1, "updated_at": ahead}))
    assert sent(index, feed({**MUG, "price": 2, "updated_at": ahead})) == {"updated": 1}
    assert source(es, index, "1")["updated_at"] == "2100-01-01T00:00:00.000Z"
    assert sent(index, feed({**MUG, "price": 3})) == {"updated": 1}
    assert source(es, index, "1")["price"] == 3
    sent(index, feed({**MUG, "price": 4, "updated_at": ahead}))
    assert sent(index, feed({"id": "1", "deleted": True})) == {"deleted": 1}
    assert not es.exists(index=index, id="1")


def test_news_that_came_late_does_not_undo_what_was_only_confirmed(
    stack: Stack, es: Elasticsearch, index: str, feed: Feed
) -> None:
    sent(index, feed(MUG))
    between = {**MUG, "price": 7, "updated_at": source(es, index, "1")["updated_at"]}
    assert sent(index, feed(MUG)) == {"unchanged": 1}
    assert sent(index, feed(between)) == {"stale": 1}


def test_rejected_lines_are_kept_where_an_operator_finds_them(
    stack: Stack, es: Elasticsearch, index: str, feed: Feed
) -> None:
    deep: dict[str, Any] = {"end": "x"}
    for _ in range(30):
        deep = {"a": deep}
    path = feed(MUG, {"id": "2"}, {**MUG, "id": "3", "attributes": deep}, {**MUG, "id": "4"})
    with path.open("ab") as file:
        file.write(b'{"id":"5","title":"caf\xe9"}\n')
    answer = run(catalogue, index, str(path))
    assert answer["read"] == 5
    assert counts(answer) == {"embedded": 2, "rejected": 3}

    kept = stack.home / "rejected" / f"{answer['job']}.ndjson"
    lines = {one["line"]: one for one in map(json.loads, kept.read_text().splitlines())}
    assert sorted(lines) == [2, 3, 5]
    assert "title" in lines[2]["reason"]
    assert "depth" in lines[3]["reason"]
    hits = es.search(index="hitweave_rejected", query={"term": {"job": answer["job"]}})
    assert {hit["_source"]["line"] for hit in hits["hits"]["hits"]} == {2, 3, 5}
    again = CliRunner().invoke(catalogue, [index, str(path)], catch_exceptions=False)
    assert re.search(r"products .*\b5/5\b", again.stderr), again.stderr  # rejected is done with


def test_csv_gzip_and_standard_input_are_read(
    stack: Stack, es: Elasticsearch, index: str, tmp_path: Path
) -> None:
    table = tmp_path / "feed.csv.gz"
    table.write_bytes(gzip.compress(b"id,title,categories\n1,Mug,Kitchen|Mugs\n"))
    assert sent(index, table) == {"embedded": 1}
    assert source(es, index, "1")["categories"] == ["Kitchen", "Mugs"]
    assert sent(index, "-", b'{"id":"2","title":"Cup"}\n') == {"embedded": 1}


def test_of_a_damaged_file_what_can_be_read_is_indexed_and_the_rest_is_named(
    stack: Stack, es: Elasticsearch, index: str, tmp_path: Path
) -> None:
    table = tmp_path / "feed.csv.gz"
    rows = "".join(f"{number},Mug {number}\n" for number in range(1000))
    table.write_bytes(gzip.compress(f"id,title\n0\n{rows}".encode(), mtime=0)[:-1000])
    with pytest.raises(AskedWrongly, match=r"damaged after line \d+ \(") as raised:
        sent(index, table)
    assert raised.value.exit_code == 2
    last = int(str(raised.value).partition("after line ")[2].split()[0])
    assert 2 < last < 1000
    assert es.count(index=index)["count"] == last - 2


def test_field_names_of_a_shop_are_mapped_onto_ours(
    stack: Stack, es: Elasticsearch, index_name: str, feed: Feed, tmp_path: Path
) -> None:
    fields = "fields: {id: sku, title: name, price: money.amount}"
    created(index_name, "--config", commands.config(tmp_path, f"encoder: hashed:{DIMS}\n{fields}"))
    line = {"sku": "9", "name": "Mug", "money": {"amount": "3.5", "tax": 1}}
    assert sent(index_name, feed(line)) == {"embedded": 1}
    document = source(es, index_name, "9")
    assert (document["sku"], document["name"]) == ("9", "Mug")
    assert document["money"] == {"amount": 3.5, "tax": 1}
    hits = es.search(index=index_name, query={"range": {"money.amount": {"lt": 4}}})
    assert hits["hits"]["total"]["value"] == 1


def test_an_index_that_is_not_there_is_named_and_what_to_do(stack: Stack, feed: Feed) -> None:
    done = stack.run("catalogue", "nowhere", str(feed(MUG)), check=False)
    assert done.returncode == 2
    assert "hitweave create nowhere" in done.stderr
    assert done.stdout == ""


def test_a_queue_without_a_worker_is_an_error_and_not_a_hang(
    stack: Stack, index: str, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITWEAVE_BROKER_URL", stack.valkey_url.removesuffix("0") + "9")
    done = stack.run("catalogue", index, str(feed(MUG)), check=False, timeout=60)
    assert done.returncode == 3
    assert "queue index" in done.stderr


def test_a_card_that_was_lost_is_written_again_by_the_next_run(
    stack: Stack, valkey: redis.Redis, index: str, feed: Feed
) -> None:
    path = feed(MUG)
    sent(index, path)
    valkey.delete(card_store.key(index, "1"))
    assert sent(index, path) == {"unchanged": 1}
    assert item_card(valkey, index, "1")["price"] == 3.5


def test_a_new_index_of_an_old_name_begins_anew(
    stack: Stack, es: Elasticsearch, valkey: redis.Redis, index: str, feed: Feed, tmp_path: Path
) -> None:
    lines = [MUG, {"id": "2", "deleted": True}]
    sent(index, feed(*lines))
    sent(index, feed(*lines))
    es.indices.delete(index=f"{index}-000001")
    created(index, "--config", commands.config(tmp_path, f"encoder: hashed:{DIMS}"))
    assert valkey.get(card_store.key(index, "1")) is None
    older = [{**MUG, "updated_at": "2020-01-01"}, {**MUG, "id": "2", "updated_at": "2020-01-01"}]
    assert sent(index, feed(*older)) == {"embedded": 2}
