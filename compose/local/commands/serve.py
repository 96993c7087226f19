"""`hitweave serve`: one sidecar in the foreground, for deployments other than the local stack."""

import os
import sys

import click

from compose.local.part import Readiness
from compose.local.ports import LOOPBACK
from compose.local.processes import sidecar_command
from compose.local.readiness import is_ready
from indexer.errors import SidecarUnavailable

CHECK_SECONDS = 5.0


@click.command("serve")
@click.option("--host", help="Address to listen on [env: HITWEAVE_HOST; default: 127.0.0.1].")
@click.option("--port", type=int, help="Port to listen on [env: HITWEAVE_PORT; default: 8600].")
@click.option("--processes", type=int, help="Processes [env: HITWEAVE_SIDECAR_PROCESSES].")
@click.option("--threads", type=int, help="Threads in each [env: HITWEAVE_SIDECAR_THREADS].")
@click.option("--check", is_flag=True, help="Ask the one on this machine; exit 3 unless ready.")
def command(
    host: str | None, port: int | None, processes: int | None, threads: int | None, check: bool
) -> None:
    """Answer searches until a signal ends it. The servers are those of HITWEAVE_* variables.

    Listen beyond loopback only behind a proxy that knows its callers: there are no credentials.
    """
    from indexer import settings
    from reranker.settings import load

    settings.load()  # a fault in it must show here, not in each process
    serving = load()
    port = port or serving.port
    if check:
        asked = Readiness(kind="http", url=f"http://{LOOPBACK}:{port}/health/ready")
        sys.exit(0 if is_ready(asked, CHECK_SECONDS) else SidecarUnavailable.exit_code)
    line = sidecar_command(
        host or serving.host,
        port,
        processes or serving.sidecar_processes,
        threads or serving.sidecar_threads,
    )
    os.execvp(line[0], line)  # noqa: S606 - becomes gunicorn, which gets the signals
