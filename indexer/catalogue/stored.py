"""What is stored of products, read in few round trips: hashes, tombstones, vectors, cards.

Reads by id see every write that was answered, refreshed or not.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import redis
from elasticsearch import Elasticsearch
from numpy.typing import NDArray

from indexer import snapshot
from indexer.catalogue.generation import TOMBSTONES, Generation
from indexer.catalogue.plan import NEVER, Order, Stored, StoredDocument
from indexer.catalogue.product import ID_BYTES_MAX, RESERVED, take
from indexer.catalogue.write import Place
from indexer.errors import UnknownIndex

JSON = {"content-type": "application/json", "accept": "application/json"}
POINT_KEPT = "10m"
HASHES = f"{RESERVED},index,version,received_at,was_live"


@dataclass(frozen=True, slots=True)
class Document:
    """A whole stored document; `vector` is None where it has none of the right length.

    `engine_version` is Elasticsearch's own number, which orders writes; `place` where it was read.
    """

    id: str
    source: dict[str, Any]
    vector: NDArray[np.float32] | None
    engine_version: int
    place: Place

    @property
    def stamp(self) -> dict[str, Any]:
        """What Hitweave wrote beside the product; empty where it did not."""
        found = self.source.get(RESERVED)
        return found if isinstance(found, dict) else {}


def tombstone_id(index: str, item_id: str) -> str:
    """The id of the tombstone of an item."""
    whole = f"{index}/{item_id}"
    if len(whole.encode()) <= ID_BYTES_MAX:
        return whole
    return f"{index}/sha256:{hashlib.sha256(item_id.encode()).hexdigest()}"


def read(
    es: Elasticsearch, valkey: redis.Redis, generation: Generation, ids: Sequence[str]
) -> dict[str, Stored]:
    """What is stored of each id."""
    documents = [{"_index": generation.concrete, "_id": item_id} for item_id in ids]
    graves = [
        {"_index": TOMBSTONES, "_id": tombstone_id(generation.index, item_id)} for item_id in ids
    ]
    answer = _mget(es, documents + graves, HASHES)
    confirmed = read_confirmed(valkey, generation.index, ids)
    found = zip(ids, answer[: len(ids)], answer[len(ids) :], confirmed, strict=True)
    return {item_id: _stored(document, grave, order) for item_id, document, grave, order in found}


def read_hashes(
    es: Elasticsearch, concrete: str, ids: Sequence[str]
) -> list[StoredDocument | None]:
    """Order and hashes of each document, None where there is none."""
    if not ids:
        return []
    wanted = [{"_index": concrete, "_id": item_id} for item_id in ids]
    return [_stored_document(answer) for answer in _mget(es, wanted, RESERVED)]


def _stored(document: dict[str, Any], grave: dict[str, Any], confirmed: Order) -> Stored:
    buried = grave.get("_source") or {}
    return Stored(
        document=_stored_document(document),
        buried=Order(buried["version"], buried["received_at"]) if buried else NEVER,
        was_live=bool(buried.get("was_live")),
        confirmed=confirmed,
    )


def _stored_document(answer: dict[str, Any]) -> StoredDocument | None:
    if not answer.get("found"):
        return None
    stamp = answer["_source"].get(RESERVED) or {}
    if not stamp:
        return StoredDocument(NEVER, "", "")
    order = Order(stamp["version"], stamp["received_at"])
    return StoredDocument(order, stamp["text_hash"], stamp["fields_hash"])


def read_documents(
    es: Elasticsearch, generation: Generation, ids: Sequence[str]
) -> dict[str, Document]:
    """Whole documents with their vectors, of those that exist."""
    if not ids:
        return {}
    wanted = [{"_index": generation.concrete, "_id": item_id} for item_id in ids]
    answers = [answer for answer in _mget(es, wanted, None) if answer.get("found")]
    return {answer["_id"]: _document(answer, generation) for answer in answers}


def _document(answer: dict[str, Any], generation: Generation) -> Document:
    source = dict(answer["_source"])
    found = take(source, generation.config.vector_field)
    vector = None
    if isinstance(found, list) and len(found) == generation.recipe.dims:
        vector = np.asarray(found, dtype=np.float32)
    place = Place(answer["_seq_no"], answer["_primary_term"])
    return Document(answer["_id"], source, vector, int(answer["_version"]), place)


def _mget(
    es: Elasticsearch, wanted: Sequence[Mapping[str, str]], includes: str | None
) -> list[dict[str, Any]]:
    """Answers in the order of what is wanted; whole sources come with their vectors.

    The client's `mget` has no word for vectors, which 9.x leaves out unless told otherwise.
    """
    what = f"_source_includes={includes}" if includes else "_source_exclude_vectors=false"
    answer = es.perform_request("POST", f"/_mget?{what}", headers=JSON, body={"docs": wanted})
    documents: list[dict[str, Any]] = answer.body["docs"]
    for document in documents:
        if "error" in document:
            raise UnknownIndex(f"index {document['_index']!r} cannot be read: {document['error']}")
    return documents


def scan_ids(
    es: Elasticsearch, concrete: str, query: Mapping[str, Any], size: int
) -> Iterator[list[str]]:
    """Ids of all documents that match, as they stood at the first call, in pages of `size`."""
    for page in snapshot.pages(
        es, concrete, size, kept=POINT_KEPT, query=query, source=False, sort=["_shard_doc"]
    ):
        yield [hit["_id"] for hit in page]


def confirmed_key(index: str) -> str:
    """Where later updates that said the same as the stored document are remembered."""
    return f"hw:{index}:confirmed"


def read_confirmed(valkey: redis.Redis, index: str, ids: Sequence[str]) -> list[Order]:
    """When each document was last said again; NEVER where it was not."""
    found: Any = valkey.hmget(confirmed_key(index), list(ids)) if ids else []
    return [_order(said) if said else NEVER for said in found]


def confirm(valkey: redis.Redis, index: str, orders: Mapping[str, Order]) -> None:
    """Remember updates that changed nothing, so that older ones which come late stay stale."""
    if orders:
        said = {
            item_id: f"{order.version}:{order.received_at}" for item_id, order in orders.items()
        }
        valkey.hset(confirmed_key(index), mapping=said)  # type: ignore[arg-type]


def checkpoints(es: Elasticsearch, concrete: str) -> dict[str, tuple[int, int]]:
    """By the index's own id and the shard: the shard's number, and the sequence number up to which
    every write there is done.
    """
    stats = es.indices.stats(index=concrete, metric="docs", level="shards")["indices"][concrete]
    primaries = {
        int(shard): copy
        for shard, copies in stats["shards"].items()
        for copy in copies
        if copy["routing"]["primary"]
    }
    return {
        f"{stats['uuid']}/{shard}": (shard, int(copy["seq_no"]["local_checkpoint"]))
        for shard, copy in primaries.items()
    }


def read_seen(valkey: redis.Redis, index: str) -> dict[str, int]:
    """How far each shard was looked at for documents that others changed in part."""
    found: Any = valkey.hgetall(_seen_key(index))
    return {shard.decode(): int(number) for shard, number in found.items()}


def keep_seen(valkey: redis.Redis, index: str, seen: Mapping[str, int]) -> None:
    """Remember how far shards were looked at."""
    if seen:
        valkey.hset(_seen_key(index), mapping=dict(seen))  # type: ignore[arg-type]


def _seen_key(index: str) -> str:
    return f"hw:{index}:seen"


def _order(said: bytes) -> Order:
    version, received_at = said.split(b":")
    return Order(int(version), int(received_at))
