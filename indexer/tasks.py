"""What workers do with the catalogue: thin, JSON in, and safe to do again at any point.

A server that is away is waited for, without end: the work stays with the broker meanwhile. What
waiting cannot cure is noted for whoever waits, with every line of the chunk kept as rejected.
"""

import os
import time
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

import redis
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Task, shared_task
from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch
from elasticsearch.serializer import OrjsonSerializer

from indexer import connections, inbox, settings, telemetry
from indexer.behaviour import applications
from indexer.catalogue import (
    attach,
    attachments,
    rebuild,
    rejected,
    stored,
    sync,
    take_up,
)
from indexer.catalogue.encode import opened
from indexer.catalogue.generation import Generation, generation_at, reason_of, resolve
from indexer.catalogue.job import Job
from indexer.catalogue.product import ProductUpdate
from indexer.catalogue.sync import Stores
from indexer.catalogue.tally import Counts, Tally
from indexer.catalogue.transfer import Route, transfer
from indexer.errors import AccessDenied, CouldNotReach, HitweaveError, WriteFailed

WRITE, EMBED = "indexer.tasks.write_chunk", "indexer.tasks.embed_chunk"
COPY, STAGE = "indexer.tasks.copy_chunk", "indexer.tasks.stage_cards"
REFILL, TAKE_UP = "indexer.tasks.refill_cards", "indexer.tasks.take_up_documents"
LOOK, COMPARE = "indexer.tasks.look_for_written", "indexer.tasks.compare_with_stamps"
LOOKED, LOOK_IDS_MAX = "hw:looked-for-written", 2000
GENERATION_SECONDS = 5
PACKED_VECTORS_FROM = (9, 3)
# Servers that are away or too busy come back.
RETRYABLE = (CouldNotReach, TransportError, redis.ConnectionError, redis.TimeoutError)
# Somebody waits for a job, and is to hear which right is missing.
GIVEN_UP = (AccessDenied,)
# A retry waits inside a worker, so it must end before the broker hands the task out again.
RETRY_WAIT_SECONDS_MAX = 5
# Leaves time to write what was encoded.
TIME_SHARE_TO_ENCODE = 0.4

_log = telemetry.log("catalogue")


class CatalogueTask(Task):  # type: ignore[misc]
    """Repeats what waiting cures, and tells whoever waits of what it does not."""

    autoretry_for = RETRYABLE
    dont_autoretry_for = GIVEN_UP
    max_retries = None
    retry_backoff = 1
    retry_backoff_max = RETRY_WAIT_SECONDS_MAX
    retry_jitter = True

    def on_failure(
        self,
        exc: Exception,
        task_id: str,  # noqa: ARG002 - Celery's signature
        args: Any,  # noqa: ARG002
        kwargs: dict[str, Any],
        einfo: Any,  # noqa: ARG002
    ) -> None:
        """Note the chunk as given up, its lines as rejected; one whose process ended goes on."""
        if "job" in kwargs and not isinstance(exc, (TimeLimitExceeded, WorkerLostError)):
            give_up(kwargs, f"{type(exc).__name__}: {exc}")


@shared_task(base=CatalogueTask, bind=True, name=WRITE)  # type: ignore[untyped-decorator]
@connections.in_our_words
def write_chunk(
    self: Task, index: str, job: str, chunk: int, products: list[dict[str, Any]]
) -> None:
    """Write what needs no encoder, pass on the rest."""
    work = Job(_valkey(os.getpid()), job)
    _begin(work, f"write {chunk} {self.request.retries}")
    started = time.monotonic()
    updates = [ProductUpdate.model_validate(product) for product in products]
    done = _carry_out(index, updates, encode=False)
    _keep_rejected(job, done.tally)
    left = work.record_written(chunk, done.tally, done.left)
    if left:
        inbox.submit(
            EMBED, "embed", index=index, job=job, chunk=chunk, products=[products[i] for i in left]
        )
    _report("chunk_written", index, done.tally, started, left=len(left))


@shared_task(base=CatalogueTask, bind=True, name=EMBED)  # type: ignore[untyped-decorator]
@connections.in_our_words
def embed_chunk(
    self: Task,
    index: str,
    job: str,
    chunk: int,
    products: list[dict[str, Any]],
    before: dict[str, int] | None = None,
) -> None:
    """Encode and write; where that takes too long, pass on the rest with the counts so far."""
    work = Job(_valkey(os.getpid()), job)
    _begin(work, f"embed {chunk} {len(products)} {self.request.retries}")
    started = time.monotonic()
    updates = [ProductUpdate.model_validate(product) for product in products]
    done = _carry_out(index, updates, encode=True)
    _keep_rejected(job, done.tally)
    counts = Counts(**(before or {}))
    if done.left:
        work.record_rejections(done.tally.rejections)
        inbox.submit(
            EMBED,
            "embed",
            index=index,
            job=job,
            chunk=chunk,
            products=[products[i] for i in done.left],
            before=(counts + done.tally.total()).to_json(),
        )
    else:
        work.record_embedded(chunk, done.tally, counts)
    _report("chunk_embedded", index, done.tally, started, left=len(done.left))


