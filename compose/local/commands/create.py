"""`hitweave create INDEX`: the index with its aliases, stamped with what made it.

Also what is done to an index as a whole later: attaching to one of somebody else's, building the
next generation, going back to the one before.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson
import redis
from elastic_transport import TransportError
from elasticsearch import Elasticsearch

from compose.local.job_bar import job_bar
from indexer import connections, settings
from indexer.behaviour import journal_index
from indexer.catalogue import attach, attachments, forget, generation, mapping, rebuild, stored
from indexer.catalogue.generation import Generation
from indexer.catalogue.job import Job, new_id
from indexer.catalogue.submission import Submission
from indexer.catalogue.tally import Counts
from indexer.catalogue.transfer import Route
from indexer.errors import AskedWrongly, ElasticsearchUnavailable, UnknownIndex
from indexer.settings import Settings


@click.command()
@click.argument("index")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Analyzer, encoder, field names and so on, as YAML or JSON.",
)
@click.option("--if-missing", is_flag=True, help="Do nothing where the index exists already.")
@click.option("--attach", "attaches", is_flag=True, help="Add what is missing to your own index.")
@click.option("--rebuild", "rebuilds", is_flag=True, help="Build and serve the next generation.")
@click.option("--rollback", "rolls_back", is_flag=True, help="Serve the generation before again.")
def command(
    index: str,
    config: Path | None,
    if_missing: bool,
    attaches: bool,
    rebuilds: bool,
    rolls_back: bool,
) -> None:
    """Create INDEX with its aliases."""
    if attaches + rebuilds + rolls_back > 1:
        raise AskedWrongly("choose one of --attach, --rebuild and --rollback")
    with opened(index, config) as run:
        if attaches:
            answer = run.attach()
        elif rebuilds:
            answer = run.rebuild()
        elif rolls_back:
            answer = run.roll_back()
        else:
            answer = run.create(if_missing=if_missing)
    click.echo(orjson.dumps(answer))


@contextmanager
def opened(index: str, config: Path | None) -> "Iterator[Run]":
    """The servers, checked, with words for one that goes away meanwhile."""
    known = settings.load()
    with connections.elasticsearch(known) as es, connections.valkey(known) as valkey:
        connections.check_elasticsearch(es, known)
        connections.check_valkey(valkey, known)
        try:
            with ExitStack() as bars:
                yield Run(known, es, valkey, index, config, bars)
        except TransportError as error:
            raise ElasticsearchUnavailable(f"Elasticsearch went away: {error}") from error


@dataclass(frozen=True)
class Run:
    """One call of the command."""

    known: Settings
    es: Elasticsearch
    valkey: redis.Redis
    index: str
    config: Path | None
    bars: ExitStack

    def create(self, *, if_missing: bool) -> dict[str, Any]:
        """The first generation."""
        found = self._existing() if if_missing else None
        made = found or self._made()
        journal_index.ensure(self.es)
        return {**described(made), "created": found is None}

    def _made(self) -> Generation:
        config = mapping.read_config(self.config, self.index)
        mapping.check_name(self.index)
        if not self.es.indices.exists(index=self.index):
            forget.forget(self.es, self.valkey, self.index)
        return generation.create(self.es, self.index, config)

    def _existing(self) -> Generation | None:
        try:
            return generation.resolve(self.es, self.index)
        except UnknownIndex:
            return None

    def attach(self) -> dict[str, Any]:
        """Stamp and fill the user's own index."""
        started = time.monotonic()
        config = mapping.read_config(self.config, self.index)
        made = attachments.attach_and_keep(self.es, self.index, config)
        journal_index.ensure(self.es)
        self.es.indices.refresh(index=made.concrete)
        missing = attach.missing_query(made)
        total = int(self.es.count(index=made.concrete, query=missing)["count"])
        submission = self.submission()(total)
        for ids in stored.scan_ids(self.es, made.concrete, missing, rebuild.CHUNK_IDS):
            rebuild.send_copy(submission, Route(made, made), ids, "embed")
        counts = submission.wait()
        self.es.indices.refresh(index=made.concrete)
        return {**described(made), **counts.to_json(), "seconds": since(started)}

    def rebuild(self) -> dict[str, Any]:
        """Build and serve the next generation."""
        config = mapping.read_config(self.config, self.index) if self.config else None
        started = time.monotonic()
        move, counts = rebuild.rebuild(self.es, self.valkey, self.index, config, self.submission())
        return moved(move, counts, started)

    def roll_back(self) -> dict[str, Any]:
        """Serve the generation before again."""
        started = time.monotonic()
        move, counts = rebuild.roll_back(self.es, self.valkey, self.index, self.submission())
        return moved(move, counts, started)

    def submission(self) -> Callable[[int], Submission]:
        """Makes a job for so many documents, each with its bar."""

        def make(total: int) -> Submission:
            job = Job(self.valkey, new_id(self.index, datetime.now(UTC)))
            self.bars.close()  # a terminal shows one bar at a time
            advance = self.bars.enter_context(job_bar("documents", lambda: total))
            return Submission(job, self.es, self.known.index_retry_seconds_max, advance)

        return make


def described(made: Generation) -> dict[str, Any]:
    """The generation, for the command line."""
    return {
        "index": made.index,
        "concrete": made.concrete,
        "encoder": made.recipe.encoder,
        "dims": made.recipe.dims,
    }


def moved(move: rebuild.Move, counts: Counts, started: float) -> dict[str, Any]:
    """What a move did, for the command line."""
    return {
        **described(move.target),
        "before": move.source.concrete,
        **counts.to_json(),
        "seconds": since(started),
    }


def since(started: float) -> float:
    """Seconds since a moment of the monotonic clock."""
    return round(time.monotonic() - started, 3)
