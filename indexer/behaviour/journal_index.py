"""The indices of the journal: `ubi_events` and `ubi_queries`, their mappings and their making.

The only place that says how they are mapped. UBI's names are kept, with `flattened` where
OpenSearch has `flat_object`; `attributes` is a searchable copy of the free parts of
`event_attributes`, kept out of `_source`.
"""

from typing import Any

from elasticsearch import BadRequestError, Elasticsearch

from indexer.errors import IncompatibleIndex

EVENTS = "ubi_events"
QUERIES = "ubi_queries"
INDICES = (EVENTS, QUERIES)
# Fields that are not UBI's: another type of theirs is a clash.
OWN = ("event_id", "hitweave")

ADVICE = "reindex it under another name first"
STAMP = "journal"  # within `_meta.hitweave`, where a catalogue has its recipe
_NAME = {"type": "keyword", "ignore_above": 256}
_TEXT = {"type": "keyword", "ignore_above": 2000}
_FREE = {"type": "flattened", "ignore_above": 1024}
_DATE = {"type": "date", "format": "strict_date_optional_time||epoch_millis"}
_ARRIVAL = {"index": _NAME, "received_at": _DATE}
# Kept in `_source` as it is, looked at by learning alone.
_KEPT = {"type": "object", "enabled": False}
_SHARED = {
    "application": _NAME,
    "event_id": _NAME,
    "query_id": _NAME,
    "client_id": _NAME,
    "user_id": _NAME,
    "session_id": _NAME,
    "user_query": _TEXT,
    "timestamp": _DATE,
    "hitweave": {"properties": _ARRIVAL},
}
_OBJECT = {"object_id": _NAME, "object_id_field": _NAME, "object_id_type": _NAME}
_POSITION = {
    "ordinal": {"type": "integer"},
    "xy": {"properties": {"x": {"type": "float"}, "y": {"type": "float"}}},
}
MAPPINGS: dict[str, dict[str, Any]] = {
    EVENTS: {
        **_SHARED,
        "hitweave": {"properties": {**_ARRIVAL, "action_name": _NAME, "object_id": _NAME}},
        "action_name": _NAME,
        "message": {"type": "keyword", "ignore_above": 1024},
        "message_type": _NAME,
        "attributes": _FREE,
        "event_attributes": {
            "dynamic": False,
            "properties": {
                "object": {"properties": {**_OBJECT, "internal_id": _NAME}},
                "position": {"properties": _POSITION},
                "order_id": _NAME,
            },
        },
    },
    QUERIES: {
        **_SHARED,
        "hitweave": {"properties": {**_ARRIVAL, "served": _KEPT}},
        "object_id_field": _NAME,
        "query_attributes": _FREE,
        "query_response_id": _NAME,
        "query_response_hit_ids": _NAME,
    },
}


def ensure(es: Elasticsearch) -> None:
    """Create the journal's indices where absent; safe against others doing the same.

    Indices that another UBI collector made get the fields they lack; raises IncompatibleIndex
    where one of them has another type.
    """
    found = es.indices.get_mapping(
        index=list(INDICES), ignore_unavailable=True, filter_path="*.mappings._meta"
    )
    ours = [name for name, it in found.items() if "hitweave" in it["mappings"].get("_meta", {})]
    for index in INDICES:
        if index not in ours:
            _create_or_adopt(es, index)


def _create_or_adopt(es: Elasticsearch, index: str) -> None:
    stamp = {"hitweave": {STAMP: 1}}
    try:
        es.indices.create(
            index=index,
            settings={"number_of_shards": 1, "auto_expand_replicas": "0-1"},
            mappings={
                "dynamic": False,
                "_meta": stamp,
                "_source": {"excludes": ["attributes"]},
                "properties": MAPPINGS[index],
            },
        )
    except BadRequestError as error:
        if error.error != "resource_already_exists_exception":
            raise
        _adopt(es, index, stamp)


def _adopt(es: Elasticsearch, index: str, stamp: dict[str, Any]) -> None:
    there = es.indices.get_mapping(index=index).popitem()[1]["mappings"]
    known = there.get("properties", {})
    ours = {name: it for name, it in MAPPINGS[index].items() if name not in known or name in OWN}
    try:
        if known.get("timestamp", _DATE)["type"] != _DATE["type"]:
            raise IncompatibleIndex(f"{index} exists with a timestamp that is no date: {ADVICE}")
        es.indices.put_mapping(
            index=index, meta={**there.get("_meta", {}), **stamp}, properties=ours
        )
    except BadRequestError as error:
        raise IncompatibleIndex(
            f"{index} exists with a mapping that cannot hold UBI events ({error}): {ADVICE}"
        ) from error
