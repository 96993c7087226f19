"""Elasticsearch's write routes for `ubi_events` and `ubi_queries`, for existing UBI collectors.

Answered in Elasticsearch's shape as soon as Valkey has the documents. A bulk request with
anything for another index is refused as a whole.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Blueprint, Response, current_app

from indexer.behaviour.intake import Intake
from indexer.behaviour.journal import document_id
from indexer.behaviour.journal_index import EVENTS, QUERIES
from indexer.errors import AskedWrongly
from reranker.routes import lines, passthrough, problems, senders
from reranker.routes.reply import from_node, json_reply
from reranker.serving.front_door import front_door

UBI_INDICES = (EVENTS, QUERIES)
VERBS = ("index", "create")
JOURNALS = f"any({EVENTS},{QUERIES})"


@dataclass(frozen=True)
class Action:
    """One entry of a bulk request; `raw` is None where its line is no JSON object."""

    verb: str
    index: str
    id: str | None
    raw: dict[str, Any] | None

    def event(self) -> Any:
        """The event or query with the identity that its sender gave it."""
        if self.raw is None or self.id is None:
            return self.raw
        return {"event_id": self.id, **self.raw}


def add_to(blueprint: Blueprint) -> None:
    """Put these routes onto a blueprint."""
    one = f"/<{JOURNALS}:index>/"
    blueprint.add_url_rule(f"{one}_doc", "index_one", index_one, methods=["POST"])
    blueprint.add_url_rule(f"{one}_doc/<id>", "index_one", index_one, methods=["POST", "PUT"])
    blueprint.add_url_rule(f"{one}_create/<id>", "index_one", index_one, methods=["POST", "PUT"])
    blueprint.add_url_rule(f"{one}_bulk", "bulk", bulk, methods=["POST", "PUT"])
    blueprint.add_url_rule("/_bulk", "bulk", bulk, methods=["POST", "PUT"])


def index_one(index: str, id: str | None = None) -> Response:  # noqa: A002 - Elasticsearch's name
    """One document."""
    try:
        raw = orjson.loads(lines.body())
    except orjson.JSONDecodeError as error:
        return _refused(f"the body is not JSON: {error}")
    action = Action("index", index, id, raw if isinstance(raw, dict) else None)
    taken = front_door().read([(1, action.event())], senders.origin())
    if taken.rejected:
        return _refused(taken.rejected[0].reason)
    front_door().hand_on(taken)
    return json_reply(_created(action, _names(taken)[1]), 201)


def bulk(index: str | None = None) -> Response:
    """Many documents, each answered for."""
    started = time.monotonic()
    data = lines.body()
    actions = list(_actions(data, index))
    foreign = [it for it in actions if it.index not in UBI_INDICES or it.verb not in VERBS]
    if foreign and len(foreign) == len(actions) and _writes_allowed():
        return from_node(passthrough.ask_node(data))
    if foreign and len(foreign) < len(actions):
        return problems.forbidden(
            f"this body mixes {EVENTS} or {QUERIES}, which are taken here, with "
            f"{foreign[0].verb} in {foreign[0].index!r}, which is not: send the two as requests of "
            "their own"
        )
    if foreign:
        return problems.forbidden(
            f"_bulk takes index and create into {EVENTS} and {QUERIES} alone here, and this body "
            f"asks for {foreign[0].verb} in {foreign[0].index!r}: ask Elasticsearch itself"
        )
    numbered = enumerate((it.event() for it in actions), 1)
    taken = front_door().read(numbered, senders.origin())
    front_door().hand_on(taken)
    items = _items(actions, taken)
    took = round((time.monotonic() - started) * 1000)
    return json_reply({"errors": bool(taken.rejected), "took": took, "items": items})


def _actions(data: bytes, index: str | None) -> Iterator[Action]:
    """The entries of a bulk body; raises AskedWrongly where it has another form."""
    rows = iter([row for row in data.split(b"\n") if row.strip()])
    for row in rows:
        try:
            ((verb, meta),) = orjson.loads(row).items()
            name = str(meta.get("_index", index))
            given = meta.get("_id")
        except (orjson.JSONDecodeError, ValueError, AttributeError):
            raise AskedWrongly(
                'the bulk body has an action line that is none: {"index": {"_index": …}} and the '
                "document take turns, one line each"
            ) from None
        source = None if verb == "delete" else next(rows, None)
        yield Action(verb, name, None if given is None else str(given), _object(source))


def _object(row: bytes | None) -> dict[str, Any] | None:
    try:
        raw = orjson.loads(row or b"")
    except orjson.JSONDecodeError:
        return None
    return raw if isinstance(raw, dict) else None


def _names(taken: Intake) -> dict[int, str]:
    """The document's name in the journal, by line."""
    return {line: document_id(index, name) for line, (index, name) in taken.identities.items()}


def _items(actions: Sequence[Action], taken: Intake) -> list[dict[str, Any]]:
    names = _names(taken)
    reasons = {it.line: it.reason for it in taken.rejected}
    return [
        {
            action.verb: _rejected(action, reasons[line])
            if line in reasons
            else _created(action, names[line])
        }
        for line, action in enumerate(actions, 1)
    ]


def _created(action: Action, name: str) -> dict[str, Any]:
    """Elasticsearch's answer to a new document."""
    return {
        "_index": action.index,
        "_id": action.id or name,
        "_version": 1,
        "result": "created",
        "_shards": {"total": 1, "successful": 1, "failed": 0},
        "_seq_no": 0,
        "_primary_term": 1,
        "status": 201,
    }


def _rejected(action: Action, reason: str) -> dict[str, Any]:
    error = {"type": "document_parsing_exception", "reason": reason}
    return {"_index": action.index, "_id": action.id, "status": 400, "error": error}


def _refused(reason: str) -> Response:
    return problems.problem(400, "document_parsing_exception", reason)


def _writes_allowed() -> bool:
    return bool(current_app.config["HITWEAVE_SETTINGS"].gateway_allow_writes)
