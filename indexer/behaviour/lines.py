"""What a sender wrote, as numbered lines: one JSON value, an array, or NDJSON. Pure."""

from collections.abc import Iterator
from typing import Any

import orjson

from indexer.errors import AskedWrongly


def numbered(data: bytes) -> Iterator[tuple[int, bytes | Any]]:
    """Its lines, or the members of its array, counted from 1; blank lines are none."""
    whole = _array_or_object(data)
    if whole is not None:
        yield from enumerate(whole, 1)
        return
    for number, line in enumerate(data.split(b"\n"), 1):
        if stripped := line.strip():
            yield number, stripped


def _array_or_object(data: bytes) -> list[Any] | None:
    """The members of one JSON value over all of it; None where it is lines."""
    start = data.lstrip()[:1]
    if start not in (b"[", b"{"):
        return None
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if start == b"{":
            return None
        raise AskedWrongly(f"the body is no JSON array: {error}") from None
    return value if isinstance(value, list) else [value]
