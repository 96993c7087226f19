"""`POST /events`: UBI events and queries, answered once Valkey has them.

Existing UBI collectors write to `ubi_events` and `ubi_queries` as they would in Elasticsearch (see
collectors); both ways go through the same front door.
"""

from flask import Blueprint, Response

from indexer.behaviour import lines
from indexer.errors import AskedWrongly
from reranker.routes import collectors, problems, senders
from reranker.routes.lines import TooLarge, body
from reranker.routes.reply import json_reply
from reranker.serving.front_door import front_door

blueprint = Blueprint("events", __name__)
collectors.add_to(blueprint)


@blueprint.errorhandler(TooLarge)
def _too_large(error: TooLarge) -> Response:
    return problems.problem(413, "content_too_long_exception", error.message)


@blueprint.post("/events")
def events() -> Response:
    """One event or query, an array of them, or NDJSON; which it is, its fields tell."""
    numbered = list(lines.numbered(body()))
    if not numbered:
        raise AskedWrongly("the body is empty: send a UBI event, a query, an array or NDJSON")
    taken = front_door().read(numbered, senders.origin())
    front_door().hand_on(taken)
    rejected = [{"line": it.line, "reason": it.reason} for it in taken.rejected]
    return json_reply({"accepted": taken.accepted, "rejected": rejected}, 202)
