"""Checks whether events come in that name products which their index does not have."""

from collections.abc import Iterator, Mapping
from typing import Any

from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch

from compose.local.action_checks import INDICES_MAX, SINCE
from compose.local.finding import Finding
from indexer.behaviour.journal_index import EVENTS
from indexer.catalogue.actions import COUNTED

LOOKED_AT, NAMED_MAX = 200, 3
SHARE_MIN = 0.2  # what is sold out and gone from the catalogue is no fault
ITEM, ITEM_FIELD = "event_attributes.object.object_id", "event_attributes.object.object_id_field"
ADVICE = (
    "send the product's id in the index as `object_id`, or name the field that has it as "
    "`object_id_field`: nothing is learned of a product that is not there"
)


def check_items(client: Elasticsearch) -> Iterator[Finding]:
    """One warning an index of the journal a fifth of whose events name products it does not have,
    judged by those named most in the last days.
    """
    by_item = {"terms": {"field": ITEM, "size": LOOKED_AT}}
    by_field = {"terms": {"field": ITEM_FIELD, "size": NAMED_MAX}}
    inner = {"item": by_item, "field": by_field}
    counted = {"terms": {"action_name": sorted(COUNTED)}}
    try:
        answer = client.search(
            index=EVENTS,
            ignore_unavailable=True,
            size=0,
            query={
                "bool": {"filter": [{"range": {"hitweave.received_at": {"gte": SINCE}}}, counted]}
            },
            aggs={
                "index": {"terms": {"field": "hitweave.index", "size": INDICES_MAX}, "aggs": inner}
            },
        )
        for found in answer.get("aggregations", {}).get("index", {}).get("buckets", ()):
            yield from _of_index(client, found)
    except (ApiError, TransportError) as error:
        told = f"the products that events name cannot be counted ({type(error).__name__})"
        yield Finding("items", "note", told, f"the fields of {EVENTS} must be keywords")


def _of_index(client: Elasticsearch, found: Mapping[str, Any]) -> Iterator[Finding]:
    index = found["key"]
    counts = {it["key"]: it["doc_count"] for it in found["item"]["buckets"]}
    if not counts or not client.indices.exists(index=index):
        return
    answer = client.search(
        index=index, query={"ids": {"values": list(counts)}}, size=len(counts), source=False
    )
    there = {hit["_id"] for hit in answer["hits"]["hits"]}
    absent = [name for name in counts if name not in there]
    share = sum(counts[name] for name in absent) / sum(counts.values())
    if share < SHARE_MIN:
        return
    fields = ", ".join(it["key"] for it in found["field"]["buckets"])
    told = f"{index}: of 7 days {share:.0%} of events name products that it does not have, as "
    told += ", ".join(absent[:NAMED_MAX]) + (f" (object_id_field: {fields})" if fields else "")
    yield Finding("items", "warning", told, ADVICE)
