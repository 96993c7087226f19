"""UBI 1.3.0 events and queries: liberal in reading, strict in what is stored.

Pure. Read are both spellings seen in the wild, ids as numbers or text, times as ISO 8601 or epoch
milliseconds (or seconds). Stored is one spelling, without fields that UBI does not name and with
pseudonyms in place of ids. `event_attributes` keeps its free parts.

Identity: `event_id` where given, else the SHA-256 of the event's canonical JSON (sorted keys) as it
was received. So two equal order lines in a file are one event, and so are two clicks without
`timestamp` and `event_id` that are equal otherwise: give one of the two to tell them apart.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal

import orjson
from pydantic import ValidationError

from indexer.behaviour import event
from indexer.behaviour.ubi_schema import UbiEvent, UbiQuery
from indexer.errors import InvalidEvent
from indexer.identity import action_key

FUTURE_SECONDS_MAX = 300.0
EVENT_ID_BYTES_MAX = 256
ATTRIBUTE_DEPTH_MAX = 12
FIELD_NAME_MAX = 256
LINE_BYTES_KEPT = 10_000
ITEM_ACTIONS = frozenset(
    {
        *("impression", "click", "watch", "add_to_cart", "purchase"),
        *("remove_from_cart", "dismiss", "return", "refund"),
    }
)
# Where the sidecar puts its own part of a search it recorded; nothing that is read here has one.
SERVED = "served"
# Where a stored event keeps what is not UBI's; there the name of its action before it was counted
# as another, and what it named its product by where that is not the product's id.
OWN = "hitweave"
CAME_AS = ACTION_NAMED, ITEM_NAMED = "action_name", "object_id"
ORDER_FIELDS = ("order_id", "transaction_id")

Kind = Literal["event", "query"]
STAND_INS: dict[str, Callable[[str, str], str]] = {
    "user_id": event.pseudonym,
    "client_id": event.client_pseudonym,
    "session_id": event.session_pseudonym,
}


def kind_of(raw: object) -> Kind:
    """Whether fields make an event or a query; raises InvalidEvent for neither."""
    if not isinstance(raw, dict):
        raise InvalidEvent("is not a JSON object")
    if "action_name" in raw:
        return "event"
    if raw.keys() & {"user_query", "query_response_id", "query_response_hit_ids", "query_id"}:
        return "query"
    raise InvalidEvent("is neither an event (action_name) nor a query (user_query)")


def application_of(raw: Mapping[str, Any]) -> str | None:
    """The application an event or query names, also where only its attributes do."""
    attributes = raw.get("query_attributes")
    inner = attributes.get("application") if isinstance(attributes, dict) else None
    named = raw.get("application") or inner
    return str(named) if named else None


def identity(raw: Mapping[str, Any]) -> str:
    """The given `event_id`, else a digest of the canonical JSON as received."""
    given = raw.get("event_id")
    if given not in (None, "") and len(str(given).encode()) <= EVENT_ID_BYTES_MAX:
        return str(given)
    return hashlib.sha256(orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)).hexdigest()


def redacted(line: bytes, key: str) -> str:
    """A line as it may be kept, with pseudonyms in place of ids; as it is where it is no object."""
    try:
        raw = orjson.loads(line)
    except orjson.JSONDecodeError:
        raw = None
    if not isinstance(raw, dict):
        return line[:LINE_BYTES_KEPT].decode("utf-8", "replace")
    for part in (raw, raw.get("event_attributes"), raw.get("query_attributes")):
        if isinstance(part, dict):
            for name in STAND_INS.keys() & part.keys():
                part[name] = STAND_INS[name](key, str(part[name]))
    return orjson.dumps(raw)[:LINE_BYTES_KEPT].decode("utf-8", "replace")


def read(raw: object, *, key: str, now: float, live: bool) -> tuple[Kind, dict[str, Any]]:
    """One event or query as it is stored, without an index yet; raises InvalidEvent.

    `now` (seconds since the epoch) is the clock: a later date is refused, and it stands in for the
    time of a live one that has none. Imports (`live` false) must carry their times.
    """
    kind = kind_of(raw)
    assert isinstance(raw, dict)  # noqa: S101 - kind_of refused everything else
    try:
        if kind == "event":
            return kind, _event_document(UbiEvent.model_validate(raw), raw, key, now, live)
        return kind, _query_document(UbiQuery.model_validate(raw), raw, key, now, live)
    except ValidationError as error:
        raise InvalidEvent(_reason(error)) from None


def _reason(error: ValidationError) -> str:
    """The first fault as a sentence without the value: it may be private."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _moment(timestamp: float | None, now: float, live: bool) -> str:
    if timestamp is None and not live:
        raise InvalidEvent("timestamp: an import must say when it happened")
    if timestamp is not None and timestamp > now + FUTURE_SECONDS_MAX:
        raise InvalidEvent("timestamp: lies more than 5 minutes ahead of the clock")
    return event.iso(now if timestamp is None else timestamp)


