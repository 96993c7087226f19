"""Catalogue and journal as Parquet files: a snapshot of the index, streamed in bounded memory.

Rows come from a point in time, so writes meanwhile change nothing, and are written in row groups.
The file appears under its name only when it is whole.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from elasticsearch import Elasticsearch

from indexer import snapshot
from indexer.behaviour import journal_index
from indexer.catalogue import generation
from indexer.errors import UnknownIndex
from reranker.evaluation import columns
from reranker.evaluation.columns import Row, Table

What = Literal["catalogue", "events", "queries"]

PAGE_DOCUMENTS = 2_000
PAGE_DOCUMENTS_WITH_VECTORS = 250
ROW_GROUP_ROWS = 20_000
POINT_KEPT = "5m"


@dataclass(frozen=True, slots=True)
class Source:
    """What is exported: documents of one index that match a query, as rows of a table."""

    concrete: str
    query: Mapping[str, Any]
    table: Table
    note: Mapping[str, Any]

    @property
    def page_documents(self) -> int:
        """How many documents fit into one answer of Elasticsearch."""
        return PAGE_DOCUMENTS_WITH_VECTORS if self.table.vector_field else PAGE_DOCUMENTS


def source(
    es: Elasticsearch,
    index: str,
    what: What,
    *,
    vectors: bool = False,
    since: str | None = None,
    until: str | None = None,
) -> Source:
    """Where the rows come from; raises UnknownIndex. Times bound the journal only."""
    served = generation.resolve(es, index)
    config = served.config
    if what == "catalogue":
        field = config.vector_field if vectors else None
        table = columns.catalogue(config.theirs, field, served.recipe.dims)
        note = {"index": index, "what": what, "recipe": served.recipe.digest()}
        return Source(served.concrete, {"match_all": {}}, table, note)
    concrete = journal_index.EVENTS if what == "events" else journal_index.QUERIES
    if not es.indices.exists(index=concrete):
        raise UnknownIndex(f"there is no {concrete} yet: import behaviour with `hitweave events`")
    bounds = {name: it for name, it in (("gte", since), ("lte", until)) if it}
    filters: list[dict[str, Any]] = [{"term": {"hitweave.index": index}}]
    if bounds:
        filters.append({"range": {"timestamp": bounds}})
    table = columns.EVENTS if what == "events" else columns.QUERIES
    return Source(
        concrete, {"bool": {"filter": filters}}, table, {"index": index, "what": what, **bounds}
    )


def count(es: Elasticsearch, wanted: Source) -> int:
    """How many rows there are now."""
    es.indices.refresh(index=wanted.concrete)
    return int(es.count(index=wanted.concrete, query=wanted.query)["count"])


def write(
    es: Elasticsearch, wanted: Source, path: Path, on_rows: Callable[[int], None] = lambda _: None
) -> int:
    """Write every row; how many there were. `on_rows` hears the size of each row group."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    schema = wanted.table.schema.with_metadata({"hitweave": orjson.dumps(dict(wanted.note))})
    rows = 0
    try:
        with pq.ParquetWriter(partial, schema, compression="zstd") as file:
            for group in _groups(es, wanted):
                file.write_batch(pa.RecordBatch.from_pylist(group, schema=schema))
                rows += len(group)
                on_rows(len(group))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return rows


def _groups(es: Elasticsearch, wanted: Source) -> Iterator[list[Row]]:
    group: list[Row] = []
    for page in _pages(es, wanted):
        group += [wanted.table.row(hit["_id"], hit["_source"]) for hit in page]
        if len(group) >= ROW_GROUP_ROWS:
            yield group
            group = []
    if group:
        yield group


def _pages(es: Elasticsearch, wanted: Source) -> Iterator[list[dict[str, Any]]]:
    """Hits of a snapshot, in the order of the shards."""
    return snapshot.pages(
        es,
        wanted.concrete,
        wanted.page_documents,
        kept=POINT_KEPT,
        query=wanted.query,
        sort=["_shard_doc"],
        source_exclude_vectors=not wanted.table.vector_field,
    )
