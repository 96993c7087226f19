"""Which fields of a mapping hold whole values, not words; pure."""

from collections.abc import Iterator, Mapping
from typing import Any

_WHOLE = frozenset(
    {
        *("keyword", "constant_keyword", "wildcard", "boolean", "date", "date_nanos", "ip"),
        *("double", "float", "half_float", "scaled_float"),
        *("long", "integer", "short", "byte", "unsigned_long"),
    }
)


def exact_fields(mappings: Mapping[str, Any]) -> frozenset[str]:
    """Dotted paths of the fields whose value is one term, those within fields and objects too."""
    return frozenset(_exact(mappings.get("properties") or {}, ""))


def _exact(properties: Mapping[str, Any], before: str) -> Iterator[str]:
    for name, field in properties.items():
        path = before + name
        if field.get("type") in _WHOLE:
            yield path
        yield from _exact(field.get("properties") or {}, f"{path}.")
        yield from _exact(field.get("fields") or {}, f"{path}.")
