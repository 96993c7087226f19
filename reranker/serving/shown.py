"""The hits of a page: those that are kept of the very versions just found, the others read anew."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reranker.retrieval import documents, fetch
from reranker.retrieval import query as bodies
from reranker.retrieval.documents import Version
from reranker.retrieval.node import Pending
from reranker.serving.call import Call
from reranker.serving.process import Process

_OF_THE_VERSION = "_seq_no", "_primary_term"
Hits = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Known:
    """The versions of a page's candidates by id, and the form that the page shows them in."""

    versions: Mapping[str, Version]
    form: bytes


def keepable(process: Process, call: Call) -> bytes | None:
    """The form of the hits where they may be kept, else None."""
    if not process.documents.keeps or not bodies.needs_documents(call.request):
        return None
    return documents.form(call.request, call.headers)


def hits(
    process: Process,
    call: Call,
    ids: Sequence[str],
    known: Known | None,
    meanwhile: Callable[[], None],
) -> Hits:
    """The hits of `ids` by id, without documents deleted since; raises Refused.

    `meanwhile` is done while Elasticsearch reads. None is known of an order of old: its documents
    are looked up whatever is kept.
    """
    found = {} if known is None else process.documents.find(known.versions.values(), known.form)
    missing = [name for name in ids if name not in found]
    if not missing:
        meanwhile()
        return found
    body = bodies.page(call.request, missing, call.generation.config.search_fields)
    if known is not None:
        body["seq_no_primary_term"] = True
    pending = sent(process, call, body)
    meanwhile()
    read = {hit["_id"]: hit for hit in fetch.found_by(pending)["hits"]["hits"]}
    if known is not None:
        _keep(process, call, known, read)
    return found | read


def sent(process: Process, call: Call, body: Mapping[str, Any]) -> Pending:
    """A search on its way, for the client: without its answer there is none to give."""
    return fetch.send(
        process.nodes,
        call.target,
        call.request,
        body,
        call.headers,
        timeout_seconds=call.deadline.left_at_last(),
    )


def _keep(process: Process, call: Call, known: Known, read: Hits) -> None:
    """Keep what was read of the versions that were found; a hit shows what was asked for."""
    asked = call.request.body.get("seq_no_primary_term")
    for name, hit in read.items():
        version = known.versions.get(name)
        said = (hit["_index"], *(hit[part] for part in _OF_THE_VERSION))
        if not asked:
            for part in _OF_THE_VERSION:
                del hit[part]
        # One id may stand for several documents where they are routed by hand.
        if version and said == (version.concrete, *version[2:4]) and "_routing" not in hit:
            process.documents.keep(version, known.form, hit)