@shared_task(base=CatalogueTask, bind=True, name=COPY)  # type: ignore[untyped-decorator]
@connections.in_our_words
def copy_chunk(
    self: Task,
    index: str,
    job: str,
    chunk: int,
    source: str,
    target: str,
    ids: list[str],
    stage: bool,
    before: dict[str, int] | None = None,
) -> None:
    """Bring stored documents into another generation, or give them their vectors."""
    work = Job(_valkey(os.getpid()), job)
    _begin(work, f"copy {chunk} {len(ids)} {self.request.retries}")
    started = time.monotonic()
    route = Route(_concrete(index, source), _concrete(index, target), stage)
    deadline = _deadline()
    encoder = partial(opened, route.target.recipe, deadline)
    tally, left = transfer(_stores(), route, ids, encoder, deadline)
    _keep_rejected(job, tally)
    counts = Counts(**(before or {})) + tally.total()
    if left:
        queue = self.request.delivery_info["routing_key"]
        kwargs = {**self.request.kwargs, "ids": left, "before": counts.to_json()}
        inbox.submit(COPY, queue, **kwargs)
    else:
        work.record_copied(chunk, counts, tally)
    _report("chunk_copied", index, tally, started, left=len(left))


@shared_task(base=CatalogueTask, name=STAGE)  # type: ignore[untyped-decorator]
@connections.in_our_words
def stage_cards(index: str, job: str, chunk: int, target: str, ids: list[str]) -> None:
    """Write the cards of a generation that is not served yet, aside."""
    done = sync.refill(_stores(), _concrete(index, target), ids, staged=True)
    work = Job(_valkey(os.getpid()), job)
    work.record_copied(chunk, Counts(unchanged=done.written), Tally())


@shared_task(base=CatalogueTask, name=REFILL)  # type: ignore[untyped-decorator]
@connections.in_our_words
def refill_cards(index: str, ids: list[str]) -> None:
    """Make the cards in Valkey those of the documents; without vectors these are taken up first."""
    done = sync.refill(_stores(), _generation(index), ids)
    if done.waiting:
        inbox.submit(TAKE_UP, "embed", index=index, ids=done.waiting)
    _log.info("cards_refilled", index=index, asked=len(ids), written=done.written)


@shared_task(name=LOOK)  # type: ignore[untyped-decorator]
def look_for_written() -> None:
    """Have documents taken up that others wrote into our indices; not while there is other work.

    Whichever worker asks first in a while looks; what cannot be looked at now will be later.
    """
    every = settings.load().take_up_seconds
    if not _valkey(os.getpid()).set(LOOKED, "1", nx=True, px=max(int(900 * every), 1)):
        return
    try:
        _follow_names()
        if inbox.under_way("embed"):
            return
        for index in applications.read(_stores().es).named:
            _look_in(index)
    except (ApiError, *RETRYABLE) as error:
        _log.warning("not_looked_for_written", reason=type(error).__name__)


def _follow_names() -> None:
    """Attach to what is behind names now that were attached to, and have its documents taken up."""
    for found in attachments.unattached(_stores().es):
        name, concrete = found.attachment.index, found.concrete
        try:
            made = attachments.follow(_stores().es, found)
        except (ApiError, HitweaveError) as error:
            why = _reason(error)
            _log.warning("not_attached_again", index=name, concrete=concrete, reason=why)
            continue
        _log.info("attached_again", index=name, concrete=concrete)
        missing = attach.missing_query(made)
        for ids in stored.scan_ids(_stores().es, concrete, missing, rebuild.CHUNK_IDS):
            inbox.submit(TAKE_UP, "embed", index=name, ids=ids, concrete=concrete)


def _look_in(index: str) -> None:
    """What cannot be read as ours, or may not be, is passed over."""
    es, valkey = _stores().es, _valkey(os.getpid())
    try:
        generation = _generation(index)
        for ids in _chunks(take_up.written_elsewhere(es, generation, LOOK_IDS_MAX)):
            inbox.submit(TAKE_UP, "embed", index=index, ids=ids)
        changed = take_up.changed_since(
            es, generation, stored.read_seen(valkey, index), LOOK_IDS_MAX
        )
        for ids in _chunks(changed.ids):
            inbox.submit(COMPARE, "index", index=index, ids=ids)
        stored.keep_seen(valkey, index, changed.seen)
    except (ApiError, HitweaveError) as error:
        _log.warning("not_looked_for_written", index=index, reason=_reason(error))


