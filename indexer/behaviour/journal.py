"""The journal: every event and query as it came, kept in `ubi_events` and `ubi_queries`.

The only place that writes and reads them. What was journalled is never written again: documents
are created under INDEX/IDENTITY, and one that exists is known.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from elasticsearch import Elasticsearch
from elasticsearch.helpers import streaming_bulk

from indexer import snapshot
from indexer.behaviour import ubi
from indexer.behaviour.event import BehaviourEvent, event_of, iso
from indexer.behaviour.journal_index import EVENTS, MAPPINGS, QUERIES, ensure
from indexer.connections import CLOSED
from indexer.errors import AccessDenied, ElasticsearchUnavailable

Document = dict[str, Any]

# Only what event_of reads: a replay of a year is bound by the bytes that travel.
_READ = [
    "event_id",
    "action_name",
    "timestamp",
    "user_id",
    "client_id",
    "session_id",
    "query_id",
    "user_query",
    "event_attributes.object.object_id",
    "event_attributes.position.ordinal",
    "event_attributes.order_id",
    "event_attributes.context",
]
# What measuring reads of searches and of what came of them.
_MEASURED = [
    *("action_name", "timestamp", "user_id", "client_id", "session_id", "query_id"),
    *("query_attributes.experiment", "query_attributes.from", "query_response_hit_ids"),
    *("event_attributes.object", "event_attributes.price", "event_attributes.quantity"),
    "event_attributes.revenue",
]
_SEEN_ONLY = ["impression", "view"]
PAGE_EVENTS = 10_000
BULK_BYTES_MAX = 8_000_000
KEEP_ALIVE = "2m"
CONFLICT = 409
BUSY = (429, 503)
BACK_OFF_TIMES = 5
BACK_OFF_SECONDS_FIRST, BACK_OFF_SECONDS_MAX = 0.2, 3.0


@dataclass
class Written:
    """What a bulk of documents came to; `refused` says why by `event_id`."""

    new: int = 0
    known: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def document_id(index: str, identity: str) -> str:
    """`_id` in the journal: identities are unique within an index only."""
    return f"{index}/{identity}"


def write_events(
    es: Elasticsearch, index: str, documents: Sequence[Document], *, received_at: float
) -> Written:
    """Journal events (from ubi.read); raises what a retry may cure."""
    rows = []
    for document in documents:
        free = _free_parts(document.get("event_attributes", {}))
        row = {**document, **_arrival(index, received_at), **({"attributes": free} if free else {})}
        came = document.get(ubi.OWN, {})
        row[ubi.OWN] |= {name: came[name] for name in ubi.CAME_AS if name in came}
        rows.append((document["event_id"], row))
    return _create_all(es, EVENTS, index, rows)


def _free_parts(attributes: Mapping[str, Any]) -> dict[str, Any]:
    typed = MAPPINGS[EVENTS]["event_attributes"]["properties"]
    return {name: value for name, value in attributes.items() if name not in typed}


def _arrival(index: str, received_at: float) -> Document:
    return {"hitweave": {"index": index, "received_at": iso(received_at)}}


def write_queries(
    es: Elasticsearch,
    index: str,
    documents: Sequence[Document],
    *,
    received_at: float,
    own: bool = False,
) -> Written:
    """Journal queries under their query_id; a further page of one is kept beside the first.

    Of the sidecar's `own` ones what it served is kept too; nobody else can say that.
    """
    rows = [_query_row(it, index, received_at, own=own) for it in documents]
    first = _create_all(es, QUERIES, index, [(row["query_id"], row) for row in rows])
    if not first.known:
        return first
    names = [document_id(index, row["query_id"]) for row in rows]
    stored = es.mget(index=QUERIES, ids=names, source_includes=["event_id"])["docs"]
    kept = {doc["_id"]: doc["_source"]["event_id"] for doc in stored if doc.get("found")}
    pages = [
        row
        for name, row in zip(names, rows, strict=True)
        if kept.get(name, row["event_id"]) != row["event_id"]
    ]
    further = _create_all(
        es,
        QUERIES,
        index,
        [(f"{row['query_id']}/{row['event_id'][:16]}", row) for row in pages],
    )
    return Written(
        new=first.new + further.new,
        known=first.known - len(pages) + further.known,
        refused={**first.refused, **further.refused},
    )


def _query_row(document: Document, index: str, received_at: float, *, own: bool) -> Document:
    row = {name: part for name, part in document.items() if name != ubi.SERVED}
    row |= _arrival(index, received_at)
    if own and ubi.SERVED in document:
        row["hitweave"][ubi.SERVED] = document[ubi.SERVED]
    return row


def _create_all(
    es: Elasticsearch, journal: str, index: str, rows: Sequence[tuple[str, Document]]
) -> Written:
    """Create each row, reading every answer; backs off on 429 and 503."""
    written = Written()
    identities = {document_id(index, name): row["event_id"] for name, row in rows}
    answers = streaming_bulk(
        es,
        (_creation(journal, document_id(index, name), row) for name, row in rows),
        chunk_size=len(rows) or 1,
        max_chunk_bytes=BULK_BYTES_MAX,
        raise_on_error=False,
        max_retries=BACK_OFF_TIMES,
        initial_backoff=BACK_OFF_SECONDS_FIRST,
        max_backoff=BACK_OFF_SECONDS_MAX,
        retry_on_status=BUSY,
        filter_path="items.create._id,items.create.status,items.create.error",
    )
    for ok, answer in answers:
        item = answer["create"]
        if ok:
            written.new += 1
        elif item["status"] == CONFLICT:
            written.known += 1
        elif item["status"] in BUSY:
            raise ElasticsearchUnavailable(f"Elasticsearch is too busy for {journal}: try later")
        else:
            _check_passes(journal, item["error"])
            written.refused[identities[item["_id"]]] = _reason(item["error"])
    return written


def _check_passes(journal: str, error: Mapping[str, Any]) -> None:
    """Raise what waiting cures, where a document was refused for no fault of its own."""
    if error.get("type") == "security_exception":
        raise AccessDenied(f"{journal} may not be written: {error.get('reason')}")
    if error.get("type") in {*CLOSED, "index_not_found_exception"}:
        raise ElasticsearchUnavailable(f"{journal} takes nothing for now: {error.get('reason')}")


def _creation(journal: str, name: str, row: Document) -> Document:
    return {"_op_type": "create", "_index": journal, "_id": name, "_source": row}


def _reason(error: Mapping[str, Any]) -> str:
    """Why Elasticsearch refused a document, without its text."""
    cause = error.get("caused_by") or error
    return f"{error.get('type')}: {cause.get('type')}"


def attribute(es: Elasticsearch, index: str, documents: Sequence[Document]) -> list[Document]:
    """Events with the text of the search they came from, where only its `query_id` was given.

    Reads by id, so that a query journalled a moment ago is found.
    """
    lacking = {it["query_id"] for it in documents if "query_id" in it and "user_query" not in it}
    if not lacking:
        return list(documents)
    names = [document_id(index, query_id) for query_id in sorted(lacking)]
    found = es.mget(index=QUERIES, ids=names, source_includes=["query_id", "user_query"])["docs"]
    texts = {
        doc["_source"]["query_id"]: doc["_source"]["user_query"]
        for doc in found
        if doc.get("found") and "user_query" in doc["_source"]
    }
    return [
        {**it, "user_query": texts[it["query_id"]]}
        if it.get("query_id") in texts and "user_query" not in it
        else it
        for it in documents
    ]


def scan(
    es: Elasticsearch, index: str, until: float | None = None, since: float | None = None
) -> Iterator[BehaviourEvent]:
    """An index's events by time and identity, `since` <= time <= `until` (seconds, inclusive)."""
    ensure(es)
    es.indices.refresh(index=EVENTS)
    query = {"bool": {"filter": _bounds(index, since, until)}}
    # Elasticsearch sorts by time alone: a second key would cost it more than the whole search.
    for _, together in groupby(_pages(es, query), key=lambda hit: hit["sort"][0]):
        events = [event_of(hit["_source"]) for hit in together]
        yield from sorted(events, key=lambda event: event.event_id)


