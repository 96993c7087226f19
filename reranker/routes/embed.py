"""`POST /embed`: texts to vectors by the recipe of an index, as the plugin needs them."""

import time
from typing import Any

from flask import Blueprint, Response

from indexer.embedding.encoder import Role
from indexer.errors import InvalidRequest
from reranker.routes.access import generation_of, process
from reranker.routes.body import required, sent_object
from reranker.routes.reply import json_reply
from reranker.routes.rights import headers_of_ranking

blueprint = Blueprint("embed", __name__)

TEXTS_MAX = 1000
ROLES: dict[str, Role] = {"query": "query", "item": "passage"}


@blueprint.post("/embed")
def embed() -> Response:
    """`{"index", "texts", "as"}` → `{"took", "recipe", "vectors"}`."""
    started = time.perf_counter()
    body = sent_object()
    index, texts = required(body, "index", str), required(body, "texts", list)
    role = _role(body.get("as", "query"))
    _check_texts(texts)
    headers_of_ranking(index)
    generation = generation_of(index)
    encoder = process().vectors.encoder(generation.recipe)
    vectors: Any = encoder.encode(texts, role=role) if texts else []
    took = round((time.perf_counter() - started) * 1000)
    return json_reply(
        {"took": took, "recipe": generation.recipe.model_dump(mode="json"), "vectors": vectors}
    )


def _role(asked: Any) -> Role:
    if not isinstance(asked, str) or asked not in ROLES:
        raise InvalidRequest(f"as is {asked!r}: use query or item")
    return ROLES[asked]


def _check_texts(texts: list[Any]) -> None:
    if len(texts) > TEXTS_MAX:
        raise InvalidRequest(f"texts has {len(texts)} entries: send {TEXTS_MAX} at the most")
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequest("texts must hold strings")
