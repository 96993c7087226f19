"""Documents that somebody else wrote into an index of ours, whole or in part.

Whole ones lack our stamp. A part (`_update`) leaves the stamp of what was there before: these are
found among what was written since the last look, by sequence numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from indexer.catalogue.attach import missing_query
from indexer.catalogue.generation import Generation
from indexer.catalogue.product import RESERVED
from indexer.catalogue.stored import checkpoints

NOTHING_SEEN = -1  # sequence numbers count from 0
STAMP = [f"{RESERVED}.version", f"{RESERVED}.received_at"]


@dataclass(frozen=True, slots=True)
class Changed:
    """Ids of documents that may have been changed in part, and how far each shard was looked at:
    the last sequence number, by the index's own id and the shard.
    """

    ids: list[str]
    seen: dict[str, int]


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


def changed_since(
    es: Elasticsearch, generation: Generation, seen: Mapping[str, int], limit: int
) -> Changed:
    """Documents written after `seen`, but those that are as Hitweave writes them whole; `limit` of
    a shard are looked at.
    """
    behind = {
        name: (shard, end)
        for name, (shard, end) in checkpoints(es, generation.concrete).items()
        if end > seen.get(name, NOTHING_SEEN)
    }
    found = Changed([], {})
    if behind:
        es.indices.refresh(index=generation.concrete)
    for name, (shard, end) in behind.items():
        answer = es.search(
            index=generation.concrete,
            preference=f"_shards:{shard}",
            query={"range": {"_seq_no": {"gt": seen.get(name, NOTHING_SEEN), "lte": end}}},
            sort=[{"_seq_no": "asc"}],
            size=limit,
            version=True,
            source_includes=STAMP,
            track_total_hits=False,
        )
        hits = answer["hits"]["hits"]
        found.ids.extend(hit["_id"] for hit in hits if _may_differ(hit))
        found.seen[name] = end if len(hits) < limit else hits[-1]["sort"][0]
    return found


def _may_differ(hit: Mapping[str, Any]) -> bool:
    """Whether a stamped document may say something else than when it was stamped.

    Where our feed wrote it, its version is ours and counts up with each change.
    """
    stamp = (hit.get("_source") or {}).get(RESERVED)
    if not stamp:
        return False
    return not stamp["received_at"] or hit["_version"] != stamp["version"]
