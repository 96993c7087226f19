"""Asks one part whether it can work; never raises, never waits longer than it is told."""

import http.client
import threading
import urllib.error
import urllib.request

from compose.local.part import Readiness

# Celery and kombu swap their modules while they are imported: a thread must not see them half done.
_IMPORTING = threading.Lock()


def is_ready(readiness: Readiness, timeout_seconds: float = 2.0) -> bool:
    """Whether the part answers as a working one does."""
    ask = {"http": _http, "valkey": _valkey, "celery": _celery, "kafka": _kafka}[readiness.kind]
    return ask(readiness, timeout_seconds)


def _http(readiness: Readiness, timeout_seconds: float) -> bool:
    try:
        with urllib.request.urlopen(readiness.url, timeout=timeout_seconds) as answer:  # noqa: S310
            return bool(answer.status == 200)  # the address is the stack's own
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return False


def _valkey(readiness: Readiness, timeout_seconds: float) -> bool:
    import redis

    client = redis.Redis.from_url(
        readiness.url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds
    )
    try:
        return bool(client.ping())
    except redis.RedisError:  # also while it still loads its data
        return False
    finally:
        client.close()


def _celery(readiness: Readiness, timeout_seconds: float) -> bool:
    import redis

    if not _valkey(readiness, timeout_seconds):
        return False  # Celery would try to connect for longer than it is given
    with _IMPORTING:
        import kombu.exceptions
        from celery import Celery
    app = Celery(broker=readiness.url, set_as_current=False)
    try:
        answers = app.control.ping(destination=[readiness.worker], timeout=timeout_seconds, limit=1)
    except (kombu.exceptions.OperationalError, redis.RedisError, OSError):
        return False
    finally:
        app.close()
    return bool(answers)


def _kafka(readiness: Readiness, timeout_seconds: float) -> bool:
    """Whether a consumer of that name is in the group of the settings."""
    from indexer import settings
    from indexer.behaviour import kafka
    from indexer.errors import HitweaveError

    known = settings.load().model_copy(update={"kafka_servers": readiness.url})
    try:
        return readiness.worker in kafka.members(known, timeout_seconds)
    except HitweaveError:
        return False
