"""`_msearch`: each search ranked or not by itself, what is not ranked asked in one go.

A request that Elasticsearch would refuse as a whole is refused as a whole, in its own words.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Blueprint, Response, request

from indexer.errors import AskedWrongly, HitweaveError
from reranker.retrieval.fetch import Refused
from reranker.retrieval.folding import LEG_PARAMS, answered_as_asked
from reranker.retrieval.node import Answer
from reranker.retrieval.request import PassThrough, parse
from reranker.routes import lines, narrowed, problems
from reranker.routes.access import process
from reranker.routes.passthrough import ask_node, raw_target
from reranker.routes.reply import from_node, json_reply
from reranker.routes.search import JUDGED_BY_NODE, defaults, in_old_form, ranked
from reranker.routes.sent import Sent, check_options, decoded, speaks_json, without_ours
from reranker.serving import metrics

blueprint = Blueprint("multi_search", __name__)

# What shapes the whole answer is done here once, not by the node for its share.
SHAPES_THE_WHOLE = ("filter_path", "pretty", "human")


@dataclass(frozen=True, slots=True)
class _One:
    """One search of many: its header line and its body line, also decoded."""

    header_line: bytes
    header: dict[str, Any]
    sent: Sent


@blueprint.route("/_msearch", methods=["GET", "POST"])
@blueprint.route("/<index>/_msearch", methods=["GET", "POST"])
def multi_search(index: str | None = None) -> Response:
    """Several searches, answered in their order."""
    started = time.perf_counter()
    many = _read()
    if many is None:
        return from_node(ask_node())
    answers = [_answer(one, index) for one in many]
    others = [
        (one.header_line, answer)
        for one, answer in zip(many, answers, strict=True)
        if isinstance(answer, bytes)
    ]
    if others:
        metrics.PASSED_THROUGH.labels("multi_search").inc(len(others))
        found = _ask(others, alone=len(others) == len(many))
        if found.status != 200 or len(others) == len(many):
            return from_node(found)
        passed = iter(orjson.loads(found.body)["responses"])
        answers = [next(passed) if isinstance(answer, bytes) else answer for answer in answers]
    took = round((time.perf_counter() - started) * 1000)
    return json_reply({"took": took, "responses": answers})


def _read() -> list[_One] | None:
    """The searches; None for what Elasticsearch shall judge as a whole."""
    if not (speaks_json(lines_too=True) and all(map(_known, request.args.items()))):
        return None
    try:
        text = lines.body()
        *said, last = text.split(b"\n")
        if last or not said or len(said) % 2:
            return None
        return [_one(*pair) for pair in zip(said[::2], said[1::2], strict=True)]
    except (AskedWrongly, TypeError):
        return None


def _one(header_line: bytes, body_line: bytes) -> _One:
    """One search; raises TypeError for a header or a body that is no object."""
    header = decoded(header_line) if header_line.strip() else {}
    body = decoded(body_line)
    if header is None or body is None:
        raise TypeError("a header and a body are objects")
    return _One(header_line, header, Sent(body_line, body))


def _known(param: tuple[str, str]) -> bool:
    name, value = param
    if name == "max_concurrent_searches":
        return value.isdecimal() and int(value) >= 1
    return answered_as_asked(name, value)


def _answer(one: _One, index: str | None) -> dict[str, Any] | bytes:
    """The answer to one search where we have one; the body to ask Elasticsearch where it has."""
    started = time.perf_counter()
    name = one.header.get("index") or index
    name = name[0] if isinstance(name, list) and len(name) == 1 else name
    try:
        check_options(one.sent.body or {})  # wrong ones are refused whatever the index
        known = not set(one.header) - {"index", *LEG_PARAMS}
        generation = process().generations.find(name) if known and isinstance(name, str) else None
        if generation is None:
            return _as_it_came(one)
        params = {key: _param(value) for key, value in one.header.items() if key != "index"}
        shaped = ("typed_keys", "rest_total_hits_as_int")
        params |= {key: request.args[key] for key in shaped if key in request.args}
        asked = parse(one.sent.body or {}, params, request.headers, defaults(generation))
        if isinstance(asked, PassThrough):
            return narrowed.by_rules(one.sent, asked, generation) or _as_it_came(one)
        return in_old_form(ranked(asked, str(name), generation, started)) | {"status": 200}
    except Refused as refused:
        if refused.answer.status == HTTPStatus.UNAUTHORIZED:
            raise  # who nobody is known to be is answered nothing at all
        if refused.answer.status in JUDGED_BY_NODE:
            return _as_it_came(one)
        return problems.refusal_body(refused)
    except HitweaveError as error:
        return problems.body_of(error)


def _as_it_came(one: _One) -> bytes:
    return without_ours(one.sent) or one.sent.text


def _ask(others: Sequence[tuple[bytes, bytes]], *, alone: bool) -> Answer:
    """The node's answer to these searches, each a header and a body; as the client shaped it where
    they are all there is.
    """
    text = b"".join(line + b"\n" for one in others for line in one)
    if alone:
        return ask_node(text)
    kept = [(key, value) for key, value in request.args.items() if key not in SHAPES_THE_WHOLE]
    path = raw_target().partition("?")[0]
    return ask_node(text, f"{path}?{urlencode(kept)}" if kept else path)


def _param(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
