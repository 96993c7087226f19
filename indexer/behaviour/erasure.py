"""Removes a person: from the journal by pseudonym, and from the state that is kept by person.

A person is a user id and the clients that were seen with it: what these did before the login goes
too, but not what another user did on the same client. Aggregates stay: popularity, query counts
and co-purchase hold items and sums, no ids; so do the digests of known events, so that a delivery
from before does not count again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis
from elasticsearch import Elasticsearch
from elasticsearch.helpers import streaming_bulk

from indexer.behaviour import arrivals, feedback, journal_index, pending, state, store
from indexer.behaviour.event import basket_of, client_pseudonym, pseudonym
from indexer.behaviour.journal_index import INDICES
from indexer.errors import WriteFailed

PAGE = 1000
CLIENTS_MAX = 10_000
_READ = ["hitweave.index", "session_id", "event_attributes", "user_id", "client_id", "timestamp"]


@dataclass
class Erased:
    """What was removed: documents by journal index, keys of Valkey by catalogue index and kind."""

    journal: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(INDICES, 0)))
    valkey: dict[str, Counter[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Person:
    """The pseudonyms of one person."""

    user: str
    clients: tuple[str, ...]

    def query(self) -> dict[str, Any]:
        """The documents that are this person's."""
        nobody = {"bool": {"must_not": {"exists": {"field": "user_id"}}}}
        clients = {"terms": {"client_id": list(self.clients)}}
        return {
            "bool": {
                "should": [
                    {"term": {"user_id": self.user}},
                    {"bool": {"filter": [clients, nobody]}},
                ],
                "minimum_should_match": 1,
            }
        }


def find(es: Elasticsearch, key: str, user_id: str) -> Person:
    """The person behind a user id (or a client id, for one who never had another)."""
    user, own_client = pseudonym(key, user_id), client_pseudonym(key, user_id)
    journal_index.ensure(es)
    es.indices.refresh(index=list(INDICES))
    answer = es.search(
        index=list(INDICES),
        query={"term": {"user_id": user}},
        aggs={"clients": {"terms": {"field": "client_id", "size": CLIENTS_MAX}}},
        size=0,
    )
    seen = [bucket["key"] for bucket in answer["aggregations"]["clients"]["buckets"]]
    return Person(user, tuple(dict.fromkeys([own_client, *seen])))


def erase(es: Elasticsearch, valkey: redis.Redis, person: Person, indices: Iterable[str]) -> Erased:
    """Remove the person from the journal and from the state of `indices` and of those found."""
    erased = Erased()
    baskets: dict[str, set[str]] = {index: set() for index in indices}
    for journal in INDICES:
        for documents in _pages(es, journal, person):
            for document in documents:
                found = baskets.setdefault(document["_source"]["hitweave"]["index"], set())
                found.update(filter(None, [basket_of(document["_source"])]))
            _delete(es, journal, [document["_id"] for document in documents])
            erased.journal[journal] += len(documents)
    for index, names in baskets.items():
        erased.valkey[index] = _forget(valkey, index, person, names)
    return erased


def _pages(es: Elasticsearch, journal: str, person: Person) -> Iterator[list[dict[str, Any]]]:
    """Documents of the person, until there are none: each page is deleted before the next."""
    while True:
        answer = es.search(
            index=journal,
            query=person.query(),
            size=PAGE,
            source_includes=_READ,
            allow_partial_search_results=False,
        )
        if not answer["hits"]["hits"]:
            return
        yield answer["hits"]["hits"]
        es.indices.refresh(index=journal)


def _delete(es: Elasticsearch, journal: str, names: list[str]) -> None:
    deletions = ({"_op_type": "delete", "_index": journal, "_id": name} for name in names)
    for ok, answer in streaming_bulk(
        es, deletions, raise_on_error=False, max_retries=6, initial_backoff=0.2, max_backoff=5.0
    ):
        if not ok and answer["delete"]["status"] != 404:
            raise WriteFailed(
                f"Elasticsearch did not delete a document of {journal} "
                f"({answer['delete']['status']}): run the command again"
            )


def _forget(valkey: redis.Redis, index: str, person: Person, baskets: set[str]) -> Counter[str]:
    """Delete what the state keeps by person, as one change of it."""
    shoppers = (person.user, *person.clients)
    pages: Iterator[bytes] = valkey.scan_iter(store.key(index, "page:*"), count=10_000)
    kinds: dict[str, Sequence[str | bytes]] = {
        "shopper": [store.key(index, state.shopper_key(name)) for name in shoppers],
        "due": [store.key(index, pending.key(name)) for name in shoppers],
        "taught": [store.key(index, feedback.taught_key(name)) for name in shoppers],
        "basket": [store.key(index, state.basket_key(name)) for name in baskets],
        "page": [name for name in pages if name.split(b":")[3].decode() in shoppers],
    }
    with valkey.pipeline() as pipe:
        store.begin(pipe, index, changes=True)
        kept = [kind for kind, keys in kinds.items() if keys]
        for kind in kept:
            pipe.delete(*kinds[kind])
        _, *removed = pipe.execute()
    counts = Counter(dict(zip(kept, removed, strict=True)))
    if aside := arrivals.forget_set_aside(valkey, index, shoppers):
        counts["set-aside"] = aside
    return counts
