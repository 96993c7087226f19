"""`hitweave worker`: one Celery worker in the foreground, for other deployments."""

import os
import socket
import sys

import click

from compose.local.part import Readiness
from compose.local.processes import LEARN_QUEUE, QUEUES, learner_command, worker_command
from compose.local.readiness import is_ready
from indexer.errors import AskedWrongly, StackFailed

CHECK_SECONDS = 5.0


@click.command("worker")
@click.option(
    "-Q",
    "--queues",
    default=",".join(QUEUES),
    show_default=True,
    help="Queues to work on, with commas; embed belongs on machines with a GPU.",
)
@click.option("--concurrency", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option("--name", help="Name of the worker, unique on its host [default: its queues].")
@click.option(
    "--retrain",
    is_flag=True,
    help="Train promoted models anew every HITWEAVE_RETRAIN_HOURS, and nothing else.",
)
@click.option("--check", is_flag=True, help="Ask that worker whether it works; exit 3 if not.")
def command(queues: str, concurrency: int, name: str | None, retrain: bool, check: bool) -> None:
    """Work on catalogue and behaviour tasks until a signal ends it (a running task is finished)."""
    from indexer import settings

    usable = settings.load()  # a fault in it must show here, not in each task
    if retrain:
        queues = LEARN_QUEUE
        if usable.retrain_hours is None:
            raise AskedWrongly("--retrain needs to know how often: set HITWEAVE_RETRAIN_HOURS")
    unknown = sorted(set(queues.split(",")) - {*QUEUES, *([LEARN_QUEUE] if retrain else [])})
    if unknown:
        raise AskedWrongly(f"no queue {', '.join(unknown)}: there are {', '.join(QUEUES)}")
    named = f"{name or queues.replace(',', '-')}@{socket.gethostname()}"
    if check:
        asked = Readiness(kind="celery", url=usable.celery_broker_url, worker=named)
        sys.exit(0 if is_ready(asked, CHECK_SECONDS) else StackFailed.exit_code)
    line = worker_command(queues, named, concurrency)
    if retrain:
        usable.home.mkdir(parents=True, exist_ok=True)
        line = learner_command(named, str(usable.home))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.execvp(line[0], line)  # noqa: S606 - becomes Celery, which gets the signals
