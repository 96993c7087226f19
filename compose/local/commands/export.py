"""`hitweave export`: catalogue or journal as a Parquet file, for analysis and training sets."""

import time
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from indexer import connections, settings


@click.command()
@click.argument("index")
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--what",
    type=click.Choice(["catalogue", "events", "queries"]),
    default="catalogue",
    show_default=True,
)
@click.option("--vectors", is_flag=True, help="With each product's vector.")
@click.option("--since", help="Events or queries from this ISO time on.")
@click.option("--until", help="Events or queries up to this ISO time.")
def command(
    index: str, out: Path, *, what: str, vectors: bool, since: str | None, until: str | None
) -> None:
    """Write the catalogue or the journal of INDEX to the Parquet file OUT.

    The file is a snapshot and replaces one of that name when it is whole. Users are pseudonyms.
    The last line of stdout is one JSON object.
    """
    from reranker.evaluation import export

    if what == "catalogue" and (since or until):
        raise click.UsageError("--since and --until bound events and queries, not the catalogue.")
    if what != "catalogue" and vectors:
        raise click.UsageError("--vectors goes with the catalogue only.")
    chosen = settings.load()
    started = time.monotonic()
    with connections.elasticsearch(chosen) as es:
        connections.check_elasticsearch(es, chosen)
        wanted = export.source(es, index, what, vectors=vectors, since=since, until=until)  # type: ignore[arg-type]
        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(what, total=export.count(es, wanted))
            rows = export.write(es, wanted, out, lambda count: progress.advance(task, count))
    result = {
        "index": index,
        "what": what,
        "file": str(out),
        "rows": rows,
        "bytes": out.stat().st_size,
        "seconds": round(time.monotonic() - started, 2),
    }
    click.echo(orjson.dumps(result).decode())
