"""`_search`: ranked where it is a text search, passed through where it is not.

What Elasticsearch refuses of a ranked search, it is asked for once more in the client's own words,
so that its error speaks of what the client wrote.
"""

import time
from typing import Any

from flask import Blueprint, Response, request

from indexer.catalogue.generation import Generation
from reranker import answer, response
from reranker.retrieval import time_value
from reranker.retrieval.fetch import Refused
from reranker.retrieval.request import Defaults, PassThrough, RankedRequest, parse, rights
from reranker.routes import narrowed
from reranker.routes.access import process
from reranker.routes.passthrough import ask_node
from reranker.routes.reply import from_node, json_reply
from reranker.routes.rights import forwarded_headers
from reranker.routes.sent import (
    Sent,
    check_options,
    search_body,
    speaks_json,
    without_ours,
)
from reranker.serving import metrics
from reranker.serving.call import Call, new_query_id, pseudonym_of
from reranker.serving.deadline import Deadline

blueprint = Blueprint("search", __name__)


# Refusals of our own requests that the node is asked for in its own words.
JUDGED_BY_NODE = (400, 404)


@blueprint.route("/<index>/_search", methods=["GET", "POST"])
def search(index: str) -> Response:
    """One search."""
    started = time.perf_counter()
    sent = search_body()
    if sent.body is None:
        return _passed_through("not_json", sent)
    check_options(sent.body)
    generation = process().generations.find(index)
    if generation is None or not speaks_json():
        return _passed_through("media_type" if generation else "foreign_index", sent)
    asked = parse(sent.body, request.args.to_dict(), request.headers, defaults(generation))
    if isinstance(asked, PassThrough):
        return _passed_through(asked.reason, sent, narrowed.by_rules(sent, asked, generation))
    try:
        return json_reply(in_old_form(ranked(asked, index, generation, started)))
    except Refused as refused:
        if refused.answer.status not in JUDGED_BY_NODE:
            raise
        return _passed_through("refused", sent)


@blueprint.route("/_search", methods=["GET", "POST"])
def search_everywhere() -> Response:
    """A search over all indices, a PIT or a scroll: never ranked, only freed of our `ext`."""
    sent = search_body()
    check_options(sent.body or {})
    return _passed_through("no_index", sent)


def ranked(
    asked: RankedRequest, target: str, generation: Generation, started: float
) -> dict[str, Any]:
    """The ranked answer; looks again where the generation turned out to be gone."""
    found = _answer(asked, target, generation, started)
    return response.without_ids(found) if asked.without_ids else found


def _answer(
    asked: RankedRequest, target: str, generation: Generation, started: float
) -> dict[str, Any]:
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
    ours = target == generation.index and not generation.is_attached
    own_name = ours and not rights(headers)
    return Call(
        request=asked,
        generation=generation,
        target=generation.concrete if own_name else target,
        headers=headers,
        shopper=pseudonym_of(asked.shopper, here.pseudonym_key),
        query_id=asked.ubi.query_id or new_query_id(),
        deadline=_deadline(asked, started),
        rules=here.rules.find(generation.index),
    )


def _deadline(asked: RankedRequest, started: float) -> Deadline:
    """The time for the search; after it a client that names a longer `timeout` has that one."""
    settings, patience = process().settings, process().nodes.timeout_seconds
    named = min(time_value.seconds(asked.body.get("timeout")) or 0.0, patience)
    return Deadline(started, settings.deadline_ms / 1000.0, max(settings.late_ms / 1000.0, named))


def defaults(generation: Generation) -> Defaults:
    """What holds for this index where a request says nothing."""
    settings = process().settings
    return Defaults(
        mode=generation.config.default_mode,
        window=settings.rank_window_size,
        window_max=settings.rank_window_max,
        available_field=generation.config.theirs("available"),
        diversity=generation.config.diversity.default,
        # What is asked of a code somebody typed.
        exact_fields=generation.exact_fields.difference(generation.config.codes),
    )


def in_old_form(body: dict[str, Any]) -> dict[str, Any]:
    """The answer with its total as a number, where that is asked for."""
    if request.args.get("rest_total_hits_as_int") in ("true", ""):
        return response.total_as_integer(body)
    return body


def _passed_through(reason: str, sent: Sent, under_rules: bytes | None = None) -> Response:
    """The node's answer; to the search as it came where it refuses the one under our rules."""
    metrics.PASSED_THROUGH.labels(reason).inc()
    if under_rules is not None:
        found = ask_node(under_rules)
        if found.status not in JUDGED_BY_NODE:
            return from_node(found)
    return from_node(ask_node(without_ours(sent)))
