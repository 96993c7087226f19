"""What the flows of behaviour share: a shop, commands in this process, and looking at its state."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import redis
from click.testing import CliRunner
from elasticsearch import Elasticsearch

from indexer.behaviour.journal_index import EVENTS, QUERIES

Event = dict[str, Any]
KINDS = {
    *(b"pop", b"shopper", b"query", b"co", b"basket"),
    *(b"seen", b"watermark", b"revision"),
}


def run(command: click.Command, *arguments: str, stdin: bytes | None = None) -> dict[str, Any]:
    """Carry out a command in this process (a new one takes seconds to start); what it prints."""
    result = CliRunner().invoke(command, arguments, input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


def bought(shop: str, number: int, **fields: Any) -> Event:
    """A purchase from long ago."""
    return {
        "application": shop,
        "action_name": "purchase",
        "timestamp": f"2011-10-{1 + number % 28:02d}T10:{number % 60:02d}:00.000Z",
        "user_id": f"shopper-{number % 5}",
        "session_id": f"basket-{number // 4}",
        "event_attributes": {"object": {"object_id": f"i{number % 9}"}, "line": number},
        **fields,
    }


def clicked(shop: str, item: str, **fields: Any) -> Event:
    """A click of now."""
    attributes = {"object": {"object_id": item}, "position": {"ordinal": 1}}
    return {
        "application": shop,
        "action_name": "click",
        "user_id": "shopper-live",
        "session_id": "visit",
        "event_attributes": attributes,
        **fields,
    }


def ndjson(path: Path, *lines: Mapping[str, Any] | str) -> Path:
    """A file of lines, as they are or as JSON."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def state(valkey: redis.Redis, shop: str) -> dict[bytes, object]:
    """Everything that is kept of a shop's behaviour."""
    names = sorted(valkey.scan_iter(f"hw:{shop}:*", count=10_000))
    return {name: valkey.dump(name) for name in names if name.split(b":")[2] in KINDS}


def journalled(es: Elasticsearch, shop: str) -> dict[str, int]:
    """How many events and queries the journal holds of a shop."""
    es.indices.refresh(index=[EVENTS, QUERIES])
    term = {"term": {"hitweave.index": shop}}
    return {name: int(es.count(index=name, query=term)["count"]) for name in (EVENTS, QUERIES)}
