"""`hitweave worker`: one Celery worker in the foreground, for other deployments."""

import os
import socket

import click

from compose.local.processes import QUEUES, worker_command
from indexer.errors import AskedWrongly


@click.command("worker")
@click.option(
    "-Q",
    "--queues",
    default=",".join(QUEUES),
    show_default=True,
    help="Queues to work on, with commas; embed belongs on machines with a GPU.",
)
@click.option("--concurrency", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option("--name", help="Name of the worker [default: its queues at this host].")
def command(queues: str, concurrency: int, name: str | None) -> None:
    """Work on catalogue and behaviour tasks until a signal ends it (a running task is finished)."""
    from indexer import settings

    settings.load()  # a fault in it must show here, not in each task
    unknown = sorted(set(queues.split(",")) - set(QUEUES))
    if unknown:
        raise AskedWrongly(f"no queue {', '.join(unknown)}: there are {', '.join(QUEUES)}")
    named = name or f"{queues.replace(',', '-')}-{os.getpid()}@{socket.gethostname()}"
    line = worker_command(queues, named, concurrency)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.execvp(line[0], line)  # noqa: S606 - becomes Celery, which gets the signals
