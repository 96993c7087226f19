"""Options of every command that trains, or writes what training would see."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def schedule(said: str, default: str = "full") -> Option:
    """`--schedule`, as `name`."""
    kinds = click.Choice(["full", "quick"])
    return click.option(
        "--schedule", "name", type=kinds, default=default, show_default=True, help=said
    )


def config(said: str) -> Option:
    """`--config`, as `file`."""
    path = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.option("--config", "file", type=path, help=said)
