"""`hitweave events`: shopper behaviour from a file, through the workers, into ranking."""

import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from compose.local.event_import import EventImport
from indexer import connections, settings
from indexer.behaviour import applications, intake
from indexer.catalogue import feed
from indexer.errors import UnknownIndex

Shown = Callable[[int, int], None]


@click.command("events")
@click.argument("file")
@click.option("--index", help="The index all of it belongs to, whatever `application` says.")
@click.option("--no-wait", is_flag=True, help="Return once everything is handed to the workers.")
def command(file: str, index: str | None, no_wait: bool) -> None:
    """Import UBI events and queries from FILE: NDJSON, plain or gzip, `-` for standard input.

    A line belongs to the index that its `application` names, else to the only index. Lines that
    are not taken are kept with their reason in HOME/rejected. Importing the same lines again
    changes nothing. The last line of stdout is one JSON object.
    """
    started = time.monotonic()
    stream = feed.open_feed(file, sys.stdin.buffer)
    with stream, _bar(stream) as shown:
        run = _import(index, shown)
        run.hand_over(stream)
        if not no_wait:
            run.wait()
    report: dict[str, object] = {"read": run.read}
    if no_wait:
        report |= {"handed_over": sum(run.under_way.values()) + run.folded}
        report |= {"rejected": run.rejected}
    else:
        total = run.finish()
        report |= {"accepted": total.accepted, "duplicate": total.duplicate}
        report |= {"rejected": total.rejected}
    if run.rejected_file.exists():
        report |= {"rejected_file": str(run.rejected_file)}
    report |= {"seconds": round(time.monotonic() - started, 2)}
    click.echo(orjson.dumps(report).decode())


def _import(index: str | None, shown: Shown) -> EventImport:
    known = settings.load()
    es, valkey = connections.elasticsearch(known), connections.valkey(known)
    connections.check_elasticsearch(es, known)
    connections.check_valkey(valkey, known)
    there = applications.read(es)
    if index is not None and index not in there.named:
        raise UnknownIndex(f"there is no index {index!r}: make it with `hitweave create {index}`")
    job = uuid.uuid4().hex[:12]
    key = known.pseudonym_key.get_secret_value()
    return EventImport(
        valkey=valkey,
        terms=intake.Terms(there, key, time.time(), live=False, index=index),
        rejected_file=known.home / "rejected" / f"{job}.ndjson",
        job=job,
        chunk_events=known.events_chunk,
        line_bytes_max=known.line_bytes_max,
        on_progress=shown,
    )


@contextmanager
def _bar(stream: BinaryIO) -> Iterator[Shown]:
    """A bar on stderr over the bytes of the file, with lines read and events folded beside it."""
    raw: BinaryIO = getattr(stream, "fileobj", stream)
    total = _size(raw)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=False) as bars:
        task = bars.add_task("events", total=total)

        def show(read: int, folded: int) -> None:
            at = raw.tell() if total is not None and not raw.closed else None
            bars.update(task, completed=at, description=f"{read:,} read, {folded:,} folded")

        yield show


def _size(raw: BinaryIO) -> int | None:
    if not raw.seekable():
        return None
    here = raw.tell()
    size = raw.seek(0, 2)
    raw.seek(here)
    return size
