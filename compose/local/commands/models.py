"""`hitweave models`: which models there are, which one serves, and changing that."""

from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table

from indexer import settings
from indexer.errors import AskedWrongly
from reranker.fusion.registry import CURRENT, Registry


@click.command("models")
@click.argument("action", type=click.Choice(["list", "promote", "rollback"]), default="list")
@click.argument("version", required=False)
@click.option("--index", help="The index, where there are models of several.")
def command(action: str, version: str | None, index: str | None) -> None:
    """List models, promote VERSION, or roll back to the model that served before.

    A sidecar follows within its polling time, without losing a request. The last line of stdout is
    one JSON object.
    """
    models_dir = settings.load().models_dir
    if action == "promote" and version is None:
        raise AskedWrongly("say which version to promote: `hitweave models list` shows them")
    if action == "list":
        answer: dict[str, Any] = {"models": _listed(models_dir, index)}
    else:
        registry = Registry(models_dir, _only(models_dir, index))
        if action == "promote":
            registry.promote(str(version))
        else:
            registry.rollback()
        answer = {"index": registry.folder.name, "serving": registry.current()}
    click.echo(orjson.dumps(answer).decode())


def _indices(models_dir: Path) -> list[str]:
    if not models_dir.is_dir():
        return []
    return sorted(p.name for p in models_dir.iterdir() if p.is_dir())


def _only(models_dir: Path, index: str | None) -> str:
    found = _indices(models_dir)
    if index is not None:
        return index
    if len(found) != 1:
        known = ", ".join(found) or "none"
        raise AskedWrongly(f"say --index: there are models of several or no indices ({known})")
    return found[0]


def _listed(models_dir: Path, index: str | None) -> list[dict[str, Any]]:
    table = Table("index", "version", "created", "MRR before", "MRR after", CURRENT)
    rows = []
    for name in [index] if index else _indices(models_dir):
        registry = Registry(models_dir, name)
        serving = registry.current()
        for manifest in registry.versions():
            before, after = (manifest.metrics.get(k, {}).get("mrr") for k in ("before", "after"))
            serves = manifest.version == serving
            rows.append(
                {
                    "index": name,
                    "version": manifest.version,
                    "created_at": manifest.created_at,
                    "parent": manifest.parent,
                    "mrr_before": before,
                    "mrr_after": after,
                    "serving": serves,
                }
            )
            table.add_row(
                name,
                manifest.version,
                manifest.created_at,
                str(before),
                str(after),
                "serves" if serves else "",
            )
    Console(stderr=True).print(table)
    return rows
