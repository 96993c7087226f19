"""`hitweave demo`: the whole way on the sample shop, by the commands a user would type."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import click
from elasticsearch import Elasticsearch
from rich.console import Console
from rich.table import Table

from indexer import settings
from indexer.errors import HitweaveError

SAMPLE = Path(__file__).parents[2] / "sample"
MODES = ("bm25", "knn", "rrf", "fused")
SHOP, SHOP_ZH = "onlineretail", "shop-zh"
SEARCHES: tuple[tuple[str, str, tuple[str | None, ...]], ...] = (
    (SHOP, "bag", ("14911", "12748")),
    (SHOP_ZH, "无线耳机", (None,)),
)
SHOWN = 5
console = Console()


@click.command()
@click.option("--once", is_flag=True, help="Stop everything after printing.")
@click.option("--cases", "cases_limit", default=1000, show_default=True, help="Held-out purchases.")
def command(once: bool, cases_limit: int) -> None:
    """Start the local stack, index, learn, and show searches side by side."""
    hitweave("up", "--detach")
    try:
        prepare()
        show_searches()
        show_metrics(cases_limit)
        console.print(f"\nStorefront: {settings.load().sidecar_url}/")
        if not once:
            wait_for_interrupt()
    finally:
        hitweave("down")


def prepare() -> None:
    """Two shops: one with a year of purchases to learn from, one in Chinese without any."""
    hitweave("create", SHOP, "--if-missing")
    hitweave("catalogue", SHOP, str(SAMPLE / "onlineretail-products.jsonl.gz"))
    hitweave("events", str(SAMPLE / "onlineretail-purchases.ndjson.gz"))
    hitweave("train", SHOP, "--schedule", "quick")
    hitweave("create", SHOP_ZH, "--if-missing")
    hitweave("catalogue", SHOP_ZH, str(SAMPLE / "zh-products.jsonl"))


def hitweave(*args: str) -> dict[str, Any]:
    """Run one command on this stack, its progress on our terminal; its JSON result."""
    console.print(f"\n[bold]$ hitweave {' '.join(args)}[/bold]")
    program = [sys.executable, "-m", "compose.local.cli", "--home", os.environ["HITWEAVE_HOME"]]
    done = subprocess.run([*program, *args], stdout=subprocess.PIPE, text=True, check=False)
    console.print(done.stdout, end="", markup=False, highlight=False, soft_wrap=True)
    if done.returncode != 0:
        raise HitweaveError(f"`hitweave {' '.join(args)}` ended with {done.returncode}: see above")
    lines = done.stdout.strip().splitlines()
    result: dict[str, Any] = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return result


def show_searches() -> None:
    """One table a search and shopper, one column a mode, through the ordinary client."""
    own = settings.load().elasticsearch_authorization
    headers = {"authorization": own} if own else {}
    with Elasticsearch(settings.load().sidecar_url, headers=headers) as client:
        for index, query, shoppers in SEARCHES:
            for shopper in shoppers:
                console.print(search_table(client, index, query, shopper))


def search_table(client: Elasticsearch, index: str, query: str, shopper: str | None) -> Table:
    """The first titles of each mode."""
    who = f"shopper {shopper}" if shopper else "a shopper we know nothing of"
    table = Table(title=f"{index}: 「{query}」 for {who}", title_justify="left")
    columns = [titles(client, index, query, shopper, mode) for mode in MODES]
    for mode in MODES:
        table.add_column(mode)
    for row in zip(*(c + [""] * (SHOWN - len(c)) for c in columns), strict=True):
        table.add_row(*row)
    return table


def titles(
    client: Elasticsearch, index: str, query: str, shopper: str | None, mode: str
) -> list[str]:
    """Titles in the order of `mode`; the search is neither logged nor learned from."""
    ubi = {"user_query": query, **({"user_id": shopper} if shopper else {})}
    answer = client.search(
        index=index,
        query={"match": {"title": query}},
        size=SHOWN,
        source={"includes": ["title"]},
        ext={"ubi": ubi, "hitweave": {"mode": mode, "record": False}},
    )
    return [str(hit["_source"]["title"]) for hit in answer["hits"]["hits"]]


def show_metrics(cases_limit: int) -> None:
    """Rank of the bought product among the results, for purchases after the training data."""
    cases = str(SAMPLE / "onlineretail-cases.jsonl.gz")
    hitweave("evaluate", SHOP, "--cases", cases, "--limit", str(cases_limit))


def wait_for_interrupt() -> None:
    """Keep serving until Ctrl-C or SIGTERM."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    console.print("Serving until Ctrl-C.")
    ended.wait()
