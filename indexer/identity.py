"""Short stand-ins for ids inside packed records and for names; pure and equal in every process."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=400_000)
def hash64(text: str) -> int:
    """An unsigned 64-bit digest of an id; a clash within one shop is not to be expected."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def hashes(ids: Iterable[str]) -> NDArray[np.uint64]:
    """`hash64` of each id [n] uint64."""
    return np.fromiter(map(hash64, ids), dtype=np.uint64)


def action_key(name: str) -> str:
    """The same action however its name is written: `Add-To-Cart` is `add_to_cart`."""
    return name.casefold().replace("-", "_")
