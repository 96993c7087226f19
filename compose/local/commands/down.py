"""`hitweave down`: end every process of the local stack; its data stays."""

import os
from pathlib import Path

import click
import orjson

from compose.local import stack
from compose.local.home import Home


@click.command("down")
def command() -> None:
    """End the stack of this --home; nothing of it keeps running. Data stays for the next `up`."""
    home = Home(Path(os.environ["HITWEAVE_HOME"]))
    ended = stack.take_down(home)
    print(orjson.dumps({"home": str(home.folder), "ended": ended}).decode())
