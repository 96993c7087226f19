"""`hitweave evaluate`: ranking quality of each mode through the serving path, with paired tests."""

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from indexer import connections, settings
from indexer.errors import AskedWrongly

MODES = ("bm25", "knn", "rrf", "fused")
PARTS = ("all", "tuning", "holdout")
FILE = click.Path(path_type=Path, dir_okay=False)
FEW = click.IntRange(min=1)
SIGNIFICANT = 0.05
OPTIONS = (
    click.option("--judgements", type=FILE, help="CSV or TSV: query, docid, rating."),
    click.option("--cases", type=FILE, help="JSONL: user_id, queries, target, bought_before."),
    click.option("--sha256", help="Refuse a file of another digest."),
    click.option("--modes", default=",".join(MODES), show_default=True, help="What to compare."),
    click.option(
        "--baselines",
        help="Of lambdamart,linear; none for none [default: those beside the serving model].",
    ),
    click.option("--run", "run_file", type=FILE, help="Write TREC runs: FILE with the mode in."),
    click.option(
        "--report", type=click.Path(path_type=Path, file_okay=False), help="Write a report there."
    ),
    click.option("--limit", type=FEW, help="Only the first queries or cases."),
    click.option("--part", type=click.Choice(PARTS), default="all", help="A half, by hash."),
    click.option(
        "--query", type=click.IntRange(min=0), default=0, help="Which of a case's queries, from 0."
    ),
    click.option(
        "--field",
        "fields",
        multiple=True,
        help="What is searched, by your names [default: your search_fields, else the title].",
    ),
    click.option("--size", type=FEW, default=100, show_default=True, help="Hits a search."),
    click.option("--window", type=FEW, default=300, show_default=True, help="Hits to fuse."),
    click.option("--concurrency", type=FEW, default=2, show_default=True),
    click.option("--seed", type=int, help="Of the paired tests."),
    click.option("--url", help="Address of the sidecar [default: HITWEAVE_SIDECAR_URL]."),
    click.option(
        "--authorization",
        envvar="HITWEAVE_AUTHORIZATION",
        help="Value of the Authorization header; by default what the settings have. Others on the "
        "machine see a command line: it may stand in HITWEAVE_AUTHORIZATION.",
    ),
    click.option("--diversity", help="Places of the dial instead of modes: 0,0.1,0.5."),
    click.option("--chart", type=FILE, help="With --diversity: draw them there, as SVG."),
)


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """The options of this command, in the order of OPTIONS."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


@click.command()
@click.argument("index")
@with_options
def command(index: str, **asked: Any) -> None:
    """Measure INDEX on graded judgements or on held-out purchases.

    Each search goes through the sidecar as a client's would, in every mode, and is neither logged
    nor learned from. The last line of stdout is one JSON object.
    """
    from reranker.evaluation import report, runs
    from reranker.evaluation.judgements import read_cases, read_judgements

    if (asked["judgements"] is None) == (asked["cases"] is None):
        raise click.UsageError("Say either --judgements FILE or --cases FILE.")
    if asked["report"]:
        report.check_unused(asked["report"])
    whole = (
        read_judgements(asked["judgements"]) if asked["judgements"] else read_cases(asked["cases"])
    )
    if asked["sha256"] and whole.digest != asked["sha256"].lower():
        raise AskedWrongly(f"{whole.name} has the SHA-256 {whole.digest}: it is another file")
    source = whole.part(asked["part"], asked["limit"])
    console = Console(stderr=True, highlight=False)
    if asked["diversity"] is not None:
        turn_dial(index, source, asked, console)
        return
    if asked["chart"]:
        raise click.UsageError("--chart draws the places of --diversity: name some.")
    measured, notes = measure(index, source, asked, console)
    for note in notes:
        console.print(f"note: {note}", markup=False)
    if asked["run_file"]:
        runs.write(asked["run_file"], measured)
    result = {"index": index, "source": source.name, "sha256": source.digest, **measured.result()}
    if asked["report"]:
        report.write(
            asked["report"], measured, {**result, "command": command_line(), "notes": notes}
        )
    for table in tables(result, measured.questions.main_metric):
        console.print(table)
    click.echo(orjson.dumps(result).decode())


def turn_dial(index: str, source: Any, asked: dict[str, Any], console: Console) -> None:
    """Measure the fused order at each place of the diversity dial; print, and draw if asked."""
    from reranker.evaluation import plots
    from reranker.evaluation.measure import Measurement, first_time
    from reranker.evaluation.replay import Sidecar

    dials = dials_of(asked["diversity"])
    chosen = settings.load()
    with Sidecar(asking(index, asked, chosen.sidecar_url)) as sidecar:
        run = Measurement(sidecar, servers_of(chosen), ("fused",))
        if asked["seed"] is not None:
            run.seed = asked["seed"]
        questions = run.questions(source, asked["query"])
        with bars(console, [f"{dial:g}" for dial in dials], len(questions.searches)) as on_answer:
            turned = run.turned(questions, dials, first_time(source), on_answer)
    for note in run.notes:
        console.print(f"note: {note}", markup=False)
    if asked["chart"]:
        asked["chart"].write_text(plots.dial(turned) + "\n", encoding="utf-8")
    about = {"index": index, "source": source.name, "sha256": source.digest}
    console.print(dial_table(turned))
    click.echo(orjson.dumps({**about, **turned.result()}).decode())


def dials_of(text: str) -> list[float]:
    """Places of the dial, rising."""
    try:
        dials = sorted({float(part) for part in text.split(",") if part.strip()})
    except ValueError:
        dials = []
    if not dials or dials[0] < 0 or dials[-1] > 1:
        raise AskedWrongly(f"--diversity {text!r}: use numbers from 0 to 1, like 0,0.1,0.5")
    return dials


def dial_table(turned: Any) -> Table:
    """One row a place, with what each metric is of that at the first."""
    kind = turned.questions.kind
    table = Table(title=f"{len(turned.questions.searches)} {kind}", title_justify="left")
    for heading in ("diversity", *turned.metrics):
        table.add_column(heading, justify="right")
    for at, place in enumerate(turned.places):
        cells = [
            f"{place.mean(name):.4f} ({turned.shares(name)[at]:.1%})" for name in turned.metrics
        ]
        table.add_row(f"{place.dial:g}", *cells)
    return table


def servers_of(chosen: settings.Settings) -> Any:
    """What a measurement reads beside the sidecar's answers."""
    from reranker.evaluation.measure import Servers

    return Servers(
        connections.elasticsearch(chosen, request_timeout=10.0, max_retries=0),
        connections.valkey(chosen),
    )


