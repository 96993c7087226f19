"""`hitweave train INDEX`: learn from journalled behaviour, promote the model if it is better."""

import time
from pathlib import Path
from typing import Any

import click
import orjson
import redis

from compose.local import training_options
from indexer import connections, settings

SERVES_WITHIN_SECONDS = 60.0
POLL_SECONDS = 0.1


@click.command("train")
@click.argument("index")
@click.option("--until", help="Learn only from events up to this ISO 8601 time.")
@training_options.config("A schedule as YAML or JSON, over the named one.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Train over so many processes of this machine, one a GPU where there are GPUs.",
)
@click.option(
    "--judgements",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Learn from graded judgements too (CSV or TSV: query, docid, rating).",
)
@click.option("--forget-judgements", is_flag=True, help="Learn no more from those given before.")
@training_options.schedule("How long and how well.")
def command(
    index: str,
    until: str | None,
    file: Path | None,
    processes: int,
    judgements: Path | None,
    forget_judgements: bool,
    name: str,
) -> None:
    """Train the fusion model of INDEX and let it serve if it is better beyond noise.

    Measured on the last weeks, which the measured model never saw. Where searches were logged it
    learns from them, elsewhere from purchases with queries made from titles. An interrupted run
    with the same schedule and data goes on where it was; HOME/runs has its curves. The last line
    of stdout is one JSON object with the metrics before and after.

    Judgements are kept with the models and learned from in later runs too, also scheduled ones,
    until others take their place. A fifth of their queries is measured on.
    """
    from reranker.learning import job, launch

    started = time.monotonic()
    asked = launch.Asked(index, until, file, name, judgements=judgements, forget=forget_judgements)
    schedule = asked.schedule()
    answer = launch.over_processes(asked, processes) if processes > 1 else launch.alone(asked)
    if answer["promoted"]:
        valkey = connections.valkey(settings.load())
        answer["serving"] = _wait_until_served(valkey, index, answer["version"])
    answer["seconds"] = round(time.monotonic() - started, 1)
    click.echo(orjson.dumps(answer).decode())
    job.expect(answer, schedule)


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
