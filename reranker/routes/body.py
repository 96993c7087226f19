"""Reading the JSON bodies of Hitweave's own routes."""

from collections.abc import Collection
from typing import Any, TypeVar

import orjson
from flask import request

from indexer.errors import InvalidRequest

T = TypeVar("T")


def sent_object() -> dict[str, Any]:
    """The JSON object of this request; raises InvalidRequest for anything else."""
    try:
        body = orjson.loads(request.get_data())
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise InvalidRequest("the body must be a JSON object")
    return body


def only(body: dict[str, Any], known: Collection[str]) -> None:
    """Raise InvalidRequest for a field that is none of `known`, such as a misspelt one."""
    if unknown := sorted(set(body) - set(known)):
        raise InvalidRequest(f"unknown field {unknown[0]!r}: use {', '.join(sorted(known))}")


def required(body: dict[str, Any], name: str, kind: type[T]) -> T:
    """A field that must be there."""
    value = body.get(name)
    if not isinstance(value, kind):
        raise InvalidRequest(f"{name} is missing or is not of type {kind.__name__}")
    return value
