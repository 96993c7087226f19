"""`hitweave serve`: one sidecar in the foreground, for deployments other than the local stack."""

import os

import click

from compose.local.processes import sidecar_command


@click.command("serve")
@click.option("--host", help="Address to listen on [env: HITWEAVE_HOST; default: 127.0.0.1].")
@click.option("--port", type=int, help="Port to listen on [env: HITWEAVE_PORT; default: 8600].")
@click.option("--processes", type=int, help="Processes [env: HITWEAVE_SIDECAR_PROCESSES].")
@click.option("--threads", type=int, help="Threads in each [env: HITWEAVE_SIDECAR_THREADS].")
def command(host: str | None, port: int | None, processes: int | None, threads: int | None) -> None:
    """Answer searches until a signal ends it. The servers are those of HITWEAVE_* variables.

    Listen beyond loopback only behind a proxy that knows its callers: there are no credentials.
    """
    from indexer import settings
    from reranker.settings import load

    settings.load()  # a fault in it must show here, not in each process
    serving = load()
    line = sidecar_command(
        host or serving.host,
        port or serving.port,
        processes or serving.sidecar_processes,
        threads or serving.sidecar_threads,
    )
    os.execvp(line[0], line)  # noqa: S606 - becomes gunicorn, which gets the signals
