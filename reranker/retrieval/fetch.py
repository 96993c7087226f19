"""Reading candidates and pages from Elasticsearch: one multi-search for both legs.

A leg that fails leaves the other one standing, with the reason; only when the keyword leg itself
is refused is there nothing to answer, and Elasticsearch's own error is raised.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import orjson
from elasticsearch import Elasticsearch
from numpy.typing import NDArray

from indexer.catalogue.generation import Generation
from reranker.retrieval import query as bodies
from reranker.retrieval.candidates import Candidates, Retrieved, decode
from reranker.retrieval.node import JSON, NDJSON, Answer, Nodes, Pending
from reranker.retrieval.query import Beside, Legs, VectorSearch
from reranker.retrieval.request import Options, RankedRequest, Shopper, Ubi

QUERIES_PER_CALL = 32
# Hits say how well each named query matches them.
MULTI_SEARCH = "/_msearch?include_named_queries_score=true"


class Refused(Exception):
    """Elasticsearch refused the search; `answer` is its own, to be handed on as it is."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"Elasticsearch answered {answer.status}")
        self.answer = answer


class Asking(Protocol):
    """A multi-search on its way."""

    def finish(self, timeout_seconds: float) -> Retrieved:
        """Wait for it; raises Refused, LateAnswer or ElasticsearchUnavailable."""
        ...


class _Sent:
    def __init__(self, pending: Pending, names: Sequence[str], request: RankedRequest) -> None:
        self._pending = pending
        self._names = names
        self._request = request

    def finish(self, timeout_seconds: float) -> Retrieved:
        answer = self._pending.receive(timeout_seconds)
        if answer.status != 200:
            raise Refused(answer)
        responses = orjson.loads(answer.body)["responses"]
        return read_responses(dict(zip(self._names, responses, strict=True)), self._request)


def vector_search(generation: Generation, num_candidates: int) -> VectorSearch:
    """How vectors of this index are searched."""
    config = generation.config
    return VectorSearch(config.vector_field, num_candidates, config.similarity_floor)


def start(
    nodes: Nodes,
    target: str,
    request: RankedRequest,
    legs: Legs,
    headers: Mapping[str, str],
    *,
    timeout_seconds: float,
) -> Asking:
    """Send the legs' multi-search on `target` and return at once."""
    named = {
        "keyword": legs.keyword,
        "knn": legs.knn,
        "facets": legs.facets,
        "pinned": legs.pinned,
    }
    asked = {name: body for name, body in named.items() if body is not None}
    pending = nodes.send(
        "POST",
        f"{MULTI_SEARCH}&typed_keys=true" if request.typed_keys else MULTI_SEARCH,
        bodies.ndjson(target, request.leg_params, list(asked.values())),
        {"Content-Type": NDJSON, "Accept": JSON, **headers},
        timeout_seconds=timeout_seconds,
    )
    return _Sent(pending, list(asked), request)


def read_responses(responses: Mapping[str, Mapping[str, Any]], request: RankedRequest) -> Retrieved:
    """Decode the legs; raises Refused when none of the candidates' legs answered, or when
    the client's own vector search or aggregations are refused.
    """
    failed = {name: answer for name, answer in responses.items() if "error" in answer}
    good = {name: answer for name, answer in responses.items() if name not in failed}
    theirs = {"facets", *(["knn"] if "knn" in request.body else [])}
    wrong = [it for name, it in failed.items() if name in theirs and it.get("status", 500) < 500]
    if "keyword" in failed or wrong or not {"keyword", "knn"} & set(good):
        first = failed.get("keyword") or next(iter(wrong or failed.values()))
        raise Refused(Answer(int(first["status"]), {"content-type": JSON}, orjson.dumps(first)))
    retrieved = decode(
        good,
        keyword_only="min_score" in request.body,
        collapse_field=request.collapse_field,
    )
    if failed:
        return retrieved.marked(f"{next(iter(failed))}_leg_failed")
    return retrieved


