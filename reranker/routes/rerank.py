"""`POST /rerank`: candidates that a client found itself, ordered by the same model as a search."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flask import Blueprint, Response
from numpy.typing import NDArray

from indexer.catalogue.generation import Generation
from indexer.errors import InvalidRequest
from reranker import answer
from reranker.answer import GivenList, Reranked
from reranker.retrieval.candidates import Candidates
from reranker.retrieval.request import Shopper, dial, rights
from reranker.routes.access import generation_of, process
from reranker.routes.body import only, required, sent_object
from reranker.routes.reply import json_reply
from reranker.routes.rights import headers_of_ranking
from reranker.rules.matching import NO_RULES
from reranker.serving import explaining
from reranker.serving.call import pseudonym_of
from reranker.serving.deadline import Deadline
from reranker.serving.explaining import Explainable

blueprint = Blueprint("rerank", __name__)

CANDIDATES_MAX = 10_000
FIELDS = frozenset(
    ("index", "query", "user_id", "session_id", "client_id", "query_id", "context", "candidates")
) | {"rank_window_size", "size", "explain", "diversity"}
NUMBER_MAX = 1e30  # what a sum of such numbers still holds in float32


@blueprint.post("/rerank")
def rerank() -> Response:
    """The candidates in their new order."""
    started = time.perf_counter()
    body = sent_object()
    only(body, FIELDS)
    given = _given(body)
    size = body.get("size", len(given.candidates))
    if not isinstance(size, int) or size < 0:
        raise InvalidRequest(f"size is {size!r}: use a whole number from 0")
    deadline = Deadline(started, process().settings.deadline_ms / 1000.0)
    ranked = answer.rerank(process(), given, deadline)
    items = _items(ranked, size)
    if body.get("explain") is True:
        _explain(items, given, ranked, deadline)
    return json_reply(
        {
            "took": round(deadline.took_ms()),
            "model": ranked.fused.model,
            "degraded": ranked.degraded,
            **ranked.effects.told(),
            **(ranked.varied.told() if ranked.varied else {}),
            "items": items,
        }
    )


def _items(ranked: Reranked, size: int) -> list[dict[str, Any]]:
    rows, scores = ranked.ordered.rows[:size].tolist(), ranked.ordered.scores[:size].tolist()
    return [
        {"id": ranked.candidates.ids[row], "score": score}
        for row, score in zip(rows, scores, strict=True)
    ]


def _explain(
    items: list[dict[str, Any]], given: GivenList, ranked: Reranked, deadline: Deadline
) -> None:
    """Put an explanation into each item: Elasticsearch's form, a sentence and the attention."""
    read_titles = explaining.title_reader(
        process().nodes, given.generation, given.target, given.headers, deadline
    )
    list_ = Explainable(
        fused=ranked.fused,
        candidates=ranked.candidates,
        ordered=ranked.ordered,
        read_titles=read_titles,
        language=explaining.language_of(given.context),
        wording="shop" if given.generation is None else given.generation.config.wording,
    )
    for item, told in zip(items, list_.told([it["id"] for it in items], deadline), strict=True):
        if told is not None:
            beside = {"sentence": told.sentence, "attention": told.attention}
            item["explanation"] = {**told.explanation, **beside}


def _given(body: dict[str, Any]) -> GivenList:
    shopper = Shopper(*(_text(body, name) for name in ("user_id", "session_id", "client_id")))
    context = body.get("context") or {}
    if not isinstance(context, dict):
        raise InvalidRequest("context must be an object of keys and values")
    candidates = _candidates(required(body, "candidates", list))
    generation, headers = _ranked_by(body.get("index"))
    return GivenList(
        text=required(body, "query", str),
        candidates=candidates,
        window=_window(body.get("rank_window_size", len(candidates))),
        generation=generation,
        shopper=pseudonym_of(shopper, process().pseudonym_key),
        context=context,
        rules=NO_RULES if generation is None else process().rules.find(generation.index),
        headers=headers,
        target=_target(generation, headers),
        diversity=dial(body.get("diversity", _usual(generation)), "diversity"),
        brought=_brought(body["candidates"]),
    )


