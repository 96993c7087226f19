"""Searches of a shop that explores, as a file of logged choices.

A row is one hit at its place, with the chance that it had to stand there and whether it was
clicked; hits too far down to have a chance recorded are left out. `hitweave offpolicy` reads
the file.
"""

import csv
import gzip
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from indexer.behaviour import journal
from indexer.behaviour.journal_index import QUERIES, ensure
from indexer.behaviour.popularity import KIND_OF_ACTION, VIEW

FIELDS = ["query_id", "query_response_hit_ids", "query_attributes"]


class Choice(NamedTuple):
    """One hit; positions count from 1 over all pages, `group` is the search."""

    item_id: str
    position: int
    click: int
    propensity_score: float
    group: str


def choices(
    searches: Iterable[Mapping[str, Any]], clicked: set[tuple[str, str]]
) -> Iterator[Choice]:
    """Rows of recorded searches; `clicked` are pairs of search and item."""
    for search in searches:
        attributes = search.get("query_attributes") or {}
        chances = (attributes.get("exploration") or {}).get("propensities") or ()
        start, group = int(attributes.get("from", 0)), str(search["query_id"])
        shown = search.get("query_response_hit_ids") or ()
        for place, (item, chance) in enumerate(zip(shown, chances, strict=False), start + 1):
            if chance is not None and float(chance) > 0:
                yield Choice(item, place, int((group, item) in clicked), float(chance), group)


def write(path: Path, rows: Iterable[Choice]) -> int:
    """Write CSV, gzip by the name; how many rows there were."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    count = 0
    with opener(path, "wt", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(Choice._fields)
        for row in rows:
            table.writerow(row)
            count += 1
    return count


def read(es: Elasticsearch, index: str) -> Iterator[Choice]:
    """All that the journal of an index has of such searches."""
    ensure(es)
    clicked = {
        (event.query_id, event.item_id)
        for event in journal.scan(es, index)
        if event.query_id and event.item_id and KIND_OF_ACTION.get(event.action) == VIEW
    }
    es.indices.refresh(index=QUERIES)
    query = {"bool": {"filter": [{"term": {"hitweave.index": index}}]}}
    hits = scan(es, index=QUERIES, query={"query": query}, source_includes=FIELDS)
    return choices((hit["_source"] for hit in hits), clicked)