def _person(ubi: UbiEvent | UbiQuery, session_id: str | None, key: str) -> dict[str, str]:
    """The pseudonyms of whoever acted."""
    ids = {"user_id": ubi.user_id, "client_id": ubi.client_id, "session_id": session_id}
    return {name: STAND_INS[name](key, value) for name, value in ids.items() if value}


def _event_document(
    ubi: UbiEvent, raw: dict[str, Any], key: str, now: float, live: bool
) -> dict[str, Any]:
    attributes = ubi.event_attributes.model_dump(exclude_none=True) if ubi.event_attributes else {}
    _check_free_parts(attributes)
    session = ubi.session_id or _taken(attributes, ("session_id",))
    order = _taken(attributes, ORDER_FIELDS)
    if order:
        attributes["order_id"] = event.order_pseudonym(key, order)
    _check_item(ubi.action_name, attributes)
    plain = ("application", "action_name", "query_id", "message_type", "message", "user_query")
    kept = {name: value for name in plain if (value := getattr(ubi, name)) is not None}
    return {
        "event_id": identity(raw),
        "timestamp": _moment(ubi.timestamp, now, live),
        **kept,
        **_person(ubi, session, key),
        **({"event_attributes": attributes} if attributes else {}),
    }


def counted_as(document: dict[str, Any], action: str) -> dict[str, Any]:
    """A stored event under the action that it counts as, with the name it came with aside; raises
    InvalidEvent where that action needs an item.
    """
    named = document["action_name"]
    if action_key(named) == action_key(action):
        return document
    _check_item(action, document.get("event_attributes", {}))
    return {**document, "action_name": action, OWN: {ACTION_NAMED: named}}


def _check_item(action_name: str, attributes: Mapping[str, Any]) -> None:
    action = action_key(action_name)
    if action in ITEM_ACTIONS and "object_id" not in attributes.get("object", {}):
        raise InvalidEvent(f"event_attributes.object.object_id: {action} needs it")


def _query_document(
    ubi: UbiQuery, raw: dict[str, Any], key: str, now: float, live: bool
) -> dict[str, Any]:
    attributes = dict(ubi.query_attributes or {})
    _check_free_parts(attributes)
    session = ubi.session_id or _taken(attributes, ("session_id",))
    names = ("application", "user_query", "object_id_field", "query_response_id")
    kept = {name: value for name in names if (value := getattr(ubi, name)) is not None}
    digest = identity(raw)
    return {
        "event_id": digest,
        "query_id": ubi.query_id or digest,
        "timestamp": _moment(ubi.timestamp, now, live),
        **kept,
        **_person(ubi, session, key),
        **({"query_attributes": attributes} if attributes else {}),
        "query_response_hit_ids": ubi.query_response_hit_ids or [],
    }


def _taken(attributes: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """Takes fields that hold an id out of the free parts; the first that has one."""
    found = [attributes.pop(name) for name in names if name in attributes]
    ids = [str(value) for value in found if isinstance(value, (str, int)) and value != ""]
    return ids[0] if ids else None


def _check_free_parts(parts: dict[str, Any] | list[Any], depth: int = 0) -> None:
    """Refuses what Elasticsearch cannot hold as a flattened object; raises InvalidEvent."""
    if depth > ATTRIBUTE_DEPTH_MAX:
        raise InvalidEvent(f"attributes: nested deeper than {ATTRIBUTE_DEPTH_MAX}")
    if isinstance(parts, dict) and not all(map(_can_name_a_field, parts)):
        raise InvalidEvent("attributes: a field name is empty, too long or has stray dots")
    for part in parts.values() if isinstance(parts, dict) else parts:
        if isinstance(part, (dict, list)):
            _check_free_parts(part, depth + 1)


@lru_cache(maxsize=10_000)
def _can_name_a_field(name: str) -> bool:
    words = name.split(".")
    return len(name) <= FIELD_NAME_MAX and "\0" not in name and all(map(str.strip, words))
