"""`GET /{index}/_suggest?q=…`: how a search may go on, and what was meant where it is misspelt."""

import time
from typing import Any

from flask import Blueprint, Response, request

from indexer.behaviour.event import query_key
from indexer.catalogue.generation import Generation
from indexer.errors import InvalidRequest
from reranker.routes.access import process
from reranker.routes.reply import json_reply
from reranker.routes.rights import forwarded_headers, readable, reads
from reranker.serving import completing, ruling
from reranker.serving.deadline import Deadline
from reranker.serving.suggesting import Phrases

blueprint = Blueprint("suggest", __name__)

SIZE, SIZE_MAX = 10, 100


@blueprint.get("/<index>/_suggest")
def suggest(index: str) -> Response:
    """Completions by how often they led to something, all of them for an empty `q`; then, while
    there is room, the catalogue's own.
    """
    deadline = Deadline(time.perf_counter(), process().settings.deadline_ms / 1000.0)
    generation = readable(index)
    text, size = request.args.get("q", ""), _size()
    known = _learned(generation, index)
    learned = known.complete(text, size)
    offered, missing = (
        _offered(generation, index, text, deadline) if len(learned) < size else ([], None)
    )
    said = {it.text for it in learned}
    found: list[dict[str, Any]] = [
        {"text": it.text, "score": it.score, "source": "searches"} for it in learned
    ]
    found += [
        {"text": it, "score": 0.0, "source": "catalogue"}
        for it in offered
        if query_key(it) not in said
    ]
    return json_reply(
        {
            "took": round(deadline.took_ms()),
            "degraded": process().phrases.degraded(generation.index) or missing,
            "suggestions": found[:size],
            "did_you_mean": None if found else known.meant(text),
        }
    )


def _learned(generation: Generation, index: str) -> Phrases:
    """Texts of searches that the client may know: none where it may read a part of the index
    alone, as by an alias with a filter.
    """
    if index != generation.index and not reads(generation.index):
        return Phrases()
    return process().phrases.find(generation.index)


def _offered(
    generation: Generation, target: str, text: str, deadline: Deadline
) -> tuple[list[str], str | None]:
    """The catalogue's completions, and why there are none."""
    rules = process().rules.find(generation.index)
    try:
        found = completing.ask(
            process().nodes,
            target,
            generation.config,
            text,
            narrowing=ruling.effects_without_words(rules, None, {}, process().clock()).narrowing,
            headers=forwarded_headers(request.headers),
            timeout_seconds=deadline.left(),
        )
    except completing.Incomplete as reason:
        return [], str(reason)
    return found, None


def _size() -> int:
    said = request.args.get("size", str(SIZE))
    if not (said.isdecimal() and len(said) <= 3 and 1 <= int(said) <= SIZE_MAX):
        raise InvalidRequest(f"size is {said!r}: use 1 to {SIZE_MAX}")
    return int(said)
