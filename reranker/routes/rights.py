"""As whom Elasticsearch is asked for a client, and what it must be allowed to be answered at all.

What is answered out of Valkey or the process, no node has judged: so it is asked first whether this
client may read the index. Fails closed: a node that does not say so is a refusal.
"""

import time
from urllib.parse import quote

import orjson
from flask import request

from indexer.catalogue.generation import Generation
from reranker.retrieval.fetch import Refused
from reranker.retrieval.node import JSON
from reranker.retrieval.request import Headers, rights
from reranker.routes import senders
from reranker.routes.access import generation_of, process
from reranker.serving.deadline import Deadline

RUN_AS = "es-security-runas-user"
FORWARDED = ("Authorization", "X-Opaque-Id", "traceparent", RUN_AS)
_NOTHING = orjson.dumps({"query": {"match_none": {}}, "size": 0, "track_total_hits": False})


def forwarded_headers(headers: Headers) -> dict[str, str]:
    """What of a client's headers goes on to the node with requests of ours."""
    return {
        **{name: value for name in FORWARDED if (value := headers.get(name)) is not None},
        **nobody(headers),
    }


def nobody(headers: Headers) -> dict[str, str]:
    """The header by which a client without credentials stays without any at the node; empty for
    one that has some, and where it gets those of the sidecar.

    Whom the sidecar is, nobody may become another user by.
    """
    if headers.get("Authorization") is not None:
        return {}
    alone = process().nodes.guards or headers.get(RUN_AS) is not None
    return {"Authorization": ""} if alone else {}


def check_reads(*names: str) -> None:
    """Raise Refused with the node's own words unless this client may read these indices.

    Nothing is asked for a client that has the sidecar's own rights.
    """
    headers = forwarded_headers(request.headers)
    if not rights(headers):
        return
    deadline = Deadline(time.perf_counter(), process().settings.deadline_ms / 1000.0)
    for name in names:
        answer = process().nodes.ask(
            "POST",
            f"/{quote(name, safe='')}/_search",
            _NOTHING,
            {"Content-Type": JSON, "Accept": JSON, **headers},
            timeout_seconds=deadline.left(),
        )
        if answer.status != 200:
            raise Refused(answer)


def reads(name: str) -> bool:
    """Whether this client may read an index."""
    try:
        check_reads(name)
    except Refused:
        return False
    return True


def readable(index: object) -> Generation:
    """The generation behind a name that this client may read; raises Refused, UnknownIndex.

    Who may not read it is not told either whether there is one.
    """
    if isinstance(index, str) and index:
        check_reads(index)
    return generation_of(index)


def headers_of_ranking(index: str) -> dict[str, str]:
    """The headers to rank a client's own list with; raises Refused where it may not read `index`.

    A node's plugin has no credentials: it is known by an address that the settings name.
    """
    headers = forwarded_headers(request.headers)
    if "Authorization" not in request.headers and senders.is_named_as_trusted():
        headers.pop("Authorization", None)
        headers.pop(RUN_AS, None)
        return headers
    check_reads(index)
    return headers
