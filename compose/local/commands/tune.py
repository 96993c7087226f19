"""`hitweave tune INDEX`: search settings of training within a time budget, write them to a file."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson
import yaml

from compose.local import training_options

if TYPE_CHECKING:
    from reranker.learning.launch import Asked
    from reranker.learning.tune import Budget, Ground, Tuned

TOO_LITTLE = "there is too little behaviour before the held-out time to tune on"
HEAD = "# Written by `hitweave tune {index}`; used by `hitweave train {index} --config {file}`.\n"


@click.command("tune")
@click.argument("index")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Time for everything. The schedule's own settings are always tried to their end.",
)
@click.option("--until", help="Look only at events up to this ISO 8601 time.")
@training_options.config("A schedule as YAML or JSON to begin with, over the named one.")
@training_options.schedule("Which lists to try on.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("tuned.yaml"),
    show_default=True,
    help="Where the settings go.",
)
def command(
    index: str, minutes: float, until: str | None, file: Path | None, name: str, output: Path
) -> None:
    """Search settings of the fusion model's training that suit INDEX.

    Trials are measured on the weeks before those that `hitweave train` measures on, so the choice
    has never seen what training is judged by. The last line of stdout is one JSON object.
    """
    from reranker.learning import launch, tune

    budget = tune.Budget(60.0 * minutes, time.monotonic, time.monotonic())
    asked = launch.Asked(index, until, file, name)
    answer: dict[str, Any] = {"index": index}
    found = _searched(asked, budget)
    if found is None:
        answer["why"] = TOO_LITTLE
    else:
        head = HEAD.format(index=index, file=output)
        settings = {"schedule": name, **asked.said(), **found[1].best}
        output.write_text(head + yaml.safe_dump(settings, sort_keys=False), "utf-8")
        answer |= _described(*found) | {"file": str(output)}
    answer["seconds"] = round(budget.gone, 1)
    click.echo(orjson.dumps(answer).decode())


def _searched(asked: "Asked", budget: "Budget") -> "tuple[Ground, Tuned] | None":
    """Read, assemble once, search; None where there is too little behaviour."""
    from indexer.catalogue import generation
    from reranker.fusion.registry import Registry
    from reranker.learning import job, judged, launch, material, tune
    from reranker.learning.bars import bars
    from reranker.learning.equipment import Equipment

    schedule, seconds = asked.schedule(), launch.seconds(asked.until)
    servers = job.Servers.reached()
    where = generation.resolve(servers.es, asked.index)
    with bars() as progress:
        told = progress("journal and catalogue", 1)
        kept = judged.kept(Registry(servers.models_dir, where.index).folder)
        read = material.read(servers.es, servers.valkey, where, seconds, kept)
        told(1)
        on = tune.ground(read, schedule, progress)
        if on is None:
            return None
        told = progress("seconds of the budget", int(budget.seconds))
        return on, tune.search(on, schedule, budget, told, Equipment(launch.device()))


def _described(on: "Ground", found: "Tuned") -> dict[str, Any]:
    return {
        "best": found.best,
        "mrr": found.mrr,
        "default_mrr": found.default_mrr,
        "trials": found.trials,
        "pruned": found.pruned,
        "measured_lists": len(on.lists.held_out),
        "measured_from": _iso(on.plan.cut),
        "measured_until": _iso(on.cut),
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
