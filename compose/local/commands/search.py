"""`hitweave search`: one search through the sidecar, as a table for people at a terminal."""

import http.client
from typing import Any
from urllib.parse import quote, urlsplit

import click
import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from indexer import settings
from indexer.catalogue.generation import read_stamp
from indexer.catalogue.mapping import IndexConfig
from indexer.catalogue.reading import values_at
from indexer.errors import AskedWrongly, SidecarUnavailable

MODES = ("fused", "rrf", "knn", "bm25")
TIMEOUT_SECONDS = 30.0
TEXT_CELLS_MAX = 120  # of a title or reason, three or four lines of its column
console = Console()


@click.command("search")
@click.argument("index")
@click.argument("query")
@click.option("--user", help="Whose taste counts.")
@click.option("--mode", type=click.Choice(MODES), help="How to rank; default: as the index says.")
@click.option("--size", default=10, show_default=True, type=click.IntRange(1, 1000))
@click.option("--explain", is_flag=True, help="Show what each score is made of.")
def command(
    index: str, query: str, user: str | None, mode: str | None, size: int, explain: bool
) -> None:
    """Search INDEX for QUERY and print the hits. The search is neither logged nor learned from."""
    answer = ask(index, body(query, user=user, mode=mode, size=size, explain=explain))
    console.print(table(answer, config_of(index)))
    explained = (answer.get("hitweave") or {}).get("explained", {})
    for hit in answer["hits"]["hits"]:
        if "_explanation" in hit:
            console.print(tree(hit, explained.get(hit["_id"], {})))
    console.print(summary(answer))


def body(
    query: str, *, user: str | None, mode: str | None, size: int, explain: bool
) -> dict[str, Any]:
    """The search; the sidecar itself knows which fields of the index are searched."""
    hitweave = {"record": False, "explain": explain, **({"mode": mode} if mode else {})}
    ubi = {"user_query": query, **({"user_id": user} if user else {})}
    return {"size": size, "ext": {"ubi": ubi, "hitweave": hitweave}}


def ask(index: str, sent: dict[str, Any]) -> dict[str, Any]:
    """The sidecar's answer to a search."""
    return post(f"/{quote(index)}/_search", sent)


def config_of(index: str) -> IndexConfig:
    """What the index is configured as, hence what it calls our fields; the usual configuration
    where the name stands for none of ours.
    """
    try:
        ((concrete, found),) = send("GET", f"/{quote(index)}/_mapping").items()
        return read_stamp(index, concrete, found["mappings"]).config
    except (AskedWrongly, ValueError):
        return IndexConfig()


def field_of(hit: dict[str, Any], config: IndexConfig, name: str) -> Any:
    """Our field `name` of a hit's document, whatever the index calls it; the first of several."""
    found = values_at(hit.get("_source") or {}, config.theirs(name))
    return found[0] if found else None


def post(route: str, sent: dict[str, Any]) -> dict[str, Any]:
    """The sidecar's answer to a POST; see `send`."""
    return send("POST", route, sent)


def send(method: str, route: str, sent: dict[str, Any] | None = None) -> dict[str, Any]:
    """The sidecar's answer; raises SidecarUnavailable, or AskedWrongly with what it said."""
    url = settings.load().sidecar_url
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "127.0.0.1", parts.port or 80, timeout=TIMEOUT_SECONDS
    )
    own = settings.load().elasticsearch_authorization
    headers = {"Content-Type": "application/json", **({"Authorization": own} if own else {})}
    try:
        connection.request(method, route, None if sent is None else orjson.dumps(sent), headers)
        received = connection.getresponse()
        answer: dict[str, Any] = orjson.loads(received.read())
    except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
        raise SidecarUnavailable(
            f"the sidecar does not answer at {url} ({type(error).__name__}): start it "
            "(`hitweave up`) or set HITWEAVE_SIDECAR_URL"
        ) from error
    finally:
        connection.close()
    if received.status != 200:
        reason = answer.get("error", {})
        raise AskedWrongly(
            str(reason.get("reason", reason) if isinstance(reason, dict) else reason)
        )
    return answer


def table(answer: dict[str, Any], config: IndexConfig) -> Table:
    """Hits, one a row."""
    shown = Table(show_edge=False)
    shown.add_column("#", justify="right")
    shown.add_column("id", no_wrap=True)
    shown.add_column("score", justify="right")
    shown.add_column("title", overflow="fold")
    shown.add_column("brand")
    shown.add_column("price", justify="right")
    for position, hit in enumerate(answer["hits"]["hits"], start=1):
        names = ("title", "brand", "price", "currency")
        title, brand, price, currency = (field_of(hit, config, name) for name in names)
        shown.add_row(
            str(position),
            hit["_id"],
            f"{hit['_score']:.4f}" if hit["_score"] is not None else "",
            short(str(title or "")),
            str(brand or ""),
            "" if price is None else f"{price} {currency or ''}".strip(),
        )
    return shown


def short(text: str) -> Text:
    """As much of a text as a row has room for; nothing in it is markup."""
    shown = Text(" ".join(text.split()))
    shown.truncate(TEXT_CELLS_MAX, overflow="ellipsis")
    return shown


def tree(hit: dict[str, Any], beside: dict[str, Any]) -> Tree:
    """Why a hit is there, what its score is made of, and where the model looked."""
    root = Tree(f"[bold]{escape(hit['_id'])}[/bold]  {escape(beside.get('sentence', ''))}".rstrip())
    _grow(root, hit["_explanation"])
    attention = beside.get("attention") or {}
    if attention.get("tokens"):
        leaf = root.add("attention (sums to 1, not to the score)")
        for name, weight in sorted(attention["tokens"].items(), key=lambda it: -it[1]):
            leaf.add(f"{weight:.4f}  {name}")
    if attention.get("history"):
        leaf = root.add("attention to the shopper's items")
        for item in attention["history"]:
            leaf.add(escape(f"{item['weight']:.4f}  {item['title'] or ''} ({item['id']})"))
    return root


def _grow(branch: Tree, explanation: dict[str, Any]) -> None:
    leaf = branch.add(escape(f"{explanation['value']:.4f}  {explanation['description']}"))
    for detail in explanation.get("details", ()):
        _grow(leaf, detail)


def summary(answer: dict[str, Any]) -> str:
    """How many there are, what ranked them, and how long it took."""
    total = answer["hits"].get("total", {"value": "?", "relation": "eq"})
    number = f"{total['value']}{'' if total['relation'] == 'eq' else ' or more'}"
    own = answer.get("hitweave") or {}
    model = own.get("model") or "no trained model"
    degraded = f", degraded: {own['degraded']}" if own.get("degraded") else ""
    return f"{number} hits, {model}{degraded}, {answer['took']} ms"
