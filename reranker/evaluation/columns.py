"""Documents of Elasticsearch as rows of typed columns, for analysis. Pure.

What a column cannot hold (a price that is text, a field nobody declared) is kept as JSON in
`other`, so that an export loses nothing. Missing is null, never zero or an empty text.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from indexer.catalogue.product import RESERVED, take

Row = dict[str, Any]
OTHER = "other"
VECTOR = "vector"
MOMENT = pa.timestamp("ms", tz="UTC")
TEXTS = pa.list_(pa.string())


@dataclass(frozen=True, slots=True)
class Column:
    """One column: where its value stands in a document (dots step inside), and its type."""

    name: str
    path: str
    type: pa.DataType


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of an export; `id_column` takes the document's id, `vector_field` the vector.

    `dropped` are paths that repeat what columns say.
    """

    columns: tuple[Column, ...]
    id_column: str | None = None
    vector_field: str | None = None
    dims: int = 0
    dropped: tuple[str, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        """The schema of the file."""
        fields = [pa.field(column.name, column.type) for column in self.columns]
        if self.id_column:
            fields.insert(0, pa.field(self.id_column, pa.string(), nullable=False))
        if self.vector_field:
            fields.append(pa.field(VECTOR, pa.list_(pa.float32(), self.dims)))
        return pa.schema([*fields, pa.field(OTHER, pa.string())])

    def row(self, document_id: str, source: Mapping[str, Any]) -> Row:
        """One document as a row."""
        rest = dict(source)
        row: Row = {self.id_column: document_id} if self.id_column else {}
        if self.vector_field:
            vector = take(rest, self.vector_field)
            row[VECTOR] = np.asarray(vector, np.float32) if _is_vector(vector, self.dims) else None
        unfit = {}
        for column in self.columns:
            value = take(rest, column.path)
            row[column.name] = converted(value, column.type)
            if value is not None and row[column.name] is None:
                unfit[column.path] = value
        for path in self.dropped:
            take(rest, path)
        row[OTHER] = _json(rest | unfit) if rest or unfit else None
        return row


def catalogue(
    fields: Callable[[str], str], vector_field: str | None = None, dims: int = 0
) -> Table:
    """Products; `fields` gives the name in the document of each field of ours."""
    types = {
        "title": pa.string(),
        "description": pa.string(),
        "brand": pa.string(),
        "categories": TEXTS,
        "price": pa.float64(),
        "currency": pa.string(),
        "image": pa.string(),
        "images": TEXTS,
        "attributes": pa.string(),
        "language": pa.string(),
        "domain": pa.string(),
        "available": pa.bool_(),
        "popularity": pa.float64(),
        "updated_at": MOMENT,
    }
    ours = [Column(name, fields(name), kind) for name, kind in types.items()]
    stamp = [
        Column("received_at", f"{RESERVED}.received_at", MOMENT),
        Column("recipe", f"{RESERVED}.recipe", pa.string()),
    ]
    hashes = (
        f"{RESERVED}.{name}" for name in ("id", "version", "text_hash", "fields_hash", "codes")
    )
    return Table((*ours, *stamp), "id", vector_field, dims, (fields("id"), *hashes))


EVENTS = Table(
    (
        Column("event_id", "event_id", pa.string()),
        Column("timestamp", "timestamp", MOMENT),
        Column("application", "application", pa.string()),
        Column("action_name", "action_name", pa.string()),
        Column("user_id", "user_id", pa.string()),
        Column("client_id", "client_id", pa.string()),
        Column("session_id", "session_id", pa.string()),
        Column("query_id", "query_id", pa.string()),
        Column("user_query", "user_query", pa.string()),
        Column("object_id", "event_attributes.object.object_id", pa.string()),
        Column("object_id_field", "event_attributes.object.object_id_field", pa.string()),
        Column("position", "event_attributes.position.ordinal", pa.int32()),
        Column("order_id", "event_attributes.order_id", pa.string()),
        Column("message_type", "message_type", pa.string()),
        Column("message", "message", pa.string()),
        Column("event_attributes", "event_attributes", pa.string()),
        Column("received_at", f"{RESERVED}.received_at", MOMENT),
    ),
    dropped=(f"{RESERVED}.index",),
)
QUERIES = Table(
    (
        Column("query_id", "query_id", pa.string()),
        Column("timestamp", "timestamp", MOMENT),
        Column("application", "application", pa.string()),
        Column("user_id", "user_id", pa.string()),
        Column("client_id", "client_id", pa.string()),
        Column("session_id", "session_id", pa.string()),
        Column("user_query", "user_query", pa.string()),
        Column("query_response_id", "query_response_id", pa.string()),
        Column("query_response_hit_ids", "query_response_hit_ids", TEXTS),
        Column("query_attributes", "query_attributes", pa.string()),
        Column("event_id", "event_id", pa.string()),
        Column("received_at", f"{RESERVED}.received_at", MOMENT),
    ),
    dropped=(f"{RESERVED}.index",),
)


def converted(value: Any, kind: pa.DataType) -> Any:
    """A value as a column of this type takes it; None where it cannot."""
    return None if value is None else CONVERTERS[kind](value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _texts(value: Any) -> list[str]:
    return [_text(it) for it in value] if isinstance(value, list) else [_text(value)]


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _moment(value: Any) -> datetime | None:
    """An ISO time, or milliseconds since the epoch."""
    try:
        if isinstance(value, str) and not value.isdigit():
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return datetime.fromtimestamp(int(value) / 1000.0, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _is_vector(value: Any, dims: int) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and len(value) == dims


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()


CONVERTERS: dict[pa.DataType, Callable[[Any], Any]] = {
    pa.string(): _text,
    TEXTS: _texts,
    pa.bool_(): _flag,
    pa.float64(): _number,
    pa.int32(): _whole,
    MOMENT: _moment,
}