def _reason(error: ApiError | HitweaveError) -> str:
    return str(error.message) if isinstance(error, HitweaveError) else reason_of(error)


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(ids), rebuild.CHUNK_IDS):
        yield ids[first : first + rebuild.CHUNK_IDS]


@shared_task(base=CatalogueTask, name=COMPARE)  # type: ignore[untyped-decorator]
@connections.in_our_words
def compare_with_stamps(index: str, ids: list[str]) -> None:
    """Mend cards, and have vectors made anew, of documents that somebody else changed in part."""
    done = sync.refill_changed(_stores(), _generation(index), ids)
    if done.waiting:
        inbox.submit(TAKE_UP, "embed", index=index, ids=done.waiting)
    if done.written or done.waiting:
        _log.info(
            "changed_in_part", index=index, cards=done.written, to_be_taken_up=len(done.waiting)
        )


@shared_task(base=CatalogueTask, name=TAKE_UP)  # type: ignore[untyped-decorator]
@connections.in_our_words
def take_up_documents(index: str, ids: list[str], concrete: str | None = None) -> None:
    """Give documents that somebody else wrote their vectors and cards.

    `concrete` is where they are, if not where the index was seen last.
    """
    started = time.monotonic()
    deadline = _deadline()
    there = concrete and generation_at(_stores().es, index, concrete)
    generation = there or _generation(index)
    encoder = partial(opened, generation.recipe, deadline)
    route = Route(generation, generation)
    tally, left = transfer(_stores(), route, ids, encoder, deadline)
    if left:
        inbox.submit(TAKE_UP, "embed", index=index, ids=left, concrete=concrete)
    _report("documents_taken_up", index, tally, started, left=len(left))


def give_up(kwargs: dict[str, Any], reason: str) -> None:
    """Note a chunk as given up, its lines as rejected."""
    _log.error("chunk_given_up", job=kwargs["job"], chunk=kwargs["chunk"], reason=reason)
    Job(_valkey(os.getpid()), kwargs["job"]).record_failure(kwargs["chunk"], reason)
    tally = Tally()
    for product in kwargs.get("products", ()):
        tally.reject(ProductUpdate.model_validate(product), reason)
    try:
        _keep_rejected(kwargs["job"], tally)
    except (ApiError, TransportError, HitweaveError) as error:
        _log.error("rejected_not_kept", job=kwargs["job"], error=type(error).__name__)


def _carry_out(index: str, updates: list[ProductUpdate], *, encode: bool) -> sync.Done:
    deadline = _deadline()
    generation = _generation(index)
    return sync.carry_out(
        _stores(),
        generation,
        updates,
        encoder=opened(generation.recipe, deadline) if encode else None,
        deadline=deadline,
    )


def _deadline() -> float:
    """When to stop encoding, on the monotonic clock."""
    return time.monotonic() + settings.load().task_time_limit_seconds * TIME_SHARE_TO_ENCODE


def _begin(work: Job, chunk: str) -> None:
    if not work.attempt(chunk):
        raise WriteFailed(
            "the worker that does this chunk ends each time: look into its log for memory or time "
            "limits, then send the lines again"
        )


def _keep_rejected(job: str, tally: Tally) -> None:
    rejected.keep(_stores().es, job, tally.rejections, now_ms=int(time.time() * 1000))


def _report(event: str, index: str, tally: Tally, started: float, *, left: int) -> None:
    took_ms = round((time.monotonic() - started) * 1000)
    _log.info(event, index=index, left=left, took_ms=took_ms, **tally.counts)


def _generation(index: str) -> Generation:
    return _resolved(index, os.getpid(), int(time.monotonic() // GENERATION_SECONDS))


@lru_cache(maxsize=256)
def _resolved(index: str, _process: int, _moment: int) -> Generation:
    return resolve(_stores().es, index)


def _concrete(index: str, concrete: str) -> Generation:
    return _resolved_concrete(index, concrete, os.getpid())


@lru_cache(maxsize=256)
def _resolved_concrete(index: str, concrete: str, _process: int) -> Generation:
    return generation_at(_stores().es, index, concrete)


def _stores() -> Stores:
    return _open_stores(os.getpid())


@lru_cache(maxsize=1)
def _valkey(_process: int) -> redis.Redis:
    return connections.valkey(settings.load())


@lru_cache(maxsize=1)
def _open_stores(_process: int) -> Stores:
    """The clients of this process; a forked one opens its own."""
    known = settings.load()
    es: Elasticsearch = connections.elasticsearch(known, serializer=OrjsonSerializer())
    number = connections.check_elasticsearch(es, known)
    major, minor = (int(part) for part in number.split(".")[:2])
    return Stores(
        es=es,
        valkey=_valkey(os.getpid()),
        retry_seconds_max=min(known.index_retry_seconds_max, known.task_time_limit_seconds / 3),
        takes_packed_vectors=(major, minor) >= PACKED_VECTORS_FROM,
    )
