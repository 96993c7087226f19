"""Behaviour state in Valkey: read in one call, changed exactly once in effect.

`apply` is an optimistic transaction. Everyone who changes an index's state does it in a MULTI that
also counts `hw:{index}:revision` up and that WATCHes it from before the first read: whatever was
read is still true when it is written, or nothing is written and the work starts over. Values and
the digests of the folded events become visible together, so an event that is delivered again, by
anyone, at any time, changes nothing. The lock only spares concurrent appliers the repetitions.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import NamedTuple, Protocol, cast

import redis
from redis.client import Pipeline
from redis.exceptions import LockError, WatchError
from redis.lock import Lock
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from indexer.behaviour import feedback, state
from indexer.behaviour.event import BehaviourEvent

# A bucket is the digest's last decimal digits: 100,000 small integer sets, packed by Valkey as long
# as each holds no more than 512, which is 51 million events an index.
_BUCKET = "KEYS[1] .. string.sub(ARGV[i], -5)"
_ARE_SEEN = f"""
local seen = {{}}
for i = 1, #ARGV do seen[i] = redis.call('SISMEMBER', {_BUCKET}, ARGV[i]) end
return seen
"""
_SEE = f"""
for i = 1, #ARGV do redis.call('SADD', {_BUCKET}, ARGV[i]) end
"""
# The lock is a courtesy: the transaction is right without it, so nobody waits long for a dead one.
LOCK_SECONDS = 5.0
LOCK_WAIT_SECONDS = 6.0
LOCK_POLL_SECONDS = 0.005
RETRY_SECONDS_MAX = 15.0


# Values that are only needed for a while, by what their key begins with.
TTL_SECONDS = {
    "basket:": state.BASKET_TTL_SECONDS,
    feedback.TAUGHT: feedback.TAUGHT_TTL_SECONDS,
    feedback.LAYER: feedback.LAYER_TTL_SECONDS,
}


class Applied(NamedTuple):
    """How many events changed the state's history, and how many were known before."""

    accepted: int
    duplicate: int


class Folding(Protocol):
    """What `apply` needs of the state's mathematics; the module `state` is one."""

    def basket_keys(self, events: Iterable[BehaviourEvent]) -> list[str]:
        """Keys whose values `keys_for` wants to see."""

    def keys_for(
        self, events: Sequence[BehaviourEvent], baskets: Mapping[str, bytes | None]
    ) -> list[str]:
        """Every key that folding reads or writes."""

    def fold(
        self, values: Mapping[str, bytes | None], events: Sequence[BehaviourEvent]
    ) -> dict[str, bytes]:
        """New values of changed keys."""


def key(index: str, suffix: str) -> str:
    """The full name of a state key."""
    return f"hw:{index}:{suffix}"


def read(valkey: redis.Redis, index: str, suffixes: Sequence[str]) -> list[bytes | None]:
    """The values of state keys, None where absent, in one round trip."""
    if not suffixes:
        return []
    return cast(list[bytes | None], valkey.mget([key(index, suffix) for suffix in suffixes]))


def apply(
    valkey: redis.Redis,
    index: str,
    events: Sequence[BehaviourEvent],
    *,
    folding: Folding = state,
    also: Callable[[Pipeline, Applied], None] | None = None,
) -> Applied:
    """Fold events that are not yet folded.

    `also` may add commands to the transaction, told what it accepts. Raises WatchError when others
    kept changing the state for too long, and redis.ConnectionError or TimeoutError when it is not
    known whether it happened: in all cases, doing it again is right.
    """
    unique = {digest(event.event_id): event for event in reversed(events)}
    for attempt in Retrying(
        retry=retry_if_exception_type(WatchError),
        wait=wait_random_exponential(multiplier=0.01, max=0.5),
        stop=stop_after_delay(RETRY_SECONDS_MAX),
        reraise=True,
    ):
        with attempt, _courtesy_lock(valkey, index), valkey.pipeline() as pipe:
            watch(pipe, index)
            fresh = _unseen(valkey, index, list(unique))
            applied = Applied(len(fresh), len(events) - len(fresh))
            changed = _folded(valkey, index, [unique[number] for number in fresh], folding)
            begin(pipe, index, changes=bool(fresh))
            _write(pipe, index, changed, fresh)
            if also:
                also(pipe, applied)
            pipe.execute()
            return applied
    raise AssertionError("unreachable")


def digest(event_id: str) -> int:
    """The 63 bits by which an event is remembered (Valkey's integer sets are signed)."""
    raw = hashlib.blake2b(event_id.encode(), digest_size=8).digest()
    return int.from_bytes(raw, "big") >> 1


def watch(pipe: Pipeline, index: str) -> None:
    """Begin reading, on any connection: a change by anyone from here on fails this transaction."""
    pipe.watch(key(index, "revision"))  # type: ignore[no-untyped-call]


def begin(pipe: Pipeline, index: str, *, changes: bool) -> None:
    """Begin writing after `watch`; whoever changes the index's state says so."""
    pipe.multi()
    if changes:
        pipe.incr(key(index, "revision"))


def _courtesy_lock(valkey: redis.Redis, index: str) -> AbstractContextManager[Lock]:
    return courteous(
        valkey.lock(
            key(index, "lock"),
            timeout=LOCK_SECONDS,
            sleep=LOCK_POLL_SECONDS,
            blocking_timeout=LOCK_WAIT_SECONDS,
        )
    )


@contextmanager
def courteous(lock: Lock) -> Iterator[Lock]:
    """Inside a lock that only saves work: who waited long enough goes on without it."""
    held = lock.acquire()
    try:
        yield lock
    finally:
        if held:
            with suppress(LockError):  # it ran out
                lock.release()


def _unseen(valkey: redis.Redis, index: str, digests: Sequence[int]) -> list[int]:
    """Those that no transaction has folded yet, in one round trip."""
    known: list[int] = valkey.eval(_ARE_SEEN, 1, key(index, "seen:"), *digests)
    return [number for number, seen in zip(digests, known, strict=True) if not seen]


def _folded(
    valkey: redis.Redis, index: str, fresh: Sequence[BehaviourEvent], folding: Folding
) -> dict[str, bytes]:
    """The new values after `fresh`, folded in time order."""
    events = sorted((e for e in fresh if e.item_id), key=lambda e: (e.timestamp, e.event_id))
    if not events:
        return {}
    baskets = _values(valkey, index, folding.basket_keys(events))
    others = [k for k in folding.keys_for(events, baskets) if k not in baskets]
    return folding.fold({**_values(valkey, index, others), **baskets}, events)


def _values(valkey: redis.Redis, index: str, suffixes: Sequence[str]) -> dict[str, bytes | None]:
    return dict(zip(suffixes, read(valkey, index, suffixes), strict=True))


def _write(pipe: Pipeline, index: str, changed: Mapping[str, bytes], folded: Sequence[int]) -> None:
    passing = {k: ttl for k in changed for start, ttl in TTL_SECONDS.items() if k.startswith(start)}
    lasting = {key(index, k): v for k, v in changed.items() if k not in passing}
    if lasting:
        pipe.mset(lasting)
    for suffix, ttl_seconds in passing.items():
        pipe.set(key(index, suffix), changed[suffix], ex=ttl_seconds)
    if folded:
        pipe.eval(_SEE, 1, key(index, "seen:"), *folded)