def measure(index: str, source: Any, asked: dict[str, Any], console: Console) -> tuple[Any, Any]:
    """The experiment, and what it had to leave out."""
    from reranker.evaluation.measure import Measurement, first_time
    from reranker.evaluation.replay import Sidecar

    chosen = settings.load()
    modes = modes_of(asked["modes"])
    servers = servers_of(chosen)
    wish = asking(index, asked, chosen.sidecar_url)
    with Sidecar(wish) as sidecar, fitted_baselines(asked["baselines"], wish) as baselines:
        run = Measurement(sidecar, servers, modes, baselines)
        if asked["seed"] is not None:
            run.seed = asked["seed"]
        sidecar.items()  # an index or a sidecar that is not there is said before any bar
        questions = run.questions(source, asked["query"])
        shown = [*modes, *(["baselines"] if baselines else [])]
        with bars(console, shown, len(questions.searches)) as on_answer:
            experiment = run.run(questions, first_time(source), on_answer)
    return experiment, run.notes


def asking(index: str, asked: dict[str, Any], default_url: str) -> Any:
    """How each search is asked: without `--field` by what the index chose, or its title."""
    from reranker.evaluation.replay import Asking, Sidecar

    said = Asking(
        url=(asked["url"] or default_url).rstrip("/"),
        index=index,
        fields=tuple(asked["fields"]),
        size=asked["size"],
        window=asked["window"],
        concurrency=asked["concurrency"],
        authorization=asked["authorization"] or settings.load().elasticsearch_authorization,
    )
    if said.fields:
        return said
    with Sidecar(said) as sidecar:
        return replace(said, fields=sidecar.searched_fields())


