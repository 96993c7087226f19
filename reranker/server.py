"""How gunicorn runs the sidecar: `--config python:reranker.server`, beside address and numbers.

The master makes or reads the machine code of signals and trees before it forks: once for all
processes, and never against the time in which a process has to say that it lives.
"""

import importlib
import os
from typing import Any

worker_class = "reranker.even_worker.EvenWorker"
keepalive = 65
control_socket_disable = True
# Where heartbeat files cannot be held up by a slow disk.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else os.environ.get("TMPDIR", "/tmp")  # noqa: S108


def on_starting(_server: Any) -> None:
    """Before any process is forked."""
    for name in ("reranker.signals.build", "reranker.fusion.forest"):
        importlib.import_module(name)


def child_exit(_server: Any, worker: Any) -> None:
    """After a process has ended, however it did: it gets no connections left."""
    even_worker = importlib.import_module("reranker.even_worker")
    even_worker.tally.say(worker.age, even_worker.NOBODY)
