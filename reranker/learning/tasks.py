"""Retraining on a schedule: Celery's beat asks for it, the promotion gate decides what comes of it.

A run is a process of its own, as `hitweave train` is, so that its memory is freed. The task is
taken off the queue before it runs: one that is lost is made up for by the next.
"""

import subprocess
import sys

from celery import shared_task

from indexer import settings, telemetry
from reranker.fusion import registry

RETRAIN, QUEUE = "reranker.learning.tasks.retrain", "learn"
RUN_SECONDS_MAX = 86_400

_log = telemetry.log("retrain")


@shared_task(  # type: ignore[untyped-decorator]
    name=RETRAIN,
    acks_late=False,
    ignore_result=True,
    time_limit=RUN_SECONDS_MAX,
    soft_time_limit=RUN_SECONDS_MAX - 60,
)
def retrain() -> None:
    """Train every index that a model was promoted for, one after the other."""
    known = settings.load()
    for index in registry.indices(known.models_dir):
        done = subprocess.run(
            command(index, known.retrain_schedule), stdout=subprocess.PIPE, check=False
        )
        lines = done.stdout.decode(errors="replace").strip().splitlines()
        _log.info(
            "retrained", index=index, exit_code=done.returncode, answer=lines[-1] if lines else None
        )


def command(index: str, schedule: str) -> list[str]:
    """The process that trains an index anew, beginning with the weights that serve."""
    return [sys.executable, "-m", "reranker.learning", index, "--schedule", schedule, "--warm"]
