"""Takes behaviour of trusted senders and hands it to the workers, no faster than they fold it.

What a durable log still holds need not lie in Valkey too: of what was handed over here only two
chunks an index wait to be folded, so that live events never queue behind a long past.
"""

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any

import redis
from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch

from indexer.behaviour import applications, arrivals, intake
from indexer.behaviour.applications import Applications
from indexer.behaviour.arrivals import Batch
from indexer.behaviour.intake import Intake
from indexer.errors import ElasticsearchUnavailable, StackFailed, ValkeyUnavailable

NEWS_SECONDS = 5.0  # how long the applications of the indices are believed
CHUNKS_WAITING_MAX = 2

Line = tuple[int, bytes | Any]


class Reception:
    """What one process takes; not for several threads."""

    def __init__(
        self,
        es: Elasticsearch,
        valkey: redis.Redis,
        *,
        pseudonym_key: str,
        chunk_events: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._es = es
        self._valkey = valkey
        self._pseudonym_key = pseudonym_key
        self._chunk_events = chunk_events
        self._clock = clock
        self._applications = Applications()
        self._read_at = -math.inf  # monotonic seconds
        self._waiting: dict[str, deque[tuple[tuple[int, ...], int]]] = defaultdict(deque)

    def take(self, lines: Sequence[Line]) -> Intake:
        """The lines sorted by index; where some name an unknown application, it is looked for.

        Raises CouldNotReach where it cannot be told which indices there are, or where there is
        none yet: nothing is rejected because of that.
        """
        arrived = time.monotonic()
        taken = intake.take(lines, self._terms(arrived - NEWS_SECONDS))
        if any(it.reason.startswith("application: ") for it in taken.rejected):
            return intake.take(lines, self._terms(arrived))
        return taken

    def chunks(self, taken: Intake) -> list[tuple[str, Batch]]:
        """What was taken, in the parts that are handed over one by one."""
        return list(taken.batches(self._chunk_events))

    def hand_over(self, index: str, documents: Batch) -> None:
        """Off to the workers; raises CouldNotReach where it is not sure that they come to it.

        Doing it again is right in every case. StackFailed: enough waits to be folded already.
        """
        count = sum(map(len, documents.values()))
        try:
            self._check_room(index, count)
            entry = arrivals.hand_over(self._valkey, index, documents)
        except redis.RedisError as error:
            raise ValkeyUnavailable(
                f"Valkey does not take events ({type(error).__name__}): start it (`hitweave up`) "
                "or set HITWEAVE_VALKEY_URL"
            ) from error
        self._waiting[index].append((arrivals.place(entry), count))

    def _check_room(self, index: str, more: int) -> None:
        waiting, limit = self._waiting[index], CHUNKS_WAITING_MAX * self._chunk_events
        if sum(count for _, count in waiting) + more <= limit:
            return
        front = arrivals.front(self._valkey, index)
        while waiting and (front is None or waiting[0][0] < front):
            waiting.popleft()
        if sum(count for _, count in waiting) + more > limit:
            raise StackFailed(
                f"{CHUNKS_WAITING_MAX} chunks of {index} wait to be folded: `hitweave status` "
                "shows whether a worker takes them"
            )

    def _terms(self, since: float) -> intake.Terms:
        if self._read_at < since:
            begun = time.monotonic()
            self._applications = self._read()
            self._read_at = begun
        return intake.Terms(self._applications, self._pseudonym_key, self._clock(), live=True)

    def _read(self) -> Applications:
        try:
            found = applications.read(self._es)
        except (ApiError, TransportError) as error:
            raise ElasticsearchUnavailable(
                f"the indices cannot be read ({type(error).__name__}): see whether "
                "Elasticsearch is up"
            ) from error
        if not found.named:
            raise StackFailed("there is no index yet that events go to: `hitweave create` one")
        return found
