"""What a search leaves behind so that feedback on it can teach the adaptive layer; pure.

It names no shopper. Kept for a while only: what is done with a list later than that changes
profiles and counts, not the layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from indexer.identity import hash64

VERSION = 1
PREFIX = "shown:"


@dataclass(frozen=True, eq=False)
class ShownList:
    """The hits of one answer in their order, as the model saw them.

    `model` is the version that scored; `scores` are its own, without the layer.
    """

    model: str
    segment: str
    time: float  # seconds since the epoch
    items: NDArray[np.uint64]  # [n] hashes of ids
    features: NDArray[np.float16]  # [n, width]
    scores: NDArray[np.float32]  # [n]

    def place(self, item_id: str) -> int | None:
        """Where an item stands, from 0; None where it was not shown."""
        found = np.flatnonzero(self.items == hash64(item_id))
        return int(found[0]) if len(found) else None


def key(query_id: str) -> str:
    """Key of the list of a search, as a suffix of `hw:{index}:`."""
    return f"{PREFIX}{hash64(query_id):016x}"


def encode(shown: ShownList) -> bytes:
    """The value of a list."""
    packed: bytes = msgpack.packb(
        [
            *(VERSION, shown.model, shown.segment, shown.time, shown.features.shape[1]),
            *(shown.items.astype("<u8").tobytes(), shown.features.astype("<f2").tobytes()),
            shown.scores.astype("<f4").tobytes(),
        ]
    )
    return packed


def decode(blob: bytes | None) -> ShownList | None:
    """The list of a value; None for an absent or foreign one."""
    row: Sequence[Any] = msgpack.unpackb(blob) if blob else ()
    if not row or row[0] != VERSION:
        return None
    _, model, segment, time, width, items, features, scores = row
    return ShownList(
        model=model,
        segment=segment,
        time=time,
        items=np.frombuffer(items, "<u8"),
        features=np.frombuffer(features, "<f2").reshape(-1, width),
        scores=np.frombuffer(scores, "<f4"),
    )
