"""UBI 1.3.0 events and queries: liberal in reading, strict in what is stored.

Pure. Read are both spellings seen in the wild, ids as numbers or text, times as ISO 8601 or epoch
milliseconds (or seconds). Stored is one spelling, without fields that UBI does not name and with
pseudonyms in place of ids. `event_attributes` keeps its free parts.

Identity: `event_id` where given, else the SHA-256 of the event's canonical JSON (sorted keys) as it
was received. So two equal order lines in a file are one event, and so are two clicks without
`timestamp` and `event_id` that are equal otherwise: give one of the two to tell them apart.
"""

import hashlib
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from indexer.behaviour import event
from indexer.errors import InvalidEvent

FUTURE_SECONDS_MAX = 300.0
EVENT_ID_BYTES_MAX = 256
ATTRIBUTE_DEPTH_MAX = 12
HIT_IDS_MAX = 10_000
# Smaller numbers are seconds: as milliseconds they would lie before March 1973.
EPOCH_MS_MIN = 1e11
ITEM_ACTIONS = frozenset(
    {"impression", "click", "watch", "add_to_cart", "purchase", "remove_from_cart", "dismiss"}
)
ORDER_FIELDS = ("order_id", "transaction_id")

Kind = Literal["event", "query"]


def _blank_to_none(value: Any) -> Any:
    return None if value == "" else value


def _seconds(value: Any) -> float | None:
    """Seconds since the epoch from ISO 8601 text, epoch milliseconds or epoch seconds."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and not value.lstrip("-").replace(".", "", 1).isdigit():
        moment = datetime.fromisoformat(value.strip())
        number = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    elif isinstance(value, (int, float, str)) and not isinstance(value, bool):
        number = float(value)
        number = number / 1000.0 if number >= EPOCH_MS_MIN else number
    else:
        raise ValueError("must be ISO 8601 text or epoch milliseconds")
    if not math.isfinite(number) or not 0 <= number < 253_402_300_800:
        raise ValueError("must lie between the years 1970 and 9999")
    return number


Name = Annotated[str, StringConstraints(max_length=100)]
OptionalName = Annotated[Name | None, BeforeValidator(_blank_to_none)]
ObjectId = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Time = Annotated[float | None, BeforeValidator(_seconds)]
Text = Annotated[str, StringConstraints(max_length=2000)]


class _Ubi(BaseModel):
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)


class UbiObject(_Ubi):
    """What was acted upon; further keys are kept."""

    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)

    object_id: ObjectId | None = None
    object_id_field: OptionalName = None
    object_id_type: OptionalName = None
    internal_id: Annotated[str, StringConstraints(max_length=256)] | None = None


class UbiPosition(_Ubi):
    """Where it stood; further keys are kept."""

    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)

    ordinal: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    xy: dict[Literal["x", "y"], float] | None = None

    @model_validator(mode="before")
    @classmethod
    def _flat_coordinates(cls, value: Any) -> Any:
        """`{"x", "y"}` directly inside is read as `{"xy": {"x", "y"}}`."""
        if not isinstance(value, dict) or not ("x" in value or "y" in value):
            return value
        rest = {name: part for name, part in value.items() if name not in ("x", "y")}
        flat = {axis: value[axis] for axis in ("x", "y") if value.get(axis) is not None}
        return {**rest, "xy": {**(value.get("xy") or {}), **flat} or None}


class UbiAttributes(_Ubi):
    """`event_attributes`; further keys are kept."""

    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)

    object: UbiObject | None = None
    position: UbiPosition | None = None


class UbiEvent(_Ubi):
    """One event as received."""

    action_name: Annotated[Name, StringConstraints(min_length=1)]
    application: OptionalName = None
    event_id: Annotated[str | None, BeforeValidator(_blank_to_none)] = None
    query_id: OptionalName = None
    session_id: OptionalName = None
    client_id: OptionalName = None
    user_id: OptionalName = None
    timestamp: Time = None
    message_type: OptionalName = None
    message: Annotated[str, StringConstraints(max_length=1024)] | None = None
    user_query: Text | None = None
    event_attributes: UbiAttributes | None = None


class UbiQuery(_Ubi):
    """One query, its response or both, as received."""

    application: OptionalName = None
    query_id: OptionalName = None
    session_id: OptionalName = None
    client_id: OptionalName = None
    user_id: OptionalName = None
    timestamp: Time = None
    user_query: Text | None = None
    object_id_field: OptionalName = None
    query_attributes: dict[str, Any] | None = None
    query_response_id: OptionalName = None
    query_response_hit_ids: list[ObjectId] | None = Field(
        None,
        max_length=HIT_IDS_MAX,
        validation_alias=AliasChoices(
            "query_response_hit_ids", "query_response_objects_ids", "query_response_object_ids"
        ),
    )


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
    named = raw.get("application") or (raw.get("query_attributes") or {}).get("application")
    return str(named) if named else None


def identity(raw: Mapping[str, Any]) -> str:
    """The given `event_id`, else a digest of the canonical JSON as received."""
    given = raw.get("event_id")
    if given not in (None, "") and len(str(given).encode()) <= EVENT_ID_BYTES_MAX:
        return str(given)
    return hashlib.sha256(orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)).hexdigest()


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
    found = {}
    if ubi.user_id:
        found["user_id"] = event.pseudonym(key, ubi.user_id)
    if ubi.client_id:
        found["client_id"] = event.client_pseudonym(key, ubi.client_id)
    if session_id:
        found["session_id"] = event.session_pseudonym(key, session_id)
    return found


def _event_document(
    ubi: UbiEvent, raw: dict[str, Any], key: str, now: float, live: bool
) -> dict[str, Any]:
    attributes = ubi.event_attributes.model_dump(exclude_none=True) if ubi.event_attributes else {}
    _check_free_parts(attributes)
    session = ubi.session_id or _taken(attributes, ("session_id",))
    order = _taken(attributes, ORDER_FIELDS)
    if order:
        attributes["order_id"] = event.order_pseudonym(key, order)
    action = ubi.action_name.casefold().replace("-", "_")
    if action in ITEM_ACTIONS and "object_id" not in attributes.get("object", {}):
        raise InvalidEvent(f"event_attributes.object.object_id: {action} needs it")
    plain = ("application", "action_name", "query_id", "message_type", "message", "user_query")
    kept = {name: value for name in plain if (value := getattr(ubi, name)) is not None}
    return {
        "event_id": identity(raw),
        "timestamp": _moment(ubi.timestamp, now, live),
        **kept,
        **_person(ubi, session, key),
        **({"event_attributes": attributes} if attributes else {}),
    }


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


def _check_free_parts(value: Any, depth: int = 0) -> None:
    """Refuses what Elasticsearch cannot hold as a flattened object; raises InvalidEvent."""
    if depth > ATTRIBUTE_DEPTH_MAX:
        raise InvalidEvent(f"attributes: nested deeper than {ATTRIBUTE_DEPTH_MAX}")
    if isinstance(value, dict):
        for name, part in value.items():
            if (
                not name.strip(" .")
                or "\0" in name
                or ".." in name
                or name[0] + name[-1] != (name[0] + name[-1]).strip(".")
            ):
                raise InvalidEvent("attributes: a field name is empty or has stray dots")
            _check_free_parts(part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            _check_free_parts(part, depth + 1)
