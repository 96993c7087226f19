"""`hitweave up`: start the local stack and return, or stay, once every part is ready."""

import os
import signal
from pathlib import Path
from typing import Any, NoReturn

import click
import orjson

from compose.local import ports, stack
from compose.local.home import Home
from compose.local.progress import Display
from indexer.errors import AskedWrongly, StackFailed

DEFAULT_PORTS = {"es_port": 9200, "valkey_port": 6379, "sidecar_port": 8600}


@click.command("up")
@click.option("--detach", is_flag=True, help="Return when all parts are ready; they run on.")
@click.option("--es-port", type=click.IntRange(1, 65535), help="Elasticsearch [default: 9200].")
@click.option("--port", type=click.IntRange(1, 65535), help="The sidecar [default: 8600].")
@click.option("--valkey-port", type=click.IntRange(1, 65535), help="Valkey [default: 6379].")
@click.option("--es-url", help="Use this Elasticsearch instead of starting one.")
@click.option("--valkey-url", help="Use this Valkey instead of starting one.")
@click.option("--only", metavar="PARTS", help=f"Of {', '.join(stack.ALL_PARTS)}, with commas.")
@click.option(
    "--es-heap",
    envvar="HITWEAVE_ES_HEAP",
    default="1g",
    show_default=True,
    help="Heap of the node.",
)
@click.option(
    "--worker-processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes of each worker.",
)
def command(detach: bool, es_port: int | None, port: int | None, **options: Any) -> None:
    """Start Elasticsearch, Valkey, the Celery workers and the sidecar on loopback.

    Where HITWEAVE_KAFKA_SERVERS is set, also what reads events from there. Ports not given are
    those that this --home used before. Data stays in --home over `down` and `up`; remove --home
    after `down` for a fresh stack. Without --detach, Ctrl-C takes all down.
    """
    home = Home(Path(os.environ["HITWEAVE_HOME"]))
    wish = _wish(home, es_port, port, options)
    if stack.is_supervised(home):
        _require_same(home, wish)
    else:
        home.make()
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        try:
            _start(home, wish, Display())
        except KeyboardInterrupt:
            stack.take_down(home)
            raise
    print(orjson.dumps(stack.status(home)).decode(), flush=True)
    if not detach:
        _stay(home)


def _wish(home: Home, es_port: int | None, port: int | None, options: dict[str, Any]) -> stack.Wish:
    before = _ports_before(home)
    return stack.Wish(
        es_port=es_port or before["es_port"],
        valkey_port=options["valkey_port"] or before["valkey_port"],
        sidecar_port=port or before["sidecar_port"],
        only=stack.parts_named(options["only"]),
        es_url=options["es_url"],
        valkey_url=options["valkey_url"],
        es_heap=options["es_heap"],
        worker_processes=options["worker_processes"],
    )


def _require_same(home: Home, wish: stack.Wish) -> None:
    """Raise AskedWrongly unless what runs in this home is what was asked for."""
    if stack.runs(home, wish):
        click.echo(f"already up in {home.folder}", err=True)
        return
    raise AskedWrongly(
        f"another stack runs in {home.folder}: `hitweave status` shows it, `hitweave down` ends it"
    )


def _ports_before(home: Home) -> dict[str, int]:
    addresses = home.addresses()
    if addresses is None:
        return DEFAULT_PORTS
    urls = (addresses.elasticsearch_url, addresses.valkey_url, addresses.sidecar_url)
    return {
        name: ports.of_url(url) or default
        for (name, default), url in zip(DEFAULT_PORTS.items(), urls, strict=True)
    }


def _start(home: Home, wish: stack.Wish, display: Display) -> None:
    stack.sweep_processes(home)  # of a supervisor that was killed
    stack.check_ports(wish)
    stack.check_servers(wish)
    display.notice()
    with display.downloads() as progress:
        plan = stack.plan(home, wish, progress)
    for part in plan.parts:
        display.say(f"{part.name}: {part.note}")
    report: dict[str, Any] = {}
    with display.waiting() as show:
        for report in stack.supervise(home):
            show(report)
    if report.get("phase") != "ready":
        _explain(home, report)


def _explain(home: Home, report: dict[str, Any]) -> NoReturn:
    failure = report.get("failure")
    if not failure:
        tail = stack.log_tail(home, "supervisor")
        raise StackFailed(f"the supervisor ended before the stack was ready\n{tail}")
    part = failure["part"]
    log = home.logs / f"{part}.log"
    raise StackFailed(
        f"{part} {failure['reason']}. The end of {log}:\n"
        f"{stack.log_tail(home, part)}\n"
        f"{part} {failure['reason']}: {failure['advice']}"
    )


def _stay(home: Home) -> None:
    """Until Ctrl-C, SIGTERM or the supervisor's own end."""
    click.echo("ready; Ctrl-C takes the stack down", err=True)
    # A shell's background job inherits an ignored SIGINT: ask for it by name.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        stack.wait_for_end(home)
    except KeyboardInterrupt:
        click.echo("taking the stack down", err=True)
    stack.take_down(home)
