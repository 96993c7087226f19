"""Commands carried out in the test's own process: a new one takes seconds to start."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from compose.local.commands.catalogue import command as catalogue
from compose.local.commands.create import command as create

NOT_COUNTED = frozenset({"seconds", "job", "read", "index", "concrete", "encoder", "dims"})


def run(command: click.Command, *arguments: str, stdin: bytes | None = None) -> dict[str, Any]:
    """What a command prints, decoded; its errors are raised as they are."""
    result = CliRunner().invoke(command, arguments, input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


def created(index: str, *arguments: str) -> dict[str, Any]:
    """What `hitweave create` prints."""
    return run(create, index, *arguments)


def sent(index: str, path: Path | str, stdin: bytes | None = None) -> dict[str, object]:
    """What became of the lines of a file."""
    return counts(run(catalogue, index, str(path), stdin=stdin))


def counts(answer: Mapping[str, object]) -> dict[str, object]:
    """What happened, without what did not happen and what is no count."""
    return {name: value for name, value in answer.items() if value and name not in NOT_COUNTED}


def feed(folder: Path, *products: Mapping[str, Any]) -> Path:
    """A file of products."""
    path = folder / "feed.jsonl"
    path.write_text("".join(json.dumps(product) + "\n" for product in products))
    return path


def config(folder: Path, text: str) -> str:
    """The path of a configuration file."""
    path = folder / "index.yaml"
    path.write_text(text)
    return str(path)
