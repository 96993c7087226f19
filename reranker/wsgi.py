"""What gunicorn loads: the application of one process, warmed up before it takes requests."""

import gc
import os
import shutil
import tempfile
from pathlib import Path

import psutil

METRICS_PREFIX = "hitweave-metrics-"


def _share_metrics() -> None:
    """One folder a gunicorn master, so that its processes' metrics add up; old ones are removed.

    prometheus_client reads the variable when it is imported, hence before the application is.
    """
    root = Path(tempfile.gettempdir())
    for folder in root.glob(f"{METRICS_PREFIX}*"):
        pid = folder.name.removeprefix(METRICS_PREFIX)
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
    own = root / f"{METRICS_PREFIX}{os.getppid()}"
    own.mkdir(exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(own)


if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    _share_metrics()

from reranker import rehearsal  # noqa: E402 - after the metrics' folder is named
from reranker.app import create_app  # noqa: E402
from reranker.serving import front_door, warmth  # noqa: E402

app = create_app()
# A node that just started takes its time.
warmth.check(app.extensions["hitweave"].get(), rehearsal.SECONDS_MAX)
front_door.front_door().look()
rehearsal.rehearse(app.extensions["hitweave"].get())
# What is there now stays: a request need not wait while the collector looks through all of it.
gc.collect()
gc.freeze()
