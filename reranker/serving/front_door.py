"""Where behaviour comes in over HTTP: which index it belongs to, and off to the workers.

Nothing is kept here: what is accepted is in Valkey, and what Valkey does not take is an error to
whoever sent it.
"""

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import redis
from elasticsearch import ApiError, Elasticsearch, TransportError
from redis.backoff import NoBackoff
from redis.retry import Retry

from indexer import connections
from indexer import settings as server_settings
from indexer.behaviour import applications, arrivals, intake
from indexer.behaviour.applications import Applications
from indexer.behaviour.intake import TRUSTED, Origin
from indexer.errors import ElasticsearchUnavailable, ValkeyUnavailable
from reranker import settings
from reranker.serving.lookouts import Lookouts

ELASTICSEARCH_SECONDS_MAX = 3.0  # no request waits so long
# How long one does: with applications that are known from before, and for one that is not.
NEWS_SECONDS, UNKNOWN_SECONDS = 0.2, 1.0
VALKEY_SECONDS_MAX = 1.0


@dataclass(frozen=True, slots=True)
class _Read:
    """The applications as they were when a reading began, in monotonic seconds."""

    begun: float
    applications: Applications


class FrontDoor:
    """Takes events and queries of one process, pseudonymised from here on."""

    def __init__(
        self,
        es: Elasticsearch,
        valkey: redis.Redis,
        *,
        pseudonym_key: str,
        chunk_events: int,
        ttl_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._es = es
        self._valkey = valkey
        self._pseudonym_key = pseudonym_key
        self._chunk_events = chunk_events
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._lookouts: Lookouts[_Read] = Lookouts()
        self._known: _Read | None = None

    def look(self) -> None:
        """See which indices there are before anybody sends events, so that they are taken though
        the node hangs by then; one that does not answer now is asked with the first of them.
        """
        with suppress(ElasticsearchUnavailable):
            self._applications(time.monotonic(), ELASTICSEARCH_SECONDS_MAX)

    def read(
        self, lines: Iterable[tuple[int, bytes | Any]], origin: Origin = TRUSTED
    ) -> intake.Intake:
        """Live lines, sorted; where some name an unknown application, it is looked for afresh.

        An index that was there before the lines came is always known. Raises
        ElasticsearchUnavailable when it was never known which indices there are.
        """
        numbered, arrived = list(lines), time.monotonic()
        wait = UNKNOWN_SECONDS if self._known is None else NEWS_SECONDS
        taken = intake.take(numbered, self._terms(arrived - self._ttl_seconds, wait, origin))
        if any(it.reason.startswith("application: ") for it in taken.rejected):
            return intake.take(numbered, self._terms(arrived, UNKNOWN_SECONDS, origin))
        return taken

    def hand_on(self, taken: intake.Intake) -> None:
        """Off to the workers; raises CouldNotReach where it is not sure that they come to it."""
        try:
            for index, documents in taken.batches(self._chunk_events):
                arrivals.hand_over(self._valkey, index, documents)
        except redis.RedisError as error:
            raise ValkeyUnavailable(
                f"Valkey does not take events ({type(error).__name__}): "
                f"{connections.valkey_advice(error)}, then send all of this request again"
            ) from error

    def _terms(self, since: float, wait_seconds: float, origin: Origin) -> intake.Terms:
        there = self._applications(since, wait_seconds)
        return intake.Terms(there, self._pseudonym_key, self._clock(), live=True, origin=origin)

    def _applications(self, since: float, wait_seconds: float) -> Applications:
        """The applications by a reading begun at `since` (monotonic seconds) or later.

        Those who wait share one reading. Older where they cannot be read in time.
        """
        known = self._known
        try:
            while known is None or known.begun < since:
                known = self._lookouts.look("", self._read, wait_seconds)
        except ElasticsearchUnavailable:
            if self._known is None:
                raise
            known = self._known
        return known.applications

    def _read(self) -> _Read:
        """What there is now, else what was known last; kept. Raises ElasticsearchUnavailable."""
        begun = time.monotonic()
        try:
            found = applications.read(self._es)
        except (ApiError, TransportError) as error:
            if self._known is None:
                raise ElasticsearchUnavailable(
                    f"the indices cannot be read ({type(error).__name__}): "
                    "see whether Elasticsearch is up"
                ) from error
            found = self._known.applications
        self._known = _Read(begun, found)
        return self._known


def front_door() -> FrontDoor:
    """The one of this process, opened when first needed, so after the fork."""
    return _open(os.getpid())


@lru_cache(maxsize=1)
def _open(_process: int) -> FrontDoor:
    servers = server_settings.load()
    return FrontDoor(
        connections.elasticsearch(
            servers, request_timeout=ELASTICSEARCH_SECONDS_MAX, max_retries=0
        ),
        connections.valkey(
            servers,
            socket_timeout=VALKEY_SECONDS_MAX,
            socket_connect_timeout=VALKEY_SECONDS_MAX,
            retry=Retry(NoBackoff(), 0),
        ),
        pseudonym_key=servers.pseudonym_key.get_secret_value(),
        chunk_events=servers.events_chunk,
        ttl_seconds=settings.load().generation_ttl_seconds,
    )
