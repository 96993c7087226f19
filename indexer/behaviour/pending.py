"""Deeds that were taken and are not folded yet, by shopper: whoever did them sees them at once.

Noted with the stream's entry, taken out in the transaction that folds it, and read in the same
command as the profile: so a deed is in exactly one of the two. One that comes again is in both
until it is found to be known.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgpack
from redis.client import Pipeline

from indexer.behaviour import shopper_profile
from indexer.behaviour.event import BehaviourEvent, event_of
from indexer.behaviour.shopper_profile import ShopperEvent

TTL_SECONDS = 60  # after which a deed that nobody folds is only in the stream
DEEDS_MAX = 100  # of one request
_TAKE_OUT = """
local left = redis.call('GET', KEYS[1])
if not left then return 0 end
for i = 1, #ARGV do
  local first, last = string.find(left, ARGV[i], 1, true)
  if first then left = string.sub(left, 1, first - 1) .. string.sub(left, last + 1) end
end
if #left == 0 then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], left, 'KEEPTTL')
return 1
"""


def key(shopper: str) -> str:
    """Key of a pseudonym's deeds on their way, as a suffix of `hw:{index}:`."""
    return f"due:{shopper}"


def readable(documents: Iterable[Mapping[str, Any]]) -> list[BehaviourEvent]:
    """The events of documents; one that cannot be read is the folding's to set aside."""
    found = []
    for document in documents:
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            found.append(event_of(document))
    return found


def note(pipe: Pipeline, index: str, events: Iterable[BehaviourEvent]) -> None:
    """Tell that these are on their way."""
    for shopper, deeds in _by_shopper(events).items():
        name = f"hw:{index}:{key(shopper)}"
        pipe.append(name, b"".join(deeds[-DEEDS_MAX:]))
        pipe.expire(name, TTL_SECONDS)


def settle(pipe: Pipeline, index: str, events: Iterable[BehaviourEvent]) -> None:
    """Tell that these are folded, as part of the transaction that does it."""
    for shopper, deeds in _by_shopper(events).items():
        pipe.eval(_TAKE_OUT, 1, f"hw:{index}:{key(shopper)}", *deeds)


def over(profile: bytes | None, due: bytes | None) -> bytes | None:
    """The value of a profile with what is on its way."""
    if not due:
        return profile
    unpacker = msgpack.Unpacker()
    unpacker.feed(due)
    deeds = [ShopperEvent(item, action, time) for _, item, action, time in unpacker]
    return shopper_profile.fold(profile, deeds)


def _by_shopper(events: Iterable[BehaviourEvent]) -> Mapping[str, Sequence[bytes]]:
    found: dict[str, list[bytes]] = defaultdict(list)
    for event in events:
        if event.user is not None and event.item_id and shopper_profile.handles(event.action):
            deed = (event.event_id, event.item_id, event.action, event.timestamp)
            found[event.user].append(msgpack.packb(deed))
    return found
