"""`hitweave erase-user`: removes a person everywhere, and says what was removed where."""

import re
import time
from pathlib import Path

import click
import orjson

from compose.local.event_import import JOB_PREFIX
from indexer import connections, settings
from indexer.behaviour import applications, erasure
from indexer.behaviour.erasure import Person
from indexer.errors import AskedWrongly


@click.command("erase-user")
@click.argument("user")
def command(user: str) -> None:
    """Remove the person with the id USER (a user id, or a client id) everywhere.

    Removed are the person's events and queries in ubi_events and ubi_queries, also those of the
    person's clients from before a login; the shopper profile, open baskets and kept pages in
    Valkey; and rejected lines of imports that name the person. Aggregates stay, they hold no ids:
    popularity, query counts, co-purchase, and what a trained model learned from them. Events that
    are still on their way come in afterwards: run the command again then. The last line of stdout
    is one JSON object that says what was removed where.
    """
    if not user.strip():
        raise AskedWrongly("USER is empty: name a person")
    started = time.monotonic()
    known = settings.load()
    es, valkey = connections.elasticsearch(known), connections.valkey(known)
    connections.check_elasticsearch(es, known)
    connections.check_valkey(valkey, known)
    person = erasure.find(es, known.pseudonym_key.get_secret_value(), user)
    erased = erasure.erase(es, valkey, person, applications.read(es).named)
    report = {
        "pseudonym": person.user,
        "clients": len(person.clients),
        "journal": erased.journal,
        "valkey": {index: counts for index, counts in erased.valkey.items() if counts.total()},
        "rejected_lines": _erase_rejected(known.home / "rejected", user, person),
        "seconds": round(time.monotonic() - started, 2),
    }
    click.echo(orjson.dumps(report).decode())


def _erase_rejected(folder: Path, user: str, person: Person) -> int:
    """Remove lines that name the person, by pseudonym or, where they were no JSON, by the id."""
    names = "|".join(re.escape(name) for name in (user, person.user, *person.clients))
    named = re.compile(rf"(?<![\w-])(?:{names})(?![\w-])".encode())
    removed = 0
    for file in folder.glob(f"{JOB_PREFIX}*.ndjson"):
        lines = file.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not named.search(_source_of(line))]
        if len(kept) < len(lines):
            removed += len(lines) - len(kept)
            partial = file.with_suffix(".partial")
            partial.write_bytes(b"".join(kept))
            partial.replace(file)
    return removed


def _source_of(line: bytes) -> bytes:
    source: str = orjson.loads(line)["source"]
    return source.encode()
