"""`hitweave recommend`: one recommendation through the sidecar, as a table at a terminal."""

from typing import Any

import click
from rich.console import Console
from rich.table import Table

from compose.local.commands import search

STRATEGIES = ("hybrid", "collaborative", "content", "trending", "bought_together")
console = Console()


@click.command("recommend")
@click.argument("index")
@click.option("--user", help="For whom.")
@click.option("--item", "items", multiple=True, help="What to start from; may be said again.")
@click.option(
    "--strategy", type=click.Choice(STRATEGIES), default="hybrid", show_default=True,
    help="Which sources; hybrid: all of them, ordered by the model.",
)  # fmt: skip
@click.option("--size", default=10, show_default=True, type=click.IntRange(1, 200))
def command(index: str, user: str | None, items: tuple[str, ...], strategy: str, size: int) -> None:
    """Recommend goods of INDEX: for a person, or for items such as those of a cart."""
    sent: dict[str, Any] = {"index": index, "strategy": strategy, "size": size}
    if user:
        sent["user_id"] = user
    if items:
        sent["item_ids"] = list(items)
    answer = search.post("/recommend", sent)
    titles = titles_of(index, [it["id"] for it in answer["items"]])
    console.print(table(answer, titles))
    degraded = f", degraded: {answer['degraded']}" if answer["degraded"] else ""
    console.print(f"{answer['model'] or 'no trained model'}{degraded}, {answer['took']} ms")


def titles_of(index: str, ids: list[str]) -> dict[str, str]:
    """What the items are called."""
    body = {"query": {"ids": {"values": ids}}, "size": len(ids), "sort": ["_doc"]}
    hits = search.ask(index, body)["hits"]["hits"] if ids else []
    config = search.config_of(index)
    return {hit["_id"]: str(search.field_of(hit, config, "title") or "") for hit in hits}


def table(answer: dict[str, Any], titles: dict[str, str]) -> Table:
    """Items, one a row."""
    shown = Table(show_edge=False)
    shown.add_column("#", justify="right")
    shown.add_column("id", no_wrap=True)
    shown.add_column("score", justify="right")
    shown.add_column("title", overflow="fold")
    shown.add_column("source")
    shown.add_column("why", overflow="fold")
    for position, it in enumerate(answer["items"], start=1):
        title, why = search.short(titles.get(it["id"], "")), search.short(it["reason"])
        shown.add_row(str(position), it["id"], f"{it['score']:.4f}", title, it["source"], why)
    return shown
