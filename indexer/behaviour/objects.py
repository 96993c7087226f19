"""Events name products by the field that they say: `object_id_field`, as UBI has it.

Everything else knows products by their ids. What names no product, or several, stays as it came.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch

from indexer import telemetry
from indexer.behaviour import ubi

# What calls the id itself its field.
IDS = frozenset({"_id", "id"})
AT_ONCE = 1000

Document = dict[str, Any]
Names = dict[tuple[str, str], str]  # ids of products by field and value

_log = telemetry.log("behaviour")


def resolved(es: Elasticsearch, index: str, documents: Sequence[Document]) -> list[Document]:
    """Events (from ubi.read) with the id of the product that they name by another field; raises
    what a retry may cure.
    """
    values: dict[str, set[str]] = defaultdict(set)
    for document in documents:
        if named := _named(document):
            values[named[0]].add(named[1])
    known: Names = {}
    for field, asked in values.items():
        known |= _look_up(es, index, field, sorted(asked))
    return [_under_its_id(it, known) for it in documents] if known else list(documents)


def _named(document: Mapping[str, Any]) -> tuple[str, str] | None:
    """By which field and value an event names its product; None where that is its id."""
    said = (document.get("event_attributes") or {}).get("object") or {}
    field, value = said.get("object_id_field"), said.get("object_id")
    return (field, value) if field and value and field not in IDS else None


def _under_its_id(document: Document, known: Names) -> Document:
    named = _named(document)
    item_id = known.get(named) if named else None
    if named is None or item_id is None or item_id == named[1]:
        return document
    attributes = document["event_attributes"]
    there = {**attributes, "object": {**attributes["object"], "object_id": item_id}}
    own = {**document.get(ubi.OWN, {}), ubi.ITEM_NAMED: named[1]}
    return {**document, "event_attributes": there, ubi.OWN: own}


def _look_up(es: Elasticsearch, index: str, field: str, values: Sequence[str]) -> Names:
    """Which value means which product; a value of several products means none."""
    found: dict[str, set[str]] = defaultdict(set)
    for start in range(0, len(values), AT_ONCE):
        asked = values[start : start + AT_ONCE]
        try:
            answer = es.search(
                index=index,
                query={"bool": {"should": [{"terms": {it: asked}} for it in _spelled(field)]}},
                size=10 * AT_ONCE,
                source=False,
                fields=[{"field": field}],
                track_total_hits=False,
                ignore_unavailable=True,
            )
        except BadRequestError as error:  # the field cannot have such values
            _log.warning("objects_not_looked_up", index=index, field=field, error=error.error)
            return {}
        for hit in answer["hits"]["hits"]:
            for value in _texts(hit.get("fields", {}).get(field)):
                found[value].add(hit["_id"])
    wanted = set(values)
    return {
        (field, value): next(iter(ids))
        for value, ids in found.items()
        if value in wanted and len(ids) == 1
    }


def _spelled(field: str) -> tuple[str, str]:
    """The field itself, and its words as they are where it is a text."""
    return field, f"{field}.keyword"


def _texts(values: Iterable[Any] | None) -> Iterator[str]:
    return (str(it) for it in values or () if type(it) in (str, int))