def send(
    nodes: Nodes,
    target: str,
    request: RankedRequest,
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    *,
    timeout_seconds: float,
) -> Pending:
    """Send one plain search of ours; `found_by` waits for its answer."""
    params = "&".join(f"{name}={value}" for name, value in request.leg_params.items())
    return nodes.send(
        "POST",
        f"/{target}/_search?{params}",
        orjson.dumps(body),
        {"Content-Type": JSON, "Accept": JSON, **headers},
        timeout_seconds=timeout_seconds,
    )


def found_by(sent: Pending) -> dict[str, Any]:
    """The answer to a search that was sent; raises Refused."""
    answer = sent.receive()
    if answer.status != 200:
        raise Refused(answer)
    found: dict[str, Any] = orjson.loads(answer.body)
    return found


def among(
    nodes: Nodes,
    target: str,
    ids: Sequence[str],
    beside: Beside,
    filters: Sequence[Mapping[str, Any]],
    headers: Mapping[str, str],
    *,
    timeout_seconds: float,
) -> list[dict[str, Any]]:
    """Hits of those of `ids` that satisfy the filters, with their marks; raises Refused."""
    answer = nodes.ask(
        "POST",
        f"/{target}/_search",
        orjson.dumps(bodies.among(ids, beside, filters)),
        {"Content-Type": JSON, "Accept": JSON, **headers},
        timeout_seconds=timeout_seconds,
    )
    if answer.status != 200:
        raise Refused(answer)
    hits: list[dict[str, Any]] = orjson.loads(answer.body)["hits"]["hits"]
    return hits


def retrieve_many(
    es: Elasticsearch,
    generation: Generation,
    queries: Sequence[str],
    window: int,
    vectors: NDArray[np.float32] | None = None,
) -> list[Candidates]:
    """Candidates of plain text queries, by the bodies that serving sends.

    For training and evaluation. `vectors` [queries, dims]; without them the queries are encoded by
    the index's recipe.
    """
    if vectors is None:
        from indexer.embedding.encoder import open_encoder

        vectors = open_encoder(generation.recipe).encode(queries, role="query")
    found: list[Candidates] = []
    for first in range(0, len(queries), QUERIES_PER_CALL):
        batch = slice(first, first + QUERIES_PER_CALL)
        found += _retrieve_batch(es, generation, queries[batch], vectors[batch], window)
    return found


def _retrieve_batch(
    es: Elasticsearch,
    generation: Generation,
    queries: Sequence[str],
    vectors: NDArray[np.float32],
    window: int,
) -> list[Candidates]:
    search_fields = generation.config.search_fields
    requests = [plain_request(text, window, search_fields) for text in queries]
    sent: list[Mapping[str, Any]] = []
    for request, vector in zip(requests, vectors, strict=True):
        legs = bodies.legs(
            request, vector, vector_search(generation, window), search_fields, id_column=False
        )
        sent += [leg for leg in (legs.keyword, legs.knn) if leg is not None]
    answer = es.perform_request(
        "POST",
        MULTI_SEARCH,
        headers={"content-type": NDJSON, "accept": JSON},
        body=bodies.ndjson(generation.concrete, {}, sent),
    )
    responses = answer.body["responses"]
    return [
        read_responses({"keyword": keyword, "knn": knn}, request).candidates
        for request, keyword, knn in zip(requests, responses[::2], responses[1::2], strict=True)
    ]


def plain_request(text: str, window: int, search_fields: Sequence[str]) -> RankedRequest:
    """The request of a client that only sends words."""
    query = {"multi_match": {"query": text, "fields": list(search_fields)}}
    return RankedRequest(
        text=text,
        query=query,
        body={"query": query, "track_total_hits": False},
        filters=(),
        start=0,
        size=window,
        options=Options(window=window),
        shopper=Shopper(),
        ubi=Ubi(),
        leg_params={},
        unavailable_asked_for=False,
    )
