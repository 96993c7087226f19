"""Behaviour on its way in: one Valkey stream an index, emptied in the transaction that folds it.

So whoever ends at whatever moment, an entry is either still there or folded. The task that empties
a stream carries no events; it is a wake-up, and a lost one is sent again by any worker's watch.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import orjson
import redis
from redis.client import Pipeline
from redis.exceptions import LockError
from redis.lock import Lock

from indexer import inbox
from indexer.behaviour import pending
from indexer.behaviour.store import courteous, key
from indexer.behaviour.ubi import Kind
from indexer.errors import StackFailed

QUEUE = "behaviour"
FOLD = "indexer.behaviour.tasks.fold_events"
# Names of indices that ever had arrivals; the watch looks at their streams.
INDICES = "hw:arrived"
ENTRIES_MAX = 50_000
ENTRIES_READ = 256
SET_ASIDE_MAX = 10_000
# A wake-up that was sent is believed to be under way for this long.
WOKEN_SECONDS = 2
STRANDED_SECONDS = 3.0
TURN_SECONDS, TURN_WAIT_SECONDS, TURN_POLL_SECONDS = 5.0, 6.0, 0.01

Document = dict[str, Any]
Entries = list[tuple[bytes, dict[bytes, bytes]]]
Batch = Mapping[Kind, Sequence[Document]]


@dataclass(frozen=True)
class Ticket:
    """One chunk of an import that somebody waits for."""

    job: str
    chunk: int


@dataclass(frozen=True)
class Arrival:
    """One entry of a stream; `received_at` is in seconds since the epoch."""

    id: str
    documents: Batch
    ticket: Ticket | None

    @property
    def received_at(self) -> float:
        """When the entry came, by Valkey's clock."""
        return int(self.id.partition("-")[0]) / 1000

    def __len__(self) -> int:
        return sum(len(documents) for documents in self.documents.values())


def hand_over(
    valkey: redis.Redis, index: str, documents: Batch, ticket: Ticket | None = None
) -> str:
    """Put documents of ubi.read into the stream and wake a worker; the id of the entry.

    Raises StackFailed when too much waits already, a RedisError when Valkey did not take it, and
    ValkeyUnavailable when it did but nobody can be woken: sending it again is right in every case.
    """
    entry: dict[str, Any] = {str(kind): batch for kind, batch in documents.items()}
    if ticket:
        entry |= {"job": ticket.job, "chunk": ticket.chunk}
    if valkey.xlen(key(index, "arrived")) >= ENTRIES_MAX:
        raise StackFailed(
            f"{ENTRIES_MAX} requests wait to be folded: start more workers, or see in their logs "
            "what holds them up, and send this again later"
        )
    with valkey.pipeline() as pipe:
        if ticket is None:
            pending.note(pipe, index, pending.readable(documents.get("event", ())))
        pipe.sadd(INDICES, index)
        pipe.xadd(key(index, "arrived"), {"entry": orjson.dumps(entry)})
        pipe.set(key(index, "woken"), 1, nx=True, ex=WOKEN_SECONDS)
        *_, entry_id, nobody_is_woken = pipe.execute()
    if nobody_is_woken:
        wake(index)
    return str(entry_id.decode())


def wake(index: str) -> None:
    """Have a worker empty the stream."""
    inbox.submit(FOLD, QUEUE, index=index)


def wake_stranded(valkey: redis.Redis) -> list[str]:
    """Wake for entries whose wake-up seems lost; the indices they belong to."""
    names = sorted(name.decode() for name in cast(set[bytes], valkey.smembers(INDICES)))
    seconds, microseconds = valkey.time()
    now = seconds + microseconds / 1e6
    with valkey.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.xrange(key(name, "arrived"), count=1)
        oldest = pipe.execute()
    found = []
    for name, entries in zip(names, oldest, strict=True):
        waits = entries and now - int(entries[0][0].partition(b"-")[0]) / 1000 > STRANDED_SECONDS
        if waits and valkey.set(key(name, "woken"), 1, nx=True, ex=WOKEN_SECONDS):
            wake(name)
            found.append(name)
    return found


def front(valkey: redis.Redis, index: str) -> tuple[int, ...] | None:
    """The id of the entry that is folded next, as numbers; None where none waits."""
    entries = cast(Entries, valkey.xrange(key(index, "arrived"), count=1))
    return place(entries[0][0].decode()) if entries else None


def place(entry_id: str) -> tuple[int, ...]:
    """An entry's id as numbers, which grow in the order of arrival."""
    return tuple(map(int, entry_id.split("-")))


def oldest(valkey: redis.Redis, index: str, documents_max: int) -> list[Arrival]:
    """Entries from the front of the stream: one, and more as long as all are that few documents."""
    found: list[Arrival] = []
    for entry_id, fields in cast(Entries, valkey.xrange(key(index, "arrived"), count=ENTRIES_READ)):
        arrival = _arrival(entry_id, fields)
        if found and sum(map(len, found)) + len(arrival) > documents_max:
            break
        found.append(arrival)
    return found


def _arrival(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Arrival:
    entry = orjson.loads(fields[b"entry"])
    ticket = Ticket(entry["job"], entry["chunk"]) if "job" in entry else None
    documents: dict[Kind, list[Document]] = {
        "query": entry.get("query", []),
        "event": entry.get("event", []),
    }
    return Arrival(entry_id.decode(), documents, ticket)


def remove(pipe: Pipeline, index: str, arrivals: Sequence[Arrival]) -> None:
    """Take entries out of the stream, as part of the transaction that folds them."""
    pipe.xdel(key(index, "arrived"), *(arrival.id for arrival in arrivals))


def set_aside(pipe: Pipeline, index: str, arrival: Arrival, reason: str) -> None:
    """Move an entry that cannot be folded out of the way of the others, with the reason."""
    entry = orjson.dumps(arrival.documents)
    pipe.xadd(key(index, "set-aside"), {"reason": reason, "entry": entry}, maxlen=SET_ASIDE_MAX)
    remove(pipe, index, [arrival])


def forget_set_aside(valkey: redis.Redis, index: str, pseudonyms: Sequence[str]) -> int:
    """Delete entries set aside that hold anything of a person; how many there were."""
    held = cast(Entries, valkey.xrange(key(index, "set-aside")))
    names = [name.encode() for name in pseudonyms]
    found = [
        entry_id for entry_id, fields in held if any(name in fields[b"entry"] for name in names)
    ]
    return valkey.xdel(key(index, "set-aside"), *found) if found else 0


@contextmanager
def turn(valkey: redis.Redis, index: str) -> Iterator[Lock]:
    """One worker at a time empties a stream; a dead one's turn ends by itself.

    What comes from now on sends a wake-up of its own: the flag is down before the stream is read.
    """
    valkey.delete(key(index, "woken"))
    lock = valkey.lock(
        key(index, "turn"),
        timeout=TURN_SECONDS,
        sleep=TURN_POLL_SECONDS,
        blocking_timeout=TURN_WAIT_SECONDS,
    )
    with courteous(lock):
        yield lock


def extend(lock: Lock) -> None:
    """Keep the turn; one that ran out costs double work, never a double count."""
    with suppress(LockError):
        lock.reacquire()
