"""What a shopper did, as Hitweave understands it: pure value objects and their identities."""

import hashlib
import hmac
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BehaviourEvent:
    """One action on one item, after validation and pseudonymisation.

    `timestamp` is seconds since the epoch, UTC. `user` is a pseudonym, None for anonymous clients
    without any id. `basket` groups items taken together (order, else session). `query_key` is the
    normalised text of the search it came from, None outside a search. `position` counts from 1.
    """

    event_id: str
    action: str
    item_id: str
    timestamp: float
    user: str | None = None
    session: str | None = None
    basket: str | None = None
    query_key: str | None = None
    query_id: str | None = None
    position: int | None = None


def pseudonym(key: str, user_id: str) -> str:
    """A stable stand-in for a user id: HMAC-SHA256 under `key`, 24 hex digits."""
    return hmac.new(key.encode(), user_id.encode(), hashlib.sha256).hexdigest()[:24]


def query_key(text: str) -> str:
    """The same search typed twice has one key: NFKC, case folded, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
