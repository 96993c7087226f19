"""What workers do with behaviour: thin, and repeated until Elasticsearch and Valkey are there.

A repetition costs nothing but time (see fold), so a task is never given up while a server is away;
a fault that waiting cannot cure is noted for whoever waits, and raised.
"""

import os
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import redis
from celery import Task, shared_task
from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch
from elasticsearch.serializer import OrjsonSerializer

from indexer import connections, settings, telemetry
from indexer.behaviour import fold
from indexer.behaviour.fold import Folded, Ticket
from indexer.behaviour.journal import Document
from indexer.behaviour.ubi import Kind
from indexer.errors import CouldNotReach, ElasticsearchUnavailable

QUEUE = "behaviour"
FOLD = "indexer.behaviour.tasks.fold_events"
RECORD = "indexer.behaviour.tasks.record_queries"

TASK_OF: dict[Kind, str] = {"event": FOLD, "query": RECORD}

# Servers that are away or too busy come back; WatchError: others were faster for too long.
RETRYABLE = (
    CouldNotReach,
    TransportError,
    redis.ConnectionError,
    redis.TimeoutError,
    redis.WatchError,
)
# Stays below the broker's visibility timeout, or the waiting task would be handed out twice.
RETRY_SECONDS_MAX = 10
BUSY_STATUSES = (429, 502, 503, 504)

_log = telemetry.log("behaviour")


class BehaviourTask(Task):  # type: ignore[misc]
    """Repeats what waiting cures, and tells whoever waits of what it does not.

    A task that ran out of time stays with the broker and is handed out again.
    """

    acks_late = True
    acks_on_failure_or_timeout = False
    reject_on_worker_lost = True
    autoretry_for = RETRYABLE
    max_retries = None
    retry_backoff = 1
    retry_backoff_max = RETRY_SECONDS_MAX
    retry_jitter = True

    def on_failure(
        self,
        exc: Exception,
        task_id: str,  # noqa: ARG002 - Celery's signature
        args: Any,  # noqa: ARG002
        kwargs: dict[str, Any],
        einfo: Any,  # noqa: ARG002
    ) -> None:
        """Note the chunk as given up."""
        ticket = _ticket(kwargs.get("job"), kwargs.get("chunk"))
        if ticket:
            lost = Folded(rejected=len(kwargs["documents"]), reason=f"{type(exc).__name__}: {exc}")
            fold.finish(_clients(os.getpid())[1], ticket, lost)


@shared_task(base=BehaviourTask, name=FOLD)  # type: ignore[untyped-decorator]
def fold_events(
    index: str, documents: list[Document], job: str | None = None, chunk: int | None = None
) -> None:
    """Journal and fold event documents of ubi.read."""
    _carry_out(fold.fold_events, index, documents, _ticket(job, chunk))


@shared_task(base=BehaviourTask, name=RECORD)  # type: ignore[untyped-decorator]
def record_queries(
    index: str, documents: list[Document], job: str | None = None, chunk: int | None = None
) -> None:
    """Journal query documents of ubi.read."""
    _carry_out(fold.record_queries, index, documents, _ticket(job, chunk))


def _carry_out(
    deed: Callable[..., Folded], index: str, documents: list[Document], ticket: Ticket | None
) -> None:
    started = time.monotonic()
    es, valkey = _clients(os.getpid())
    try:
        folded = deed(es, valkey, index, documents, received_at=time.time(), ticket=ticket)
    except ApiError as error:
        if error.status_code in BUSY_STATUSES:
            raise ElasticsearchUnavailable(f"Elasticsearch answers {error.status_code}") from error
        raise
    _log.info(
        deed.__name__,
        index=index,
        accepted=folded.accepted,
        duplicate=folded.duplicate,
        rejected=folded.rejected,
        reason=folded.reason,
        took_ms=round((time.monotonic() - started) * 1000),
    )


def _ticket(job: str | None, chunk: int | None) -> Ticket | None:
    return None if job is None or chunk is None else Ticket(job, chunk)


@lru_cache(maxsize=1)
def _clients(_process: int) -> tuple[Elasticsearch, redis.Redis]:
    """The clients of this process; a forked one opens its own."""
    known = settings.load()
    es = connections.elasticsearch(known, serializer=OrjsonSerializer())
    return es, connections.valkey(known)
