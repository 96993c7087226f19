"""`GET /{index}/_suggest?q=…`: how a search may go on, and what was meant where it is misspelt."""

import time

from flask import Blueprint, Response, request

from indexer.errors import InvalidRequest
from reranker.routes.access import generation_of, process
from reranker.routes.reply import json_reply

blueprint = Blueprint("suggest", __name__)

SIZE, SIZE_MAX = 10, 100


@blueprint.get("/<index>/_suggest")
def suggest(index: str) -> Response:
    """Completions by how often they led to something; all of them for an empty `q`."""
    started = time.perf_counter()
    generation = generation_of(index)
    text = request.args.get("q", "")
    known = process().phrases.find(generation.index)
    found = known.complete(text, _size())
    return json_reply(
        {
            "took": round((time.perf_counter() - started) * 1000),
            "degraded": process().phrases.degraded(generation.index),
            "suggestions": [{"text": it.text, "score": it.score} for it in found],
            "did_you_mean": None if found else known.meant(text),
        }
    )


def _size() -> int:
    said = request.args.get("size", str(SIZE))
    if not (said.isdecimal() and len(said) <= 3 and 1 <= int(said) <= SIZE_MAX):
        raise InvalidRequest(f"size is {said!r}: use 1 to {SIZE_MAX}")
    return int(said)
