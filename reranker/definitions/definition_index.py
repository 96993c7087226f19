"""An index of definitions in Elasticsearch, made with the first write.

Writes say which state of a document they change, so that nobody undoes what he has not seen.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from elasticsearch import ApiError, ConflictError, Elasticsearch, NotFoundError
from elasticsearch import TransportError as NotReached

from indexer.catalogue.generation import ensure_index
from indexer.errors import ElasticsearchUnavailable

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DefinitionIndex:
    """Every method raises ElasticsearchUnavailable where it does not answer.

    `what` is how faults call its definitions. A `Place` is the sequence number and primary term of
    a document's state.
    """

    client: Elasticsearch
    name: str
    what: str
    properties: Mapping[str, Any]

    def read(self, key: str) -> tuple[Mapping[str, Any], Place] | None:
        """A document as it is now, also one written a moment ago; None where there is none."""
        with self.reached():
            try:
                found = self.client.get(index=self.name, id=key).body
            except NotFoundError:
                return None
        return found["_source"], place_of(found)

    def search(self, hits_max: int, **asked: Any) -> list[dict[str, Any]]:
        """Hits as of the last refresh; none where there is no index yet."""
        with self.reached():
            answer = self.client.search(
                index=self.name,
                size=hits_max,
                ignore_unavailable=True,
                filter_path="hits.hits._id,hits.hits._source,"
                "hits.hits._seq_no,hits.hits._primary_term",
                **asked,
            )
        found: list[dict[str, Any]] = answer.get("hits", {}).get("hits", [])
        return found

    def write(self, key: str, document: Mapping[str, Any], place: Place | None) -> bool:
        """Replace the state at `place`, None: there is none; whether nobody was faster."""
        expected: dict[str, Any] = {"op_type": "create"}
        if place is not None:
            expected = {"if_seq_no": place[0], "if_primary_term": place[1]}
        with self.reached():
            ensure_index(self.client, self.name, self.properties)
            try:
                self.client.index(
                    index=self.name, id=key, document=document, refresh=True, **expected
                )
            except ConflictError:
                return False
        return True

    def delete(self, key: str) -> bool:
        """Take a document away; whether there was one."""
        with self.reached():
            try:
                self.client.delete(index=self.name, id=key, refresh=True)
            except NotFoundError:
                return False
        return True

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Errors of Elasticsearch inside become ElasticsearchUnavailable."""
        try:
            yield
        except (ApiError, NotReached) as error:
            raise ElasticsearchUnavailable(
                f"the {self.what} cannot be read or written ({type(error).__name__}): see whether "
                f"Elasticsearch is up and lets the sidecar use {self.name}"
            ) from error


def place_of(hit: Mapping[str, Any]) -> Place:
    """Where the document of a hit stands."""
    return hit["_seq_no"], hit["_primary_term"]
