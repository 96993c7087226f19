"""What a shopper did, as Hitweave understands it: pure value objects and their identities.

Ids of people, clients, sessions and orders are pseudonyms from here on; the prefix tells the kind,
so that equal ids of different kinds never meet: none = user, `c-` = client, `s-` = session,
`o-` = order, `a-` = network address. A shopper's day (`d-`) is made of such.
"""

import hashlib
import hmac
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from indexer.identity import action_key

PSEUDONYM_DIGITS = 24
# Who handed an event in: one of our own, anybody, or a program that says it is none of a shopper.
Sender = Literal["trusted", "client", "robot"]
BASKET_ACTIONS = frozenset({"purchase", "add_to_cart", "remove_from_cart"})


@dataclass(frozen=True, slots=True)
class BehaviourEvent:
    """One action on one item, after validation and pseudonymisation.

    `timestamp` is seconds since the epoch, UTC. `item_id` is empty for actions without an item:
    they are kept in the journal and change nothing else. `user` is a pseudonym, None for anonymous
    clients without any id. `basket` groups items taken together (order, else session, else the
    shopper's day).
    `query_key` is the normalised text of the search it came from, None outside a search.
    `client` is the pseudonym of the client that a known user was on. `position` counts from 1.
    `sender` and `address` (a pseudonym, None for trusted senders) say where a live event came from;
    the journal does not keep them. `context` is what `event_attributes.context` says, if anything.
    """

    event_id: str
    action: str
    item_id: str
    timestamp: float
    user: str | None = None
    client: str | None = None
    session: str | None = None
    basket: str | None = None
    query_key: str | None = None
    query_id: str | None = None
    position: int | None = None
    sender: Sender = "trusted"
    address: str | None = None
    context: Mapping[str, Any] | None = field(default=None, hash=False)


@lru_cache(maxsize=100_000)
def pseudonym(key: str, user_id: str) -> str:
    """A stable stand-in for a user id: HMAC-SHA256 under `key`, 24 hex digits."""
    digest = hmac.digest(key.encode(), user_id.encode(), hashlib.sha256)
    return digest.hex()[:PSEUDONYM_DIGITS]


def client_pseudonym(key: str, client_id: str) -> str:
    """A stable stand-in for a client id (a browser or app), never equal to one of a user."""
    return "c-" + pseudonym(key, "client " + client_id)


def session_pseudonym(key: str, session_id: str) -> str:
    """A stable stand-in for a session id."""
    return "s-" + pseudonym(key, "session " + session_id)


def order_pseudonym(key: str, order_id: str) -> str:
    """A stable stand-in for an order id."""
    return "o-" + pseudonym(key, "order " + order_id)


def address_pseudonym(key: str, address: str) -> str:
    """A stable stand-in for a network address."""
    return "a-" + pseudonym(key, "address " + address)


def shopper(key: str, user_id: str | None, client_id: str | None = None) -> str | None:
    """Whom behaviour is kept under, writing and reading: the user, else the client, else nobody."""
    if user_id:
        return pseudonym(key, user_id)
    return client_pseudonym(key, client_id) if client_id else None


def query_key(text: str) -> str:
    """The same search typed twice has one key: NFKC, case folded, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@lru_cache(maxsize=10_000)
def iso(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(round(seconds, 3), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def basket_of(document: Mapping[str, Any]) -> str | None:
    """What a stored UBI document's item was taken together with: its order, else its session, else
    all that its shopper took on that day (UTC). None where it names none of them.
    """
    order = (document.get("event_attributes") or {}).get("order_id")
    named = order or document.get("session_id")
    who = document.get("user_id") or document.get("client_id")
    if named or not who:
        return named or None
    day = datetime.fromisoformat(document["timestamp"]).astimezone(UTC).date()
    return f"d-{who}-{day.isoformat()}"


def event_of(document: Mapping[str, Any]) -> BehaviourEvent:
    """The event that a stored UBI document (see ubi.read_event) means."""
    attributes = document.get("event_attributes") or {}
    user_query = document.get("user_query")
    origin = document.get("hitweave") or {}
    action = action_key(document["action_name"])
    context = attributes.get("context")
    filled = attributes.get("order_id") or action in BASKET_ACTIONS
    basket = basket_of(document) if filled else None
    return BehaviourEvent(
        event_id=document["event_id"],
        action=action,
        item_id=(attributes.get("object") or {}).get("object_id", ""),
        timestamp=datetime.fromisoformat(document["timestamp"]).timestamp(),
        user=document.get("user_id") or document.get("client_id"),
        client=document.get("client_id") if document.get("user_id") else None,
        session=document.get("session_id"),
        basket=basket,
        query_key=(query_key(user_query) or None) if user_query else None,
        query_id=document.get("query_id"),
        position=(attributes.get("position") or {}).get("ordinal"),
        sender=origin.get("sender", "trusted"),
        address=origin.get("address"),
        context=context if isinstance(context, dict) else None,
    )
