"""What a client sent to be searched for, and whether it is said in a form that is answered here.

What is not understood is None or False: Elasticsearch judges it, in its own words.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from flask import request

from indexer.errors import AskedWrongly, InvalidRequest
from reranker.retrieval import cut
from reranker.retrieval.request import strip
from reranker.routes import lines

_VENDOR = r"application/vnd\.elasticsearch\+(?:x-nd)?json\s*;\s*compatible-with\s*=\s*(\d+)"
_VENDOR_FORM = re.compile(_VENDOR, re.IGNORECASE)
_JSON = r"application/(?:json|vnd\.elasticsearch\+json)\s*(?:;.*)?"
_LINES = r"application/(?:x-ndjson|vnd\.elasticsearch\+x-ndjson)\s*(?:;.*)?"
_ONE = re.compile(rf"{_JSON}|.*\*/\*.*|", re.IGNORECASE)
_ONE_OR_LINES = re.compile(rf"{_JSON}|{_LINES}|.*\*/\*.*|", re.IGNORECASE)
# Elasticsearch takes queries of 30 levels; what lies deeper than this is its to refuse.
DEPTH_MAX = 100
VERSIONS = ("8", "9")
OPTIONS = (
    *("mode", "rank_window_size", "diversity", "explain", "context", "experiment", "record"),
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A body as text, unpacked, and decoded; `body` is None for what is no JSON object."""

    text: bytes
    body: dict[str, Any] | None


def search_body() -> Sent:
    """The body of this search, {} for none."""
    try:
        text = lines.body() or request.args.get("source", "").encode()
    except AskedWrongly:
        return Sent(b"", None)
    if not text.strip():
        return Sent(text, {})
    return Sent(text, decoded(text))


def check_options(body: Mapping[str, Any]) -> None:
    """Raise InvalidRequest for a key of `ext.hitweave` that there is not, as a misspelt one."""
    if unknown := sorted(set(strip(body)[2]) - set(OPTIONS)):
        raise InvalidRequest(
            f"ext.hitweave.{unknown[0]} is no option of a search: use {', '.join(OPTIONS)}"
        )


def decoded(text: bytes) -> dict[str, Any] | None:
    """The JSON object in a text; None for anything else, and for one too deep to be a query."""
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(body, dict):
        return None
    brackets = text.count(b"{") + text.count(b"[")
    return None if brackets > DEPTH_MAX and _deeper(body, DEPTH_MAX) else body


def _deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(part, levels - 1) for part in parts)


def without_ours(sent: Sent) -> bytes | None:
    """The text without our part of `ext`; None where there is none and it can go on as it came."""
    if sent.body is None:
        return None
    rest = strip(sent.body)[0]
    if rest is sent.body:
        return None
    return cut.without_own_ext(sent.text) or orjson.dumps(rest)


def speaks_json(*, lines_too: bool = False) -> bool:
    """Whether body and answer are JSON, of one version that Elasticsearch 9 takes where one is
    named.
    """
    content, accept = request.content_type or "", request.headers.get("Accept", "*/*")
    form = _ONE_OR_LINES if lines_too else _ONE
    if not (form.fullmatch(content) and form.fullmatch(accept)):
        return False
    named = [_VENDOR_FORM.match(form) for form in (content, accept) if form]
    versions = {form[1] if form else None for form in named}
    return versions == {None} or (len(versions) == 1 and versions <= set(VERSIONS))


def foreign_origin() -> str | None:
    """The origin of the page that a browser asks from; None for our own pages, and where none is
    named.
    """
    origin = request.headers.get("Origin")
    return None if origin is None or origin.partition("://")[2] == request.host else origin
