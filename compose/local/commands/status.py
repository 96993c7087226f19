"""`hitweave status`: which parts are up, asked now; exit 3 unless all are."""

import os
import sys
from pathlib import Path

import click
import orjson

from compose.local import stack
from compose.local.home import Home
from indexer.errors import StackFailed


@click.command("status")
def command() -> None:
    """Ask every part whether it works; the last line is one JSON object."""
    state = stack.status(Home(Path(os.environ["HITWEAVE_HOME"])))
    for name, part in state["parts"].items():
        mark = "up" if part["ready"] else "DOWN"
        click.echo(f"{name:18} {mark:5} {part['state']:12} {part.get('note', '')}", err=True)
    if state["phase"] == "lost":
        click.echo("parts run without a supervisor: `hitweave down`, then `hitweave up`", err=True)
    elif not state["parts"]:
        click.echo(f"no stack runs in {state['home']}: `hitweave up` starts one", err=True)
    print(orjson.dumps(state).decode())
    if not state["ready"]:
        sys.exit(StackFailed.exit_code)
