"""The only place that sends work to the queues, and how every process talks to the broker.

Tasks are sent by name, so a sender imports nothing that does them.
"""

import threading
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from indexer import settings
from indexer.errors import ValkeyUnavailable
from indexer.settings import Settings

QUEUES = ("embed", "index", "behaviour")
# How often workers look for tasks of a killed one. kombu looks every 100 s unless told otherwise,
# and a worker killed while it looks would lock the others out for five minutes.
RESTORE_INTERVAL_SECONDS = 1
RESTORE_LOCK_SECONDS = 10
SEND_TIMEOUT_SECONDS = 5

_sending = threading.Lock()
_senders: dict[str, Celery] = {}


def submit(name: str, queue: str, **kwargs: Any) -> None:
    """Queue a task with plain data; raises ValkeyUnavailable when the broker does not take it."""
    known = settings.load()
    try:
        _sender(known).send_task(name, kwargs=kwargs, queue=queue, retry=False)
    except (OperationalError, redis.RedisError, OSError) as error:
        raise ValkeyUnavailable(
            f"the broker at {known.celery_broker_url} does not take work "
            f"({type(error).__name__}): start it (`hitweave up`) or set HITWEAVE_BROKER_URL"
        ) from error


def listening(queues: tuple[str, ...], timeout_seconds: float = 2.0) -> set[str]:
    """Those of the queues that a worker takes work from; asks them all and waits that long."""
    inspect = _sender(settings.load()).control.inspect(timeout=timeout_seconds)
    active = inspect.active_queues() or {}
    named = {str(queue["name"]) for found in active.values() for queue in found}
    return named & set(queues)


def celery_app(known: Settings) -> Celery:
    """A Celery application on our broker, for workers and senders alike."""
    app = Celery("hitweave", broker=known.celery_broker_url)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_default_queue="index",
        task_create_missing_queues=True,
        task_acks_late=True,
        task_acks_on_failure_or_timeout=False,
        task_reject_on_worker_lost=True,
        task_time_limit=known.task_time_limit_seconds,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_proc_alive_timeout=60,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": known.visibility_timeout_seconds,
            "unacked_restore_interval": RESTORE_INTERVAL_SECONDS,
            "unacked_restore_throttle": 1,
            "unacked_mutex_expire": RESTORE_LOCK_SECONDS,
            "socket_connect_timeout": SEND_TIMEOUT_SECONDS,
            "socket_keepalive": True,
        },
    )
    return app


def _sender(known: Settings) -> Celery:
    with _sending:
        app = _senders.get(known.celery_broker_url)
        if app is None:
            app = _senders[known.celery_broker_url] = celery_app(known)
        return app
