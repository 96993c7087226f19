"""The Celery application of the workers: `celery -A indexer.worker:app worker -Q embed`.

Servers and encoders are opened by the tasks, so always after the fork.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from celery.signals import setup_logging

from indexer import inbox, settings, telemetry

TASK_MODULES = ("indexer.tasks", "indexer.behaviour.tasks")

app = inbox.celery_app(settings.load())
app.set_default()

for module in TASK_MODULES:
    if find_spec(module):
        import_module(module)


@setup_logging.connect  # type: ignore[untyped-decorator]
def _configure_logging(**_: Any) -> None:
    telemetry.configure(settings.load())
