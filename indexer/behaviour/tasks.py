"""What workers do with behaviour: thin, and repeated until Elasticsearch and Valkey are there.

A repetition costs nothing but time (see fold). Events are not in the tasks but in streams (see
arrivals), so that no task can lose one; each worker watches for streams that nobody was woken for.
"""

import os
from functools import lru_cache
from typing import Any

import redis
from celery import Task, shared_task
from celery.signals import worker_ready
from elasticsearch import Elasticsearch
from elasticsearch.serializer import OrjsonSerializer

from indexer import connections, settings, telemetry
from indexer.behaviour import applications, arrivals, feedback, fold, phrases
from indexer.behaviour.arrivals import FOLD, QUEUE, Document
from indexer.errors import HitweaveError

RECORD = "indexer.behaviour.tasks.record_queries"
# Stays below the broker's visibility timeout, or the waiting task would be handed out twice.
RETRY_SECONDS_MAX = 5
# The rest of its time is for the last batch.
TIME_SHARE_TO_DRAIN = 0.4
WATCH_SECONDS = 2.0
WATCH_TIMEOUT_SECONDS = 1.0

_log = telemetry.log("behaviour")


class BehaviourTask(Task):  # type: ignore[misc]
    """Repeats what waiting cures; one that ran out of time stays with the broker."""

    acks_late = True
    acks_on_failure_or_timeout = False
    reject_on_worker_lost = True
    autoretry_for = fold.WAITING_CURES
    max_retries = None
    retry_backoff = 1
    retry_backoff_max = RETRY_SECONDS_MAX
    retry_jitter = True


@shared_task(base=BehaviourTask, name=FOLD)  # type: ignore[untyped-decorator]
@connections.in_our_words
def fold_events(index: str) -> None:
    """Fold what has arrived for an index."""
    known = settings.load()
    es, valkey = _clients(os.getpid())
    seconds_max = known.task_time_limit_seconds * TIME_SHARE_TO_DRAIN
    half_life_hours = applications.half_life_hours(es, index)
    more = fold.drain(
        es,
        valkey,
        index,
        documents_max=known.events_chunk,
        seconds_max=seconds_max,
        folding=feedback.Folding(
            phrases.Folding(known.suggest_shoppers_min, half_life_hours),
            known.adaptive_events_max,
        ),
    )
    if more:
        arrivals.wake(index)


@shared_task(base=BehaviourTask, name=RECORD)  # type: ignore[untyped-decorator]
@connections.in_our_words
def record_queries(index: str, documents: list[Document]) -> None:
    """Journal query documents of ubi.read, as the sidecar sends them."""
    written = fold.record_queries(_clients(os.getpid())[0], index, documents)
    _log.info("recorded", index=index, new=written.new, known=written.known)


@worker_ready.connect  # type: ignore[untyped-decorator]
def _watch(sender: Any, **_: Any) -> None:
    """Look for stranded arrivals now and then, beside the tasks."""
    if QUEUE in sender.app.amqp.queues.consume_from:
        watched = connections.valkey(
            settings.load(),
            socket_timeout=WATCH_TIMEOUT_SECONDS,
            socket_connect_timeout=WATCH_TIMEOUT_SECONDS,
        )
        sender.timer.call_repeatedly(WATCH_SECONDS, _look, (watched,))


def _look(valkey: redis.Redis) -> None:
    try:
        woken = arrivals.wake_stranded(valkey)
    except (redis.RedisError, HitweaveError) as error:
        _log.warning("watch_failed", error=type(error).__name__)
        return
    if woken:
        _log.info("stranded_arrivals_woken", indices=len(woken))


@lru_cache(maxsize=1)
def _clients(_process: int) -> tuple[Elasticsearch, redis.Redis]:
    """The clients of this process; a forked one opens its own."""
    known = settings.load()
    es = connections.elasticsearch(known, serializer=OrjsonSerializer())
    return es, connections.valkey(known)
