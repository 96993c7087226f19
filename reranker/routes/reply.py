"""How answers leave the sidecar: Elasticsearch's headers, content types and options."""

import gzip
from typing import Any

import orjson
from flask import Response, render_template, request

from reranker.retrieval.node import JSON, Answer
from reranker.routes import filter_path

PRODUCT = {"X-Elastic-Product": "Elasticsearch"}
HTML = "text/html; charset=utf-8"
VENDOR_JSON = "application/vnd.elasticsearch+json"
PACKED_FROM_BYTES = 1400  # what fits into one packet gains nothing
# Headers of the connection to the node, not of the answer; the length is set anew.
OF_THE_CONNECTION = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
)


def json_reply(body: Any, status: int = 200) -> Response:
    """JSON in the form the client accepts, with its opaque id."""
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    args = request.args
    if "filter_path" in args and status < 400:
        body = filter_path.apply(body, args["filter_path"])
    if "pretty" in args and args["pretty"] != "false":
        options |= orjson.OPT_INDENT_2
    text, packed = _packed(orjson.dumps(body, option=options))
    return Response(
        text,
        status,
        headers={**PRODUCT, **packed, **_echoed()},
        content_type=content_type(request.headers.get("Accept", "")),
    )


def wants_html() -> bool:
    """Whether a browser asks."""
    return "text/html" in request.headers.get("Accept", "")


def html_reply(template: str, **shown: Any) -> Response:
    """A page made of a template."""
    return Response(render_template(template, **shown), content_type=HTML)


def content_type(accepted: str) -> str:
    """Plain JSON, or Elasticsearch's own media type with the version that the client speaks."""
    if VENDOR_JSON not in accepted:
        return JSON
    version = accepted.partition("compatible-with=")[2][:1]
    return f"{VENDOR_JSON};compatible-with={version}" if version.isdigit() else VENDOR_JSON


def from_node(answer: Answer) -> Response:
    """What the node answered, unchanged."""
    headers = {n: v for n, v in answer.headers.items() if n not in OF_THE_CONNECTION}
    headers.setdefault("x-elastic-product", "Elasticsearch")
    if "x-opaque-id" not in headers:
        headers |= _echoed()
    return Response(answer.body, answer.status, headers=headers)


def _packed(text: bytes) -> tuple[bytes, dict[str, str]]:
    """The text packed where the client asks for that and it pays, and the header that says so."""
    if len(text) < PACKED_FROM_BYTES or not request.accept_encodings["gzip"]:
        return text, {}
    return gzip.compress(text, compresslevel=1), {"Content-Encoding": "gzip"}


def _echoed() -> dict[str, str]:
    opaque = request.headers.get("X-Opaque-Id")
    return {} if opaque is None else {"X-Opaque-Id": opaque}
