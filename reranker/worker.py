"""The Celery application that retrains: `celery -A reranker.worker:app worker --beat -Q learn`.

Apart from the workers of the write side, since only machines with the learning set can run it.
"""

from importlib import import_module
from typing import Any

from celery.signals import setup_logging

from indexer import inbox, settings, telemetry
from indexer.settings import Settings

HOUR_SECONDS = 3600.0
TASKS = "reranker.learning.tasks"


def schedule_of(known: Settings) -> dict[str, Any]:
    """What beat sends; nothing without an interval. What waits longer than one is forgotten."""
    if known.retrain_hours is None:
        return {}
    tasks = import_module(TASKS)
    seconds = known.retrain_hours * HOUR_SECONDS
    options = {"queue": tasks.QUEUE, "expires": seconds}
    return {"retrain": {"task": tasks.RETRAIN, "schedule": seconds, "options": options}}


app = inbox.celery_app(settings.load())
app.set_default()
import_module(TASKS)
app.conf.beat_schedule = schedule_of(settings.load())


@setup_logging.connect  # type: ignore[untyped-decorator]
def _configure_logging(**_: Any) -> None:
    telemetry.configure(settings.load())
