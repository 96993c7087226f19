"""Item cards in Valkey: written after their document, and never over a newer one."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import redis
from numpy.typing import NDArray

from indexer.catalogue import card
from indexer.catalogue.product import Product
from indexer.identity import hash64

MOMENT_BYTES = 8
PAGE = 1000
_MOMENT_AT = card.card_dtype(1).fields["updated_at"][1]  # type: ignore[index]
_MOMENT_END = _MOMENT_AT + MOMENT_BYTES - 1

# A card says when its document was updated, so a slow writer cannot put an old one back.
_PUT = f"""
local moment = redis.call('GETRANGE', KEYS[1], {_MOMENT_AT}, {_MOMENT_END})
if #moment == 8 and struct.unpack('<d', moment) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""
_DROP = f"""
local moment = redis.call('GETRANGE', KEYS[1], {_MOMENT_AT}, {_MOMENT_END})
if #moment == 8 and struct.unpack('<d', moment) > tonumber(ARGV[1]) then return 0 end
return redis.call('DEL', KEYS[1])
"""


def key(index: str, item_id: str, *, staged: bool = False) -> str:
    """Where the card of an item lies; staged cards are those of a generation not served yet."""
    return f"hw:{index}:{'next-card' if staged else 'card'}:{item_id}"


def name_key(index: str, item: int) -> str:
    """Where the id behind an item's hash lies: behaviour names items by hash alone."""
    return f"hw:{index}:name:{item:016x}"


def revision_key(index: str) -> str:
    """Counts up after cards changed, so that readers know when what they kept is old."""
    return f"hw:{index}:cards-revision"


def card_of(product: Product, vector: NDArray[np.float32], version: int) -> bytes:
    """The card of a product; `version` is its document's, in ms."""
    return card.pack(
        title=product.title,
        vector=vector,
        price=product.price,
        popularity=product.popularity,
        updated_at_seconds=version / 1000,
        available=product.available is not False,
        brand=product.brand,
        categories=product.categories,
        domain=product.domain,
    )


def put(
    valkey: redis.Redis,
    index: str,
    cards: Mapping[str, tuple[int, bytes]],
    *,
    staged: bool = False,
) -> None:
    """Write cards given as id → (version, record), each unless a newer one is there."""
    if not cards:
        return
    script = valkey.register_script(_PUT)
    with valkey.pipeline(transaction=False) as pipe:
        for item_id, (version, record) in cards.items():
            place = key(index, item_id, staged=staged)
            script([place], [version / 1000, record], client=pipe)
        pipe.mset({name_key(index, hash64(item_id)): item_id for item_id in cards})
        if not staged:
            pipe.incr(revision_key(index))
        pipe.execute()


def drop(valkey: redis.Redis, index: str, gone: Mapping[str, int], *, staged: bool = False) -> None:
    """Remove the cards of deleted items given as id → version, each unless a newer one is there."""
    if not gone:
        return
    script = valkey.register_script(_DROP)
    with valkey.pipeline(transaction=False) as pipe:
        for item_id, version in gone.items():
            script([key(index, item_id, staged=staged)], [version / 1000], client=pipe)
        if not staged:
            pipe.incr(revision_key(index))
        pipe.execute()


def adopt(valkey: redis.Redis, index: str) -> int:
    """Put the staged cards in the place of the served ones; how many there were."""
    prefix, served = key(index, "", staged=True).encode(), key(index, "").encode()
    count = 0
    for names in _pages(valkey, prefix):
        with valkey.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.rename(name, served + name.removeprefix(prefix))
            pipe.incr(revision_key(index))
            pipe.execute()
        count += len(names)
    return count


def discard(valkey: redis.Redis, index: str, *, staged: bool) -> None:
    """Remove all staged cards, or all served ones with the names behind their hashes."""
    prefixes = [key(index, "", staged=staged)] + ([] if staged else [f"hw:{index}:name:"])
    for prefix in prefixes:
        for names in _pages(valkey, prefix.encode()):
            valkey.unlink(*names)


def records(valkey: redis.Redis, index: str, ids: Sequence[str]) -> list[bytes | None]:
    """The cards as they lie there; None where there is none."""
    found: Any = valkey.mget([key(index, one) for one in ids]) if ids else []
    return list(found)


def versions(valkey: redis.Redis, index: str, ids: Sequence[str]) -> list[int | None]:
    """Of which document version each card is, in ms; None where there is no card."""
    return [_version(record) for record in records(valkey, index, ids)]


def _version(record: bytes | None) -> int | None:
    if record is None or len(record) <= _MOMENT_END:
        return None
    seconds: float = struct.unpack_from("<d", record, _MOMENT_AT)[0]
    return round(seconds * 1000)


def _pages(valkey: redis.Redis, prefix: bytes) -> Iterator[list[bytes]]:
    """Keys under a prefix; names of indices hold nothing that a pattern could mean."""
    names = valkey.scan_iter(match=prefix + b"*", count=PAGE)
    while page := list(islice(names, PAGE)):
        yield page
