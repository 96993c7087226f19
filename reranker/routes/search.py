"""`_search` and `_msearch`: ranked where it is a text search, passed through where it is not."""

import time
from collections.abc import Mapping
from typing import Any

import orjson
from flask import Blueprint, Response, request

from indexer.catalogue.generation import Generation
from indexer.errors import HitweaveError
from reranker import answer, response
from reranker.retrieval.fetch import Refused
from reranker.retrieval.node import JSON
from reranker.retrieval.request import Defaults, PassThrough, RankedRequest, parse, strip
from reranker.routes import problems
from reranker.routes.access import process
from reranker.routes.passthrough import ask_node
from reranker.routes.reply import forwarded_headers, from_node, json_reply
from reranker.serving import metrics
from reranker.serving.call import Call, new_query_id, pseudonym_of
from reranker.serving.deadline import Deadline

blueprint = Blueprint("search", __name__)


@blueprint.route("/<index>/_search", methods=["GET", "POST"])
def search(index: str) -> Response:
    """One search."""
    started = time.perf_counter()
    body = _body()
    if body is None:
        return _passed_through(PassThrough("not_json"))
    generation = process().generations.find(index)
    if generation is None:
        own, _, _ = strip(body)
        return _passed_through(PassThrough("foreign_index", None if own is body else own))
    asked = parse(body, request.args.to_dict(), request.headers, defaults(generation))
    if isinstance(asked, PassThrough):
        return _passed_through(asked)
    return json_reply(_in_old_form(ranked(asked, index, generation, started)))


@blueprint.route("/_search", methods=["GET", "POST"])
def search_everywhere() -> Response:
    """A search over all indices, a PIT or a scroll: never ranked, only freed of our `ext`."""
    body = _body()
    own = None if body is None else strip(body)[0]
    return _passed_through(PassThrough("no_index", None if own is body else own))


@blueprint.route("/_msearch", methods=["GET", "POST"])
@blueprint.route("/<index>/_msearch", methods=["GET", "POST"])
def multi_search(index: str | None = None) -> Response:
    """Several searches, each ranked or passed through by itself, answered in their order."""
    started = time.perf_counter()
    lines = [line for line in request.get_data().split(b"\n") if line.strip()]
    if not lines or len(lines) % 2:
        return from_node(ask_node())
    try:
        read = [orjson.loads(line) for line in lines]
    except orjson.JSONDecodeError:
        return from_node(ask_node())
    pairs = zip(read[::2], read[1::2], strict=True)
    responses = [_one_of_many(header, body, index) for header, body in pairs]
    took = round((time.perf_counter() - started) * 1000)
    return json_reply({"took": took, "responses": responses})


def ranked(
    asked: RankedRequest, target: str, generation: Generation, started: float
) -> dict[str, Any]:
    """The ranked answer; looks again where the generation turned out to be gone."""
    try:
        return answer.search(process(), call(asked, target, generation, started))
    except Refused as refused:
        if refused.answer.status != 404:
            raise
        process().generations.forget(target)
        found = process().generations.find(target)
        if found is None or found == generation:
            raise
        return answer.search(process(), call(asked, target, found, started))


def call(asked: RankedRequest, target: str, generation: Generation, started: float) -> Call:
    """The request with all that belongs to it.

    Our own alias is resolved once, to the generation; other names are asked as the client wrote
    them, since their filters and the client's own rights hang on the name.
    """
    here = process()
    headers = forwarded_headers(request.headers)
    own_name = target == generation.index and "Authorization" not in headers
    return Call(
        request=asked,
        generation=generation,
        target=generation.concrete if own_name else target,
        headers=headers,
        shopper=pseudonym_of(asked.shopper, here.pseudonym_key),
        query_id=asked.ubi.query_id or new_query_id(),
        deadline=Deadline(started, here.settings.deadline_ms / 1000.0),
    )


def defaults(generation: Generation) -> Defaults:
    """What holds for this index where a request says nothing."""
    settings = process().settings
    return Defaults(
        mode=generation.config.default_mode,
        window=settings.rank_window_size,
        window_max=settings.rank_window_max,
        available_field=generation.config.theirs("available"),
    )


def _one_of_many(header: Mapping[str, Any], body: Any, index: str | None) -> dict[str, Any]:
    started = time.perf_counter()
    name = header.get("index") or index
    name = name[0] if isinstance(name, list) and len(name) == 1 else name
    try:
        if not isinstance(body, dict):
            return _single_search(header, body, index)
        generation = process().generations.find(name) if isinstance(name, str) else None
        if generation is None:
            return _single_search(header, strip(body)[0], index)
        params = {k: _param(v) for k, v in header.items() if k != "index"}
        if "typed_keys" in request.args:
            params["typed_keys"] = request.args["typed_keys"]
        asked = parse(body, params, request.headers, defaults(generation))
        if isinstance(asked, PassThrough):
            return _single_search(header, strip(body)[0], index)
        return _in_old_form(ranked(asked, str(name), generation, started)) | {"status": 200}
    except Refused as refused:
        return problems.refusal_body(refused)
    except HitweaveError as error:
        reply = problems.of(error)
        return orjson.loads(reply.get_data())  # type: ignore[no-any-return]


def _single_search(header: Mapping[str, Any], body: Any, index: str | None) -> dict[str, Any]:
    """One search of many, passed through."""
    path = f"/{index}/_msearch" if index else "/_msearch"
    query = request.query_string.decode("latin-1")
    found = process().nodes.ask(
        "POST",
        f"{path}?{query}" if query else path,
        orjson.dumps(header) + b"\n" + orjson.dumps(body) + b"\n",
        {
            "Content-Type": "application/x-ndjson",
            "Accept": JSON,
            **forwarded_headers(request.headers),
        },
    )
    if found.status != 200:
        raise Refused(found)
    metrics.PASSED_THROUGH.labels("multi_search").inc()
    first: dict[str, Any] = orjson.loads(found.body)["responses"][0]
    return first


def _param(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _body() -> dict[str, Any] | None:
    """The JSON object that was sent, {} for none; None for what only Elasticsearch can judge."""
    data = request.get_data(cache=True) or request.args.get("source", "").encode()
    if not data.strip():
        return {}
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _passed_through(passed: PassThrough) -> Response:
    metrics.PASSED_THROUGH.labels(passed.reason).inc()
    return from_node(ask_node(None if passed.body is None else orjson.dumps(passed.body)))


def _in_old_form(body: dict[str, Any]) -> dict[str, Any]:
    if request.args.get("rest_total_hits_as_int") in ("true", ""):
        return response.total_as_integer(body)
    return body
