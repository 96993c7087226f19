"""The only place that sends work to the queues, and how every process talks to the broker.

Tasks are sent by name, so a sender imports nothing that does them. A worker that is killed between
taking a message from the broker and noting that it holds it takes the message along; so what is
sent is also kept until it is done, and workers send again what the broker has lost. Every task is
safe to do twice.
"""

import threading
import time
from functools import lru_cache
from typing import Any
from uuid import uuid4

import orjson
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from indexer import addresses, settings
from indexer.connections import valkey_advice
from indexer.errors import ValkeyUnavailable
from indexer.settings import Settings

QUEUES = ("embed", "index", "behaviour")
# How often workers look for tasks of a killed one. kombu looks every 100 s unless told otherwise,
# and a worker killed while it looks would lock the others out for five minutes.
RESTORE_INTERVAL_SECONDS = 1
RESTORE_LOCK_SECONDS = 10
SEND_TIMEOUT_SECONDS = 5
# Longer than sending takes: what was kept this long ago is with the broker, held, done or lost.
LOST_AFTER_SECONDS = 5.0
HELD = "unacked"  # kombu's hash of messages that workers hold

_sending = threading.Lock()
_senders: dict[str, Celery] = {}


def submit(name: str, queue: str, **kwargs: Any) -> None:
    """Queue a task with plain data; raises ValkeyUnavailable when the broker does not take it."""
    _send(settings.load(), str(uuid4()), {"name": name, "kwargs": kwargs}, queue)


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


def under_way(queue: str) -> int:
    """How many tasks of a queue are not done; 0 with a broker that does not say."""
    broker = _broker(settings.load())
    return 0 if broker is None else int(broker.hlen(_kept_key(queue)))


def done(task_id: str, queue: str) -> None:
    """Forget a task that needs no more doing."""
    broker = _broker(settings.load())
    if broker is not None:
        with broker.pipeline() as pipe:
            pipe.zrem(_sent_key(queue), task_id)
            pipe.hdel(_kept_key(queue), task_id)
            pipe.execute()


def sent_again(task_id: str, queue: str) -> None:
    """Note that a task went to the end of its queue once more, by a retry."""
    broker = _broker(settings.load())
    if broker is not None:
        broker.zadd(_sent_key(queue), {task_id: time.time()}, xx=True)


def send_lost_again(queue: str, now: float) -> int:
    """Send tasks that are neither queued, nor held by a worker, nor done; how many there were.

    A queue is read in the order of sending, so what was sent before its oldest message is not in
    it. A message is seen wrongly as lost where it moves meanwhile: it is done twice.
    """
    known = settings.load()
    broker = _broker(known)
    if broker is None:
        return 0
    oldest = broker.lindex(queue, -1)
    until = now - LOST_AFTER_SECONDS
    if oldest:
        sent_at: Any = broker.zscore(_sent_key(queue), _task_id(orjson.loads(oldest)))
        if sent_at is None:  # a repeat of what is done already; the next look tells more
            return 0
        until = min(until, sent_at)
    candidates: Any = broker.zrangebyscore(_sent_key(queue), "-inf", f"({until}")
    if not candidates:
        return 0
    held: Any = broker.hvals(HELD)
    with_workers = {_task_id(orjson.loads(message)[0]) for message in held}
    lost = [task_id for task_id in candidates if task_id.decode() not in with_workers]
    kept: Any = broker.hmget(_kept_key(queue), lost) if lost else []
    found = [(task_id.decode(), body) for task_id, body in zip(lost, kept, strict=True) if body]
    for task_id, body in found:
        _send(known, task_id, orjson.loads(body), queue)
    return len(found)


def _send(known: Settings, task_id: str, task: dict[str, Any], queue: str) -> None:
    try:
        broker = _broker(known)
        if broker is not None:
            with broker.pipeline() as pipe:
                pipe.hset(_kept_key(queue), task_id, orjson.dumps(task))
                pipe.zadd(_sent_key(queue), {task_id: time.time()})
                pipe.execute()
        _sender(known).send_task(
            task["name"], kwargs=task["kwargs"], queue=queue, task_id=task_id, retry=False
        )
    except (OperationalError, redis.RedisError, OSError) as error:
        raise ValkeyUnavailable(
            f"the broker at {addresses.shown(known.celery_broker_url)} does not take work "
            f"({type(error).__name__}): {valkey_advice(error)}"
        ) from error


def _task_id(message: dict[str, Any]) -> str:
    return str(message["headers"]["id"])


def _kept_key(queue: str) -> str:
    return f"hw:outbox:{queue}:tasks"


def _sent_key(queue: str) -> str:
    return f"hw:outbox:{queue}:sent"


def _broker(known: Settings) -> redis.Redis | None:
    """The broker as a server that may lose a message; None for one that cannot."""
    url = known.celery_broker_url
    return _client(url) if url.startswith(("redis://", "rediss://", "unix://")) else None


@lru_cache(maxsize=4)
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_timeout=SEND_TIMEOUT_SECONDS, socket_connect_timeout=SEND_TIMEOUT_SECONDS
    )


def _sender(known: Settings) -> Celery:
    with _sending:
        app = _senders.get(known.celery_broker_url)
        if app is None:
            app = _senders[known.celery_broker_url] = celery_app(known)
        return app
