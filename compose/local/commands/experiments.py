"""`hitweave experiments`: draft, start, stop, plan and replay experiments, and report on them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from indexer.errors import AskedWrongly

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from reranker.experiments.experiment import Trial
    from reranker.experiments.plan import Wish

INDEX = click.option("--index", required=True, help="The index that is searched.")
FORMATS = ("json", "markdown", "html")


@click.group("experiments")
def command() -> None:
    """Compare arms on live traffic, or interleave two rankers.

    The last line of stdout is one JSON object, except of reports in another format.
    """


@command.command("list")
@INDEX
def _list(index: str) -> None:
    """All experiments of the index and how far they have come."""
    from reranker.experiments.experiment_store import ExperimentStore

    with _opened(index) as (es, own):
        _print({"experiments": [trial.said() for trial in ExperimentStore(es).all(own)]})


@command.command("draft")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@INDEX
def _draft(name: str, file: Path, index: str) -> None:
    """Keep the experiment in FILE (YAML or JSON) as a draft called NAME."""
    import yaml

    from reranker.experiments import experiment
    from reranker.experiments.experiment_store import ExperimentStore

    with _opened(index) as (es, own):
        try:
            document = yaml.safe_load(file.read_text("utf-8"))
        except yaml.YAMLError as error:
            raise AskedWrongly(f"{file} is neither YAML nor JSON: {error}") from None
        _print(ExperimentStore(es).put(experiment.read(document, own, name)).said())


@command.command("start")
@click.argument("name")
@INDEX
def _start(name: str, index: str) -> None:
    """Let units take part in NAME from now on."""
    from indexer import settings
    from reranker.experiments.arm_models import check_models
    from reranker.experiments.experiment_store import ExperimentStore

    with _opened(index) as (es, own):
        check_models(_there(es, own, name).experiment, settings.load().models_dir)
        _print(ExperimentStore(es).start(own, name).said())


@command.command("stop")
@click.argument("name")
@INDEX
def _stop(name: str, index: str) -> None:
    """End NAME; everyone is answered alike again."""
    from reranker.experiments.experiment_store import ExperimentStore

    with _opened(index) as (es, own):
        _print(ExperimentStore(es).stop(own, name).said())


@command.command("report")
@click.argument("name")
@INDEX
@click.option("--format", "wanted", type=click.Choice(FORMATS), default="json", show_default=True)
@click.option("--until", help="As of this ISO 8601 time in place of now.")
def _report(name: str, index: str, wanted: str, until: str | None) -> None:
    """What NAME has shown so far; look as often as you like."""
    from reranker.experiments import measuring, rendering

    with _opened(index) as (es, own):
        facts = measuring.reported(es, _there(es, own, name), _moment(until))
    if wanted == "html":
        click.echo(rendering.page(facts))
    elif wanted == "markdown":
        click.echo(rendering.markdown(facts))
    else:
        _print(facts)


@command.command("plan")
@INDEX
@click.option("--metric", default="ctr", show_default=True)
@click.option("--unit", type=click.Choice(["user", "session", "query"]), default="user")
@click.option("--effect", type=float, default=0.05, show_default=True, help="Relative change.")
@click.option("--arms", type=click.IntRange(2, 20), default=2, show_default=True)
@click.option("--alpha", type=click.FloatRange(0, 0.5, True, True), default=0.05)
@click.option("--until", help="By the weeks before this ISO 8601 time in place of now.")
def _plan(index: str, until: str | None, **wished: Any) -> None:
    """How many units and days the change takes to be found, by the weeks before."""
    from reranker.experiments import measuring

    with _opened(index) as (es, own):
        _print(measuring.planned(es, _wish(own, **wished), _moment(until)))


@command.command("replay")
@INDEX
@click.option("--metric", default="ctr", show_default=True)
@click.option("--unit", type=click.Choice(["user", "session", "query"]), default="user")
@click.option("--days", type=click.FloatRange(1, 365), default=28.0, show_default=True)
@click.option("--salts", type=click.IntRange(1, 100_000), default=500, show_default=True)
@click.option("--alpha", type=click.FloatRange(0, 0.5, True, True), default=0.05)
@click.option("--until", help="The days before this ISO 8601 time in place of now.")
def _replay(index: str, days: float, salts: int, until: str | None, **wished: Any) -> None:
    """Run A/A tests of what has happened, under many salts; they must find nothing."""
    from reranker.experiments import measuring

    with _opened(index) as (es, own):
        wish = _wish(own, **wished)
        _print(measuring.replayed(es, wish, _moment(until), days, salts))


def _wish(index: str, **wished: Any) -> "Wish":
    from reranker.experiments.plan import Wish

    wish = Wish(index, **wished)
    wish.check()
    return wish


@contextmanager
def _opened(index: str) -> Iterator[tuple["Elasticsearch", str]]:
    """A client, and the name that an index is served under, whatever alias was said."""
    from indexer import connections, settings
    from indexer.catalogue.generation import resolve_any

    chosen = settings.load()
    with connections.elasticsearch(chosen) as es:
        connections.check_elasticsearch(es, chosen)
        yield es, resolve_any(es, index).index


def _there(es: "Elasticsearch", index: str, name: str) -> "Trial":
    from reranker.experiments.experiment_store import ExperimentStore

    trial = ExperimentStore(es).read(index, name)
    if trial is None:
        raise AskedWrongly(f"there is no experiment {name!r}: `hitweave experiments list`")
    return trial


def _moment(until: str | None) -> float:
    if until is None:
        return time.time()
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        raise AskedWrongly(f"--until is {until!r}: use an ISO 8601 time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _print(answer: dict[str, Any]) -> None:
    click.echo(orjson.dumps(answer).decode())
