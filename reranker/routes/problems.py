"""Errors in Elasticsearch's own shape, whatever went wrong; never a page of HTML, never a secret.

What Elasticsearch answered is handed on as it is.
"""

from collections.abc import Sequence
from typing import Any

import orjson
from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from indexer.errors import AskedWrongly, CouldNotReach, HitweaveError
from indexer.telemetry import log
from reranker.retrieval.fetch import Refused
from reranker.routes.reply import from_node, json_reply


def register(app: Flask) -> None:
    """Answer every exception of this app by the table below."""
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(HitweaveError, of)
    app.register_error_handler(RequestEntityTooLarge, _too_long)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def problem(status: int, kind: str, reason: str, **extra: Any) -> Response:
    """An error as Elasticsearch would write it."""
    return json_reply(_body(status, kind, reason, **extra), status)


def _body(status: int, kind: str, reason: str, **extra: Any) -> dict[str, Any]:
    cause = {"type": kind, "reason": reason, **extra}
    return {"error": {"root_cause": [cause], **cause}, "status": status}


def forbidden(reason: str) -> Response:
    """What this gateway does not do."""
    return problem(403, "security_exception", reason)


def wrong_method(methods: Sequence[str]) -> Response:
    """A route of ours asked by a method that it has not."""
    allowed = ", ".join(methods)
    reason = f"{request.method} {request.path}: this is asked by {allowed}"
    answer = problem(405, "hitweave_http_exception", reason)
    answer.headers["Allow"] = allowed
    return answer


def _refused(error: Refused) -> Response:
    return from_node(error.answer)


def of(error: HitweaveError) -> Response:
    """The answer to one of our own errors."""
    body = body_of(error)
    return json_reply(body, body["status"])


def body_of(error: HitweaveError) -> dict[str, Any]:
    """One of our own errors as a body, or as one entry of a multi-search."""
    if isinstance(error, AskedWrongly):
        return _body(400, "illegal_argument_exception", error.message)
    if isinstance(error, CouldNotReach):
        return _body(503, "no_node_available_exception", error.message)
    log("problems").error("answered_wrongly", error=type(error).__name__, reason=error.message)
    return _body(500, "hitweave_exception", error.message)


def _too_long(_: RequestEntityTooLarge) -> Response:
    limit = current_app.config["MAX_CONTENT_LENGTH"]
    reason = f"the body is longer than {limit} bytes: send less at once or "
    return problem(413, "content_too_long_exception", f"{reason}set HITWEAVE_BODY_BYTES_MAX higher")


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    return problem(status, "hitweave_http_exception", error.description or error.name)


def _unexpected(error: Exception) -> Response:
    log("problems").exception("unexpected", error=type(error).__name__)
    return problem(
        500, "hitweave_exception", f"{type(error).__name__}: the sidecar's log says more"
    )


def by_cause(error: Refused) -> Response:
    """A refusal by the root of it, where the request around it was ours."""
    answer = error.answer
    try:
        cause = dict(orjson.loads(answer.body)["error"]["root_cause"][0])
        return problem(answer.status, str(cause["type"]), str(cause["reason"]))
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError):
        return from_node(answer)


def refusal_body(error: Refused) -> dict[str, Any]:
    """A refusal as one entry of a multi-search."""
    body: dict[str, Any] = orjson.loads(error.answer.body)
    return body | {"status": error.answer.status}
