"""Behaviour comes in: journal first, then state, so that what counts can always be replayed.

Doing the same documents again, in whole or in part, by anyone, changes nothing: the journal knows
its documents and the state its events. A crash in between is repaired by the next delivery.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import orjson
import redis
from elasticsearch import Elasticsearch
from redis.client import Pipeline

from indexer.behaviour import journal, journal_index, store
from indexer.behaviour.event import event_of
from indexer.behaviour.journal import Document

JOB_TTL_SECONDS = 86_400


@dataclass(frozen=True)
class Folded:
    """What became of some events."""

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    reason: str | None = None  # of the first rejected one, or why the work was given up


@dataclass(frozen=True)
class Ticket:
    """One chunk of an import that somebody waits for."""

    job: str
    chunk: int


def job_key(job: str) -> str:
    """The hash that holds the outcome of each finished chunk of a job."""
    return f"hw:job:{job}"


def finish(pipe: Pipeline | redis.Redis, ticket: Ticket, folded: Folded) -> None:
    """Note a chunk's outcome; the first note stays, so that a repetition does not recount it."""
    name = job_key(ticket.job)
    pipe.hsetnx(name, str(ticket.chunk), orjson.dumps(asdict(folded)).decode())
    pipe.expire(name, JOB_TTL_SECONDS)


def outcomes(valkey: redis.Redis, job: str) -> dict[int, Folded]:
    """The finished chunks of a job."""
    raw: dict[bytes, bytes] = valkey.hgetall(job_key(job))  # type: ignore[assignment]
    return {int(chunk): Folded(**orjson.loads(value)) for chunk, value in raw.items()}


def fold_events(
    es: Elasticsearch,
    valkey: redis.Redis,
    index: str,
    documents: Sequence[Document],
    *,
    received_at: float,
    ticket: Ticket | None = None,
) -> Folded:
    """Journal events (documents of ubi.read) and fold them into the index's state."""
    journal_index.ensure(es)
    known = journal.attribute(es, index, documents)
    refused = journal.write_events(es, index, known, received_at=received_at).refused
    events = [event_of(it) for it in known if it["event_id"] not in refused]

    def outcome(applied: store.Applied) -> Folded:
        reason = next(iter(refused.values()), None)
        return Folded(applied.accepted, applied.duplicate, len(documents) - len(events), reason)

    def note(pipe: Pipeline, applied: store.Applied) -> None:
        if ticket:
            finish(pipe, ticket, outcome(applied))

    return outcome(store.apply(valkey, index, events, also=note))


def record_queries(
    es: Elasticsearch,
    valkey: redis.Redis,
    index: str,
    documents: Sequence[Document],
    *,
    received_at: float,
    ticket: Ticket | None = None,
) -> Folded:
    """Journal queries (documents of ubi.read)."""
    journal_index.ensure(es)
    written = journal.write_queries(es, index, documents, received_at=received_at)
    reason = next(iter(written.refused.values()), None)
    folded = Folded(written.new, written.known, len(written.refused), reason)
    if ticket:
        finish(valkey, ticket, folded)
    return folded
