"""How gunicorn runs the sidecar."""

import subprocess
import sys

LOOK = """
import sys
from reranker import server
server.on_starting(None)
print("reranker.signals.build" in sys.modules, "prometheus_client" in sys.modules)
"""


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, check=True, text=True, timeout=120
    )
    return done.stdout


def test_gunicorn_takes_the_settings() -> None:
    application = "wsgiref.simple_server:demo_app"  # any: it is not called
    told = run(
        *("-m", "gunicorn", "--print-config", "--config", "python:reranker.server", application)
    )
    found = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    found = {name.strip(): value.strip() for name, value in found.items()}
    assert found["worker_class"] == "reranker.even_worker.EvenWorker"
    assert found["keepalive"] == "65"
    assert found["on_starting"] == "<on_starting()>"


def test_machine_code_is_there_before_processes_are_forked_and_no_metrics_are() -> None:
    """Metrics read where they belong when they are imported: each process says that first."""
    assert run("-c", LOOK).split() == ["True", "False"]
