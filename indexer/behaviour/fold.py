"""Behaviour comes in: journal first, then state, so that what counts can always be replayed.

Doing the same documents again, in whole or in part, by anyone, changes nothing: the journal knows
its documents and the state its events. A crash in between is repaired by the next delivery.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import orjson
import redis
from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch
from redis.client import Pipeline

from indexer import connections, telemetry
from indexer.behaviour import arrivals, journal, journal_index, objects, pending, state, store
from indexer.behaviour.arrivals import Arrival, Document, Ticket
from indexer.behaviour.event import event_of
from indexer.behaviour.journal import Written
from indexer.errors import CouldNotReach

JOB_TTL_SECONDS = 86_400
# Servers that are away or too busy come back; WatchError: others were faster for too long.
WAITING_CURES = (
    CouldNotReach,
    TransportError,
    redis.ConnectionError,
    redis.TimeoutError,
    redis.WatchError,
)

_log = telemetry.log("behaviour")


@dataclass(frozen=True)
class Folded:
    """What became of some events."""

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    reason: str | None = None  # of the first rejected one, or why the work was given up


def job_key(job: str) -> str:
    """The hash that holds the outcome of each finished chunk of a job."""
    return f"hw:job:{job}"


def outcomes(valkey: redis.Redis, job: str) -> dict[int, Folded]:
    """The finished chunks of a job."""
    raw: dict[bytes, bytes] = valkey.hgetall(job_key(job))  # type: ignore[assignment]
    return {int(chunk): Folded(**orjson.loads(value)) for chunk, value in raw.items()}


def drain(
    es: Elasticsearch,
    valkey: redis.Redis,
    index: str,
    *,
    documents_max: int,
    seconds_max: float,
    folding: store.Folding = state,
) -> bool:
    """Fold what has arrived; whether more is left after `seconds_max`."""
    until = time.monotonic() + seconds_max
    with arrivals.turn(valkey, index) as turn:
        while waiting := arrivals.oldest(valkey, index, documents_max):
            for together in _groups(waiting):
                _fold_or_set_aside(es, valkey, index, together, folding)
                arrivals.extend(turn)
            if time.monotonic() > until:
                return True
    return False


def _groups(waiting: Sequence[Arrival]) -> Iterator[list[Arrival]]:
    """Live entries together; one that somebody waits for by itself, to be counted apart."""
    together: list[Arrival] = []
    for arrival in waiting:
        if arrival.ticket is None:
            together.append(arrival)
            continue
        if together:
            yield together
        together = []
        yield [arrival]
    if together:
        yield together


def _fold_or_set_aside(
    es: Elasticsearch,
    valkey: redis.Redis,
    index: str,
    together: list[Arrival],
    folding: store.Folding,
) -> None:
    """Fold entries; those that waiting does not cure go aside alone, with their reason."""
    try:
        fold(es, valkey, index, together, folding)
    except WAITING_CURES:
        raise
    except Exception as error:
        if isinstance(error, ApiError) and isinstance(
            waits := connections.told(error), WAITING_CURES
        ):
            raise waits from error
        if len(together) > 1:
            for arrival in together:
                _fold_or_set_aside(es, valkey, index, [arrival], folding)
            return
        reason = type(error).__name__
        _log.exception("arrival_set_aside", index=index, documents=len(together[0]))
        with valkey.pipeline() as pipe:
            arrivals.set_aside(pipe, index, together[0], reason)
            _finish(pipe, together[0].ticket, Folded(rejected=len(together[0]), reason=reason))
            pipe.execute()


def fold(
    es: Elasticsearch,
    valkey: redis.Redis,
    index: str,
    together: Sequence[Arrival],
    folding: store.Folding,
) -> Folded:
    """Journal and fold entries, and take them out of the stream in the same transaction."""
    started = time.monotonic()
    received_at = together[0].received_at
    journal_index.ensure(es)
    queries = [it for arrival in together for it in arrival.documents["query"]]
    found = journal.write_queries(es, index, queries, received_at=received_at)
    events = [it for arrival in together for it in arrival.documents["event"]]
    known = objects.resolved(es, index, journal.attribute(es, index, events))
    refused = journal.write_events(es, index, known, received_at=received_at).refused
    folded = [event_of(it) for it in known if it["event_id"] not in refused]

    def outcome(applied: store.Applied) -> Folded:
        return _sum(found, applied, len(events) - len(folded), [*refused.values()])

    def note(pipe: Pipeline, applied: store.Applied) -> None:
        arrivals.remove(pipe, index, together)
        if together[0].ticket is None:
            pending.settle(pipe, index, pending.readable(events))
        _finish(pipe, together[0].ticket, outcome(applied))

    result = outcome(store.apply(valkey, index, folded, folding=folding, also=note))
    _log.info(
        "folded",
        index=index,
        entries=len(together),
        accepted=result.accepted,
        duplicate=result.duplicate,
        rejected=result.rejected,
        reason=result.reason,
        took_ms=round((time.monotonic() - started) * 1000),
    )
    return result


def _sum(queries: Written, events: store.Applied, refused: int, reasons: Sequence[str]) -> Folded:
    every_reason = [*queries.refused.values(), *reasons]
    return Folded(
        accepted=events.accepted + queries.new,
        duplicate=events.duplicate + queries.known,
        rejected=refused + len(queries.refused),
        reason=every_reason[0] if every_reason else None,
    )


def _finish(pipe: Pipeline, ticket: Ticket | None, folded: Folded) -> None:
    """Note a chunk's outcome; the first note stays, so that a repetition does not recount it."""
    if ticket:
        name = job_key(ticket.job)
        pipe.hsetnx(name, str(ticket.chunk), orjson.dumps(asdict(folded)).decode())
        pipe.expire(name, JOB_TTL_SECONDS)


def record_queries(es: Elasticsearch, index: str, documents: Sequence[Document]) -> Written:
    """Journal the sidecar's own queries (of ubi.read, with what was served): nobody waits."""
    journal_index.ensure(es)
    return journal.write_queries(es, index, documents, received_at=time.time(), own=True)
