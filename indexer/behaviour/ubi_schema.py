"""UBI 1.3.0 as it is met in the wild: what the fields of events and queries may look like.

Pure. Both spellings are read, ids as numbers or text, times as ISO 8601, epoch milliseconds or
epoch seconds; lengths are those of the specification, where it has any.
"""

import math
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

NO_TIME = "must be ISO 8601 text or epoch milliseconds"
HIT_IDS_MAX = 10_000
# Smaller numbers are seconds: as milliseconds they would lie before March 1973.
EPOCH_MS_MIN = 1e11


def _blank_to_none(value: Any) -> Any:
    return None if value == "" else value


def _seconds(value: Any) -> float | None:
    """Seconds since the epoch from ISO 8601 text, epoch milliseconds or epoch seconds."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and not value.lstrip("-").replace(".", "", 1).isdigit():
        number = _seconds_of_iso(value.strip())
    elif isinstance(value, (int, float, str)) and not isinstance(value, bool):
        number = float(value)
        number = number / 1000.0 if number >= EPOCH_MS_MIN else number
    else:
        raise ValueError(NO_TIME)
    if not math.isfinite(number) or not 0 <= number < 253_402_300_800:
        raise ValueError("must lie between the years 1970 and 9999")
    return number


@lru_cache(maxsize=10_000)  # the lines of one order share their time
def _seconds_of_iso(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(NO_TIME) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


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
