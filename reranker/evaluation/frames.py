"""Catalogue and journal as eland DataFrames: pandas' words, computed inside Elasticsearch.

For looking around: filters, counts, means, histograms, `es_match`. Fields that are not mapped
(the free parts of events, vectors) are not there, `groupby` wants `.agg`, and reading all rows
(`to_pandas`) is far slower than `export`: use Parquet for training sets. eland's machine learning
needs Elastic's own module, which a node built from the free parts lacks.
"""

from collections.abc import Sequence
from typing import Any

from elasticsearch import Elasticsearch

from indexer.behaviour import journal_index
from indexer.catalogue import generation

PRODUCT_FIELDS = (
    *("title", "description", "brand", "categories", "price", "currency", "language", "domain"),
    *("available", "popularity", "updated_at"),
)


def catalogue(es: Elasticsearch, index: str, fields: Sequence[str] = PRODUCT_FIELDS) -> Any:
    """An eland DataFrame of an index's products; columns carry the names in the documents."""
    import eland

    served = generation.resolve(es, index)
    return eland.DataFrame(es, served.concrete, columns=[served.config.theirs(it) for it in fields])


def events(es: Elasticsearch, index: str) -> Any:
    """An eland DataFrame of an index's journalled events."""
    import eland

    whole = eland.DataFrame(es, journal_index.EVENTS)
    return whole.es_query({"term": {"hitweave.index": index}})
