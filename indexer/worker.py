"""The Celery application of the workers: `celery -A indexer.worker:app worker -Q embed`.

Servers and encoders are opened by the tasks, so always after the fork.
"""

import time
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import redis
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.signals import setup_logging, task_failure, task_retry, task_success, worker_ready

from indexer import inbox, settings, telemetry
from indexer.errors import CouldNotReach

TASK_MODULES = ("indexer.tasks", "indexer.behaviour.tasks")
LOOK_FOR_LOST_SECONDS = 2.0
LOOK = "indexer.tasks.look_for_written"

_log = telemetry.log("worker")
_looking: list[Any] = []

app = inbox.celery_app(settings.load())
app.set_default()

for module in TASK_MODULES:
    if find_spec(module):
        import_module(module)


@setup_logging.connect  # type: ignore[untyped-decorator]
def _configure_logging(**_: Any) -> None:
    telemetry.configure(settings.load())


@task_success.connect  # type: ignore[untyped-decorator]
def _forget_done(sender: Any, **_: Any) -> None:
    inbox.done(sender.request.id, _queue_of(sender.request))


@task_failure.connect  # type: ignore[untyped-decorator]
def _forget_failed(sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
    """A failed task is over, but one whose process ended goes back to the queue."""
    if not isinstance(exception, (TimeLimitExceeded, WorkerLostError)):
        inbox.done(task_id, _queue_of(sender.request))


@task_retry.connect  # type: ignore[untyped-decorator]
def _note_retry(request: Any, **_: Any) -> None:
    inbox.sent_again(request.id, _queue_of(request))


@worker_ready.connect  # type: ignore[untyped-decorator]
def _look_for_lost(sender: Any, **_: Any) -> None:
    """From now on, send again what the broker has lost; anew after each reconnection."""
    while _looking:
        _looking.pop().cancel()
    queues = [queue.name for queue in sender.task_consumer.queues]
    _looking.append(sender.timer.call_repeatedly(LOOK_FOR_LOST_SECONDS, _send_lost, (queues,)))
    every = settings.load().take_up_seconds
    if "index" in queues and every:
        _looking.append(sender.timer.call_repeatedly(every, _look_for_written))


def _send_lost(queues: list[str]) -> None:
    for queue in queues:
        try:
            count = inbox.send_lost_again(queue, time.time())
        except (redis.RedisError, CouldNotReach) as error:
            _log.warning("lost_tasks_unknown", queue=queue, reason=type(error).__name__)
            return
        if count:
            _log.warning("lost_tasks_sent_again", queue=queue, count=count)


def _look_for_written() -> None:
    try:
        inbox.submit(LOOK, "index")
    except CouldNotReach as error:
        _log.warning("not_looked_for_written", reason=type(error).__name__)


def _queue_of(request: Any) -> str:
    return str((request.delivery_info or {}).get("routing_key") or "")
