"""Compares what should agree: documents, stamps, cards, two generations. Reads only."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import redis
from elasticsearch import Elasticsearch

from indexer.catalogue import card_store, stored
from indexer.catalogue.attach import missing_query
from indexer.catalogue.generation import Generation

PAGE = 1000
EXAMPLES_MAX = 5
ALL: dict[str, Any] = {"match_all": {}}


@dataclass(frozen=True, slots=True)
class Audit:
    """Counts of what was found, and examples of ids that are at fault."""

    documents: int
    without_vector: int
    cards_missing: int
    cards_behind: int
    examples: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether everything agrees."""
        return not (self.without_vector or self.cards_missing or self.cards_behind)

    def to_json(self) -> dict[str, Any]:
        """For the command line."""
        return {**asdict(self), "clean": self.is_clean}


def audit(es: Elasticsearch, valkey: redis.Redis, generation: Generation) -> Audit:
    """One generation with its cards."""
    es.indices.refresh(index=generation.concrete)
    missing = behind = 0
    examples: list[str] = []
    for ids in stored.scan_ids(es, generation.concrete, ALL, PAGE):
        on_card = card_store.versions(valkey, generation.index, ids)
        for item_id, version, card in zip(
            ids, _versions(es, generation, ids), on_card, strict=True
        ):
            if version is None or card == version:
                continue
            missing += card is None
            behind += card is not None
            examples.append(item_id)
    return Audit(
        documents=int(es.count(index=generation.concrete)["count"]),
        without_vector=_count_without_vector(es, generation),
        cards_missing=missing,
        cards_behind=behind,
        examples=tuple(examples[:EXAMPLES_MAX]),
    )


def differences(es: Elasticsearch, source: Generation, target: Generation) -> list[str]:
    """What one generation has and the other has not, as sentences; empty when they agree."""
    for generation in (source, target):
        es.indices.refresh(index=generation.concrete)
    absent = list(_absent(es, source, target))
    extra = list(_absent(es, target, source))
    unfit = _count_without_vector(es, target)
    found = []
    if absent:
        found.append(f"{len(absent)} documents are not in {target.concrete}, like {absent[0]!r}")
    if extra:
        found.append(f"{len(extra)} documents are only in {target.concrete}, like {extra[0]!r}")
    if unfit:
        found.append(f"{unfit} documents of {target.concrete} have no vector of its recipe")
    return found


def _absent(es: Elasticsearch, source: Generation, target: Generation) -> Iterator[str]:
    """Ids of the source that the target has not, or has in another version."""
    for ids in stored.scan_ids(es, source.concrete, ALL, PAGE):
        pairs = zip(_versions(es, source, ids), _versions(es, target, ids), strict=True)
        for item_id, (there, here) in zip(ids, pairs, strict=True):
            if there != here:
                yield item_id


def _versions(es: Elasticsearch, generation: Generation, ids: list[str]) -> list[int | None]:
    """The stamped version of each document; None where it is absent or not stamped."""
    found = stored.read_hashes(es, generation.concrete, ids)
    return [document.order.version if document else None for document in found]


def _count_without_vector(es: Elasticsearch, generation: Generation) -> int:
    no_vector = {"bool": {"must_not": {"exists": {"field": generation.config.vector_field}}}}
    either = {"bool": {"should": [no_vector, missing_query(generation)]}}
    return int(es.count(index=generation.concrete, query=either)["count"])
