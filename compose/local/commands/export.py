"""`hitweave export`: catalogue, journal or training lists as a Parquet file, choices as CSV."""

import contextlib
import time
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from compose.local import training_options
from indexer import connections, settings
from indexer.errors import AskedWrongly


def _time(_ctx: click.Context, option: click.Parameter, said: str | None) -> str | None:
    """An ISO 8601 time as Elasticsearch reads it; a day alone stays one, of which all counts."""
    if said is None:
        return None
    with contextlib.suppress(ValueError):
        return date.fromisoformat(said).isoformat()
    try:
        return datetime.fromisoformat(said).isoformat(timespec="milliseconds")
    except ValueError:
        raise AskedWrongly(
            f"{option.opts[0]} {said!r} is not an ISO 8601 time, like 2026-01-31"
        ) from None


@click.command()
@click.argument("index")
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--what",
    type=click.Choice(["catalogue", "events", "queries", "training", "choices"]),
    default="catalogue",
    show_default=True,
    help="Training: lists as a model learns from them, with every signal and label. Choices: hits "
    "of searches that may have explored, with chance and click, for `hitweave offpolicy`.",
)
@click.option("--vectors", is_flag=True, help="With each product's vector.")
@click.option("--since", callback=_time, help="Events or queries from this ISO time on.")
@click.option("--until", callback=_time, help="Events or queries up to this ISO time.")
@training_options.schedule("Of training lists: which and how many.")
def command(
    index: str,
    out: Path,
    *,
    what: str,
    vectors: bool,
    since: str | None,
    until: str | None,
    name: str,
) -> None:
    """Write the catalogue, the journal or training lists of INDEX to the Parquet file OUT.

    Choices are CSV, gzipped where OUT ends so. The file is a snapshot and replaces one of that
    name when it is whole. Users are pseudonyms. The last line of stdout is one JSON object.
    """
    if what not in ("events", "queries") and (since or until):
        raise click.UsageError(f"--since and --until bound events and queries, not the {what}.")
    if what != "catalogue" and vectors:
        raise click.UsageError("--vectors goes with the catalogue only.")
    started = time.monotonic()
    if what == "training":
        rows = _training(index, out, name)
    elif what == "choices":
        rows = _choices(index, out)
    else:
        rows = _documents(index, out, {"what": what, "since": since, "until": until}, vectors)
    result = {
        "index": index,
        "what": what,
        "file": str(out),
        "rows": rows,
        "bytes": out.stat().st_size,
        "seconds": round(time.monotonic() - started, 2),
    }
    click.echo(orjson.dumps(result).decode())


def _documents(index: str, out: Path, asked: dict[str, Any], vectors: bool) -> int:
    """Catalogue or journal, as a snapshot."""
    from reranker.evaluation import export

    chosen, what = settings.load(), asked["what"]
    with connections.elasticsearch(chosen) as es:
        connections.check_elasticsearch(es, chosen)
        wanted = export.source(es, index, vectors=vectors, **asked)
        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(what, total=export.count(es, wanted))
            return export.write(es, wanted, out, lambda count: progress.advance(task, count))


def _choices(index: str, out: Path) -> int:
    """Hits with the chance that they had to be where they were."""
    from reranker.evaluation import explored

    chosen = settings.load()
    with connections.elasticsearch(chosen) as es:
        connections.check_elasticsearch(es, chosen)
        return explored.write(out, explored.read(es, index))


def _training(index: str, out: Path, name: str) -> int:
    """Lists as `hitweave train` makes them now."""
    from indexer.catalogue import generation
    from reranker.learning import job, material, run, schedule, training_set
    from reranker.learning.bars import bars

    chosen = settings.load()
    valkey = connections.valkey(chosen)
    with connections.elasticsearch(chosen) as es, bars() as progress:
        connections.check_elasticsearch(es, chosen)
        asked = schedule.read(None, name)
        read = material.read(es, valkey, generation.resolve(es, index), None)
        prepared = run.prepare(read, asked, progress)
        lists = None if prepared is None else run.assembled(read.events, *prepared, asked, progress)
        if prepared is None or lists is None:
            raise AskedWrongly(job.TOO_LITTLE)
        parts = {"train": lists.train, "held_out": lists.held_out, "late": lists.late}
        note = {"index": index, "schedule": asked.name}
        queries = list(prepared[1].query_row)
        return training_set.write(out, parts, queries, read.goods.ids, note)
