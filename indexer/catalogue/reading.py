"""What a stored document says at a dotted path, as Elasticsearch reads it; pure.

A field is one value or a list of them, and so is each object on the way to it: who asks for one
text or one number gets it from either form.
"""

from collections.abc import Iterator, Mapping
from typing import Any


def values_at(document: Mapping[str, Any], path: str) -> list[Any]:
    """All values at a path, without those that are absent; lists within lists are laid out."""
    return list(_found(document, path))


def text_at(document: Mapping[str, Any], path: str) -> str | None:
    """The words at a path, several joined; None where there are none."""
    said = [str(value) for value in values_at(document, path) if type(value) in (str, int)]
    return " ".join(filter(None, said)) or None


def _found(value: Any, path: str) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _found(one, path)
    elif not path:
        if value is not None:
            yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name == path:
                yield from _found(inner, "")
            elif path.startswith(f"{name}."):
                yield from _found(inner, path[len(name) + 1 :])