def measured(es: Elasticsearch, index: str, since: float, until: float) -> Iterator[Document]:
    """Searches (without `action_name`) and deeds of an index together, by time alone; bounds in
    seconds, inclusive. What was only seen is left out.
    """
    ensure(es)
    es.indices.refresh(index=[QUERIES, EVENTS])
    query = {
        "bool": {
            "filter": _bounds(index, since, until),
            "must_not": {"terms": {"action_name": _SEEN_ONLY}},
        }
    }
    for hit in _pages(es, query, f"{QUERIES},{EVENTS}", _MEASURED):
        yield hit["_source"]


def _bounds(index: str, since: float | None, until: float | None) -> list[dict[str, Any]]:
    bounds = {"gte": _millis(since), "lte": _millis(until), "format": "epoch_millis"}
    window = {name: bound for name, bound in bounds.items() if bound is not None}
    return [{"term": {"hitweave.index": index}}, {"range": {"timestamp": window}}]


def _millis(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _pages(
    es: Elasticsearch, query: Mapping[str, Any], journal: str = EVENTS, read: list[str] = _READ
) -> Iterator[dict[str, Any]]:
    """Hits of a snapshot of the journal by time, equal times in no particular order."""
    for page in snapshot.pages(
        es,
        journal,
        PAGE_EVENTS,
        kept=KEEP_ALIVE,
        query=query,
        sort=[{"timestamp": "asc"}],
        source_includes=read,
        filter_path="pit_id,hits.hits._source,hits.hits.sort",
    ):
        yield from page