@contextmanager
def fitted_baselines(wish: str | None, asking: Any) -> Iterator[Any]:
    """The baselines beside the serving model, ready to answer in this process; None for none."""
    from reranker import settings as reader_settings
    from reranker.evaluation import baselines
    from reranker.serving.process import open_process

    names = baselines.NAMES if wish is None else baseline_names(wish)
    models_dir = settings.load().models_dir
    fitted = baselines.serving(models_dir, asking.index, names) if names else None
    if wish and names and fitted is None:
        raise AskedWrongly(
            f"--baselines {wish!r}: the model that serves {asking.index!r} has none beside it; "
            "train with `baseline: true`"
        )
    if fitted is None:
        yield None
        return
    process = open_process(settings.load(), reader_settings.load())
    try:
        yield baselines.in_process(process, asking, fitted, models_dir)
    finally:
        process.close()


def baseline_names(text: str) -> tuple[str, ...]:
    """The baselines asked for; `none` for none."""
    from reranker.evaluation import baselines

    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if names == ("none",):
        return ()
    if not names or any(name not in baselines.NAMES for name in names):
        raise AskedWrongly(f"--baselines {text!r}: use {', '.join(baselines.NAMES)}, or none")
    return names


def modes_of(text: str) -> list[str]:
    """The modes asked for, in their order."""
    modes = list(dict.fromkeys(mode.strip() for mode in text.split(",") if mode.strip()))
    unknown = [mode for mode in modes if mode not in (*MODES, "off")]
    if unknown or not modes:
        raise AskedWrongly(f"--modes {text!r}: use some of {', '.join((*MODES, 'off'))}")
    return modes


def command_line() -> str:
    """What was typed, for the report; a password in a header is left out."""
    words = ["hitweave", *sys.argv[1:]]
    for at, word in enumerate(words):
        if word == "--authorization" and at + 1 < len(words):
            words[at + 1] = "…"
        elif word.startswith("--authorization="):
            words[at] = "--authorization=…"
    return shlex.join(words)


@contextmanager
def bars(console: Console, modes: Sequence[str], total: int) -> Iterator[Callable[[str], None]]:
    """One bar a mode."""
    columns = (TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        tasks = {mode: progress.add_task(mode, total=total) for mode in modes}
        yield lambda mode: progress.advance(tasks[mode])


def tables(result: dict[str, Any], main: str) -> list[Table]:
    """Means a mode, and the candidate against each baseline."""
    counted = "cases" if "cases" in result else "queries"
    title = f"{result['index']}: {result[counted]} {counted}"
    found = [_means(title, result["modes"])]
    if result["against"]:
        found.append(_differences(f"{result['candidate']} against, by {main}", result["against"]))
    return found


def _means(title: str, modes: dict[str, Any]) -> Table:
    first = next(iter(modes.values()))
    table = Table("", *modes, title=title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for name in [name for name in first if not isinstance(first[name], dict)]:
        table.add_row(name, *(_number(said.get(name)) for said in modes.values()))
    if new := first.get("new_to_shopper"):
        for name in [name for name in new if name != "cases"]:
            shown = (_number(said["new_to_shopper"].get(name)) for said in modes.values())
            table.add_row(f"new to shopper: {name}", *shown)
    for name in first["latency_ms"]:
        table.add_row(f"{name} ms", *(f"{said['latency_ms'][name]:.1f}" for said in modes.values()))
    return table


def _differences(title: str, against: dict[str, Any]) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("baseline", "difference", "95 % interval", "p", "p (Holm)", "+ / - / ="):
        table.add_column(heading, justify="right")
    for baseline, said in against.items():
        low, high = said["interval"]
        table.add_row(
            baseline,
            f"{said['difference']:+.4f}",
            f"{low:+.4f} to {high:+.4f}",
            f"{said['p']:.4f}",
            f"{said['p_holm']:.4f}",
            f"{said['wins']} / {said['losses']} / {said['ties']}",
            style="bold" if said["p_holm"] < SIGNIFICANT and said["difference"] > 0 else "",
        )
    return table


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
