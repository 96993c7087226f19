"""Elasticsearch's time values, as `30s` or `500ms`. Pure."""

import re

SECONDS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "micros": 1e-6}
_VALUE = re.compile(rf"\s*(\d+(?:\.\d+)?)\s*({'|'.join(SECONDS)})\s*", re.IGNORECASE)


def seconds(value: object) -> float | None:
    """How long that is; None where it is nothing, without end or no such value."""
    found = _VALUE.fullmatch(value) if isinstance(value, str) else None
    return None if found is None else float(found[1]) * SECONDS[found[2].lower()]
