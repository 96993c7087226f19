"""`hitweave train INDEX`: learn from journalled behaviour, promote the model if it is better."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson
import redis
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from indexer import connections, settings
from indexer.catalogue import generation
from indexer.errors import AskedWrongly

SERVES_WITHIN_SECONDS = 60.0
POLL_SECONDS = 0.1


@click.command("train")
@click.argument("index")
@click.option("--until", help="Learn only from events up to this ISO 8601 time.")
@click.option(
    "--config",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A schedule as YAML or JSON, over the named one.",
)
@click.option(
    "--schedule",
    "name",
    type=click.Choice(["full", "quick"]),
    default="full",
    show_default=True,
    help="How long and how well.",
)
def command(index: str, until: str | None, file: Path | None, name: str) -> None:
    """Train the fusion model of INDEX and let it serve if it is better beyond noise.

    Measured on the last weeks, which the measured model never saw. Where searches were logged it
    learns from them, elsewhere from purchases with queries made from titles. The last line of
    stdout is one JSON object with the metrics before and after.
    """
    from reranker.learning import job, schedule

    started = time.monotonic()
    asked = schedule.read(file, name)
    known = settings.load()
    es, valkey = connections.elasticsearch(known), connections.valkey(known)
    connections.check_elasticsearch(es, known)
    connections.check_valkey(valkey, known)
    where = generation.resolve(es, index)
    servers = job.Servers(es, valkey, known.models_dir)
    with _progress() as progress:
        answer = job.train(
            servers,
            where,
            asked,
            until=_seconds(until),
            now=datetime.now(UTC),
            progress=progress,
        )
    if answer["promoted"]:
        answer["serving"] = _wait_until_served(valkey, index, answer["version"])
    answer["seconds"] = round(time.monotonic() - started, 1)
    click.echo(orjson.dumps(answer).decode())
    job.expect(answer, asked)


def _seconds(until: str | None) -> float | None:
    if until is None:
        return None
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        raise AskedWrongly(f"--until {until!r} is not an ISO 8601 time, like 2026-01-31") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@contextmanager
def _progress() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """A bar for each part of the run, on stderr."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def part(name: str, total: int) -> Callable[[int], None]:
            bar = bars.add_task(name, total=total)
            return lambda count: bars.advance(bar, count)

        yield part


def _wait_until_served(valkey: redis.Redis, index: str, version: str) -> dict[str, Any]:
    """Wait until every sidecar process that is there says it serves `version`."""
    deadline = time.monotonic() + SERVES_WITHIN_SECONDS
    while True:
        serving, others = _told(valkey, index, version)
        if not others or time.monotonic() > deadline:
            return {"processes": serving, "not_yet": others}
        time.sleep(POLL_SECONDS)


def _told(valkey: redis.Redis, index: str, version: str) -> tuple[int, int]:
    """How many sidecar processes serve `version`, and how many say something else."""
    told: dict[bytes, bytes] = valkey.hgetall(f"hw:{index}:serving")  # type: ignore[assignment]
    serving = sum(value.split()[0].decode() == version for value in told.values() if value)
    return serving, len(told) - serving
