"""`POST /recommend`: goods for a person, a cart or an item, by the same model as a search."""

import time
from collections.abc import Mapping
from typing import Any, cast

from flask import Blueprint, Response, request

from indexer.errors import InvalidRequest
from reranker import recommending
from reranker.recommend.wish import STRATEGIES, Strategy, Wish
from reranker.retrieval.fetch import Refused
from reranker.retrieval.request import Shopper, dial
from reranker.routes import problems
from reranker.routes.access import process
from reranker.routes.body import only, required, sent_object
from reranker.routes.reply import json_reply
from reranker.routes.rights import forwarded_headers, readable
from reranker.serving import ruling
from reranker.serving.call import pseudonym_of
from reranker.serving.deadline import Deadline

blueprint = Blueprint("recommend", __name__)

SIZE_MAX = 200
SEEDS_MAX = 50
FIELDS = frozenset(
    ("index", "user_id", "session_id", "client_id", "item_ids", "session", "strategy", "size")
) | {"filter", "context", "repeats", "diversity"}


@blueprint.post("/recommend")
def recommend() -> Response:
    """The recommended items, best first."""
    started = time.perf_counter()
    wish = _wish(sent_object())
    deadline = Deadline(started, process().settings.deadline_ms / 1000.0)
    try:
        advice = recommending.recommend(process(), wish, deadline)
    except Refused as refused:
        return problems.by_cause(refused)
    return json_reply(
        {
            "took": round(deadline.took_ms()),
            "model": advice.model,
            "degraded": advice.degraded,
            **(advice.varied.told() if advice.varied else {}),
            "items": [
                {"id": it.id, "score": it.score, "reason": it.reason, "source": it.source}
                for it in advice.items
            ],
        }
    )


def _wish(body: dict[str, Any]) -> Wish:
    """What the body asks for; raises InvalidRequest, UnknownIndex."""
    only(body, FIELDS)
    strategy, size = body.get("strategy", "hybrid"), body.get("size", 10)
    if strategy not in STRATEGIES:
        raise InvalidRequest(f"strategy is {strategy!r}: use one of {', '.join(STRATEGIES)}")
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= SIZE_MAX:
        raise InvalidRequest(f"size is {size!r}: use a whole number from 1 to {SIZE_MAX}")
    repeats = body.get("repeats", True)
    if not isinstance(repeats, bool):
        raise InvalidRequest(f"repeats is {repeats!r}: use true or false")
    session_id, session = _session(body)
    target = required(body, "index", str)
    generation = readable(target)
    wanted, context = _object(body, "filter"), _object(body, "context") or {}
    rules = process().rules.find(generation.index)
    found = ruling.effects_without_words(rules, wanted, context, process().clock())
    people = (_text(body, "user_id"), session_id, _text(body, "client_id"))
    return Wish(
        generation=generation,
        shopper=pseudonym_of(Shopper(*people), process().pseudonym_key),
        seeds=_ids(body, "item_ids"),
        session=session,
        strategy=cast(Strategy, strategy),
        size=size,
        repeats=repeats,
        hidden=frozenset(found.hidden),
        filter=wanted,
        ruled=found.filters,
        context=context,
        headers=forwarded_headers(request.headers),
        target=target,
        diversity=dial(body["diversity"], "diversity") if "diversity" in body else None,
    )


def _session(body: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """The session's id and the items looked at in it: `session` is one or the other."""
    if isinstance(body.get("session"), str):
        return str(body["session"]) or None, ()
    return _text(body, "session_id"), _ids(body, "session")


def _ids(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = body.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise InvalidRequest(f"{name} must be a list of item ids")
    if len(value) > SEEDS_MAX:
        raise InvalidRequest(f"{name} has {len(value)} ids: send {SEEDS_MAX} at the most")
    return tuple(dict.fromkeys(value))


def _object(body: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise InvalidRequest(f"{name} must be an object")
    return value


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    return None if value in (None, "") else str(value)