def _target(generation: Generation | None, headers: Mapping[str, str]) -> str:
    """The name that Elasticsearch is asked by; a client's own rights hang on that of the index."""
    if generation is None:
        return ""
    return generation.index if rights(headers) else generation.concrete


def _usual(generation: Generation | None) -> float:
    """The dial where a request says nothing."""
    return 0.0 if generation is None else generation.config.diversity.default


def _brought(given: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
    """Fields that candidates bring, by id."""
    return {one["id"]: one["fields"] for one in given if isinstance(one.get("fields"), dict)}


def _window(given: Any) -> int:
    """How many the model looks at; the others follow as both legs together put them."""
    if not isinstance(given, int) or given < 0:
        raise InvalidRequest(f"rank_window_size is {given!r}: use a whole number from 0")
    return given


def _ranked_by(index: Any) -> tuple[Generation | None, dict[str, str]]:
    """The index named, without a name the only one there is, else none; and as whom it is asked.

    Raises Refused for a client that may not read it.
    """
    if index is None:
        found = process().generations.only()
        return found, {} if found is None else headers_of_ranking(found.index)
    # Who may not read it is not told either whether there is one.
    headers = headers_of_ranking(index) if isinstance(index, str) else {}
    found = generation_of(index)
    return found, headers if found.index == index else headers_of_ranking(found.index)


def _candidates(given: Sequence[Any]) -> Candidates:
    if len(given) > CANDIDATES_MAX:
        raise InvalidRequest(f"{len(given)} candidates: send {CANDIDATES_MAX} at the most")
    ids = _ids(given)
    if len(set(ids)) < len(ids):
        raise InvalidRequest("candidates name an id twice")
    bm25, knn = _numbers(given, "bm25"), _numbers(given, "knn")
    return Candidates(
        ids=ids,
        bm25=bm25,
        bm25_rank=_ranks(_numbers(given, "bm25_rank", 1), bm25),
        knn=knn,
        knn_rank=_ranks(_numbers(given, "knn_rank", 1), knn),
    )


def _ids(given: Sequence[Any]) -> list[str]:
    ids: list[Any] = [one.get("id") for one in given] if {*map(type, given)} <= {dict} else [None]
    if {*map(type, ids)} <= {str} and all(ids):
        return ids
    fits = (isinstance(one, dict) and _is_id(one.get("id")) for one in given)
    row = next(row for row, it_does in enumerate(fits) if not it_does)
    raise InvalidRequest(f"candidates[{row}] must be an object with an id")


def _is_id(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _numbers(
    given: Sequence[Mapping[str, Any]], name: str, least: float = -NUMBER_MAX
) -> NDArray[np.float32]:
    values = [one.get(name) for one in given]
    if values.count(None) == len(values):
        return np.full(len(values), np.nan, dtype=np.float32)
    try:
        numbers = np.array(values, dtype=np.float64)  # None is NaN in it
    except (TypeError, ValueError, OverflowError):
        numbers = np.empty((0, 0))
    if numbers.ndim != 1:
        raise InvalidRequest(f"{name} of a candidate is not a number")
    if ((numbers < least) | (numbers > NUMBER_MAX)).any():
        raise InvalidRequest(f"{name} of a candidate is not from {least:g} to {NUMBER_MAX:g}")
    return numbers.astype(np.float32)


def _ranks(said: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Ranks as given; where none is, those of the scores."""
    if np.isfinite(said).any() or not np.isfinite(scores).any():
        return said
    ranks = np.full(len(scores), np.nan, dtype=np.float32)
    order = np.argsort(-scores, kind="stable")[: int(np.isfinite(scores).sum())]
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    return None if value in (None, "") else str(value)
