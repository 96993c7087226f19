"""`hitweave offpolicy FILE`: what another policy would have earned, from logged choices."""

from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table

FEW_IMPRESSIONS = 100
ESTIMATORS = ("on_policy", "ips", "snips", "dr")


@click.command("offpolicy")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--items", type=click.IntRange(min=1), help="How many items there were to choose.")
@click.option(
    "--target",
    type=click.Choice(["uniform", "greedy"]),
    default="uniform",
    show_default=True,
    help="The policy to judge: all items alike, or the log's most clicked.",
)
@click.option(
    "--clip",
    type=click.FloatRange(min=0),
    default=100.0,
    show_default=True,
    help="Largest weight of the clipped estimates; 0: none.",
)
@click.option("--seed", type=int, default=1, show_default=True)
def command(file: Path, items: int | None, target: Any, clip: float, seed: int) -> None:
    """Estimate by IPS, SNIPS and DR what a target policy would earn, from the choices in FILE.

    CSV, also .gz, with the columns item_id, position, click, propensity_score of the Open Bandit
    Dataset, and `group` where several rows are one search. The last line of stdout is one JSON
    object.
    """
    from reranker.evaluation import logged_choices

    said = logged_choices.of_target(logged_choices.read(file, items), target, clip or None, seed)
    console = Console(stderr=True)
    console.print(_table(said))
    if said["ips"]["effective_impressions"] < FEW_IMPRESSIONS:
        console.print("note: almost nothing logged is what the target would show: do not decide")
    click.echo(orjson.dumps({"file": file.name, **said}).decode())


def _table(said: dict[str, Any]) -> Table:
    title = f"{said['target']} policy, {said['impressions']} impressions"
    table = Table(title=title, title_justify="left")
    for heading in ("estimate", "value", "95 % interval", "effective impressions", "mean weight"):
        table.add_column(heading, justify="right")
    for name, each in said.items():
        if not name.startswith(ESTIMATORS):
            continue
        low, high = each["interval"]
        table.add_row(
            name,
            f"{each['value']:.5f}",
            f"{low:.5f} to {high:.5f}",
            f"{each['effective_impressions']:.0f}",
            f"{each['mean_weight']:.3f}",
        )
    return table
