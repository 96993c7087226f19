"""`hitweave catalogue INDEX FILE`: products from a file into the index, through the workers."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, get_args

import click
import orjson
import redis
from elastic_transport import TransportError
from elasticsearch import Elasticsearch

from compose.local.job_bar import Advance, job_bar
from indexer import connections, settings
from indexer.catalogue import feed, generation, mapping, rejected
from indexer.catalogue.job import Job, new_id
from indexer.catalogue.product import Product
from indexer.catalogue.submission import Intake, Limits, Submission, chunks
from indexer.catalogue.tally import Rejection
from indexer.errors import AskedWrongly, ElasticsearchUnavailable
from indexer.settings import Settings

CONFIG_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("index")
@click.argument("file")
@click.option(
    "--format", "form", type=click.Choice(get_args(feed.Format)), help="Default: by the file name."
)
@click.option("--config", type=CONFIG_FILE, help="Field names of this file, if not the index's.")
@click.option("--no-wait", is_flag=True, help="Return when everything is sent.")
def command(
    index: str, file: str, form: feed.Format | None, config: Path | None, no_wait: bool
) -> None:
    """Send FILE (JSON lines or CSV, `-` for standard input) to INDEX."""
    known = settings.load()
    with connections.elasticsearch(known) as es, connections.valkey(known) as valkey:
        connections.check_elasticsearch(es, known)
        connections.check_valkey(valkey, known)
        stamped = generation.resolve(es, index).config
        fields = (mapping.read_config(config, index) if config else stamped).fields
        run = Run(known, es, valkey, index, new_id(index, datetime.now(UTC)))
        with feed.open_feed(file, sys.stdin.buffer) as stream:
            answer = run.carry_out(stream, form or feed.format_of(file), fields, not no_wait)
    click.echo(orjson.dumps(answer))


@dataclass
class Readable:
    """The lines of a feed up to its end, or to where it is damaged; the error is kept for later."""

    lines: Iterable[tuple[int, Product | Rejection]]
    damage: AskedWrongly | None = None

    def __iter__(self) -> Iterator[tuple[int, Product | Rejection]]:
        try:
            yield from self.lines
        except AskedWrongly as damage:
            self.damage = damage


@dataclass(frozen=True)
class Run:
    """One catalogue job."""

    known: Settings
    es: Elasticsearch
    valkey: redis.Redis
    index: str
    job: str

    def carry_out(
        self, stream: BinaryIO, form: feed.Format, fields: Mapping[str, str], wait: bool
    ) -> dict[str, Any]:
        """Send everything, wait if asked; what the command prints.

        Of a damaged file all that can be read is sent before AskedWrongly is raised.
        """
        started = time.monotonic()
        intake = Intake()
        lines = Readable(feed.read_feed(stream, form, fields, self.known.line_bytes_max))
        with job_bar("products", lambda: estimated_lines(stream, intake.read)) as advance:
            submission = Submission(
                Job(self.valkey, self.job),
                self.es,
                self.known.index_retry_seconds_max,
                advance,
            )
            rejected_here = self._send(submission, intake, lines, advance)
            if wait:
                submission.wait()
                self._show_effect(submission)
        if lines.damage:
            raise lines.damage
        counts = submission.counts
        counts = replace(counts, rejected=counts.rejected + rejected_here)
        return {
            "read": intake.read,
            **counts.to_json(),
            "seconds": round(time.monotonic() - started, 3),
            "job": self.job,
        }

    def _send(
        self, submission: Submission, intake: Intake, lines: Readable, advance: Advance
    ) -> int:
        """Send all chunks; how many lines were rejected here, which are done with that."""
        limits = Limits(self.known.chunk_items, self.known.chunk_bytes)
        count = 0
        for chunk in chunks(intake.products(lines), limits, now_ms):
            submission.send_updates(self.index, chunk)
            advance(rejected_now := self._keep(intake.take_rejections()))
            count += rejected_now
        advance(rejected_now := self._keep(intake.take_rejections()))
        return count + rejected_now

    def _keep(self, rejections: list[Rejection]) -> int:
        rejected.append(self.known.home / "rejected", self.job, rejections)
        rejected.keep(self.es, self.job, rejections, now_ms=now_ms())
        return len(rejections)

    def _show_effect(self, submission: Submission) -> None:
        """Make what was written searchable and what was rejected findable."""
        refused = submission.job.rejections()
        path = rejected.append(self.known.home / "rejected", self.job, refused)
        try:
            self.es.indices.refresh(index=f"{self.index},{generation.REJECTED}")
        except TransportError as error:
            raise ElasticsearchUnavailable(f"Elasticsearch went away: {error}") from error
        if path.exists():
            click.echo(f"rejected lines with their reasons: {path}", err=True)


def now_ms() -> int:
    """The time of arrival."""
    return time.time_ns() // 1_000_000


def estimated_lines(stream: BinaryIO, read: int) -> int | None:
    """How many lines there will be, by the share of the file that was read; None for a pipe."""
    try:
        raw = getattr(stream, "fileobj", stream)
        size = os.fstat(raw.fileno()).st_size
        return round(read * size / raw.tell()) if size and raw.tell() else None
    except (OSError, ValueError):
        return None
