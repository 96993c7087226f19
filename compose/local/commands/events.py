"""`hitweave events`: shopper behaviour from a file, through the workers, into ranking."""

import sys
import time
import uuid

import click
import orjson

from compose.local.event_import import JOB_PREFIX, EventImport
from compose.local.job_bar import job_bar
from indexer import connections, settings
from indexer.behaviour import applications, intake
from indexer.catalogue import feed
from indexer.errors import UnknownIndex


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
    with stream:
        run = _import(index)
        with job_bar("events", run.total) as run.advance:
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


def _import(index: str | None) -> EventImport:
    known = settings.load()
    es, valkey = connections.elasticsearch(known), connections.valkey(known)
    connections.check_elasticsearch(es, known)
    connections.check_valkey(valkey, known)
    there = applications.read(es)
    if index is not None and index not in there.named:
        raise UnknownIndex(f"there is no index {index!r}: make it with `hitweave create {index}`")
    job = JOB_PREFIX + uuid.uuid4().hex[:12]
    key = known.pseudonym_key.get_secret_value()
    return EventImport(
        valkey=valkey,
        terms=intake.Terms(there, key, time.time(), live=False, index=index),
        rejected_folder=known.home / "rejected",
        job=job,
        chunk_events=known.events_chunk,
        chunk_bytes=known.chunk_bytes,
        line_bytes_max=known.line_bytes_max,
    )
