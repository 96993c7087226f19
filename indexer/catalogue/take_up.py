"""Documents that somebody else wrote into an index of ours: their missing stamp tells."""

from elasticsearch import Elasticsearch

from indexer.catalogue.attach import missing_query
from indexer.catalogue.generation import Generation


def written_elsewhere(es: Elasticsearch, generation: Generation, limit: int) -> list[str]:
    """Ids of documents without a vector by this generation's recipe, the last written first."""
    answer = es.search(
        index=generation.concrete,
        query=missing_query(generation),
        sort=[{"_seq_no": "desc"}],
        size=limit,
        source=False,
        track_total_hits=False,
    )
    return [hit["_id"] for hit in answer["hits"]["hits"]]
