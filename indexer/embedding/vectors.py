"""The one check of what an encoder returns; pure. A vector that fails it is never written or asked.

Fails closed: a wrong shape, a value that is not finite or a vector without length raises
InvalidVector, whichever encoder made it.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from indexer.errors import InvalidVector

LENGTH_TOLERANCE = 1e-3


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows [n, dims] at length 1; a row without length stays as it is."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    lengths[lengths == 0] = 1.0
    scaled: NDArray[np.float32] = np.asarray(rows / lengths, dtype=np.float32)
    return scaled


def check_vectors(vectors: ArrayLike, *, count: int, dims: int) -> NDArray[np.float32]:
    """`vectors` as float32 [count, dims] of finite unit rows; raises InvalidVector."""
    rows = np.asarray(vectors, dtype=np.float32)
    if rows.shape != (count, dims):
        raise InvalidVector(
            f"an encoder gave vectors of shape {list(rows.shape)} where [{count}, {dims}] is due: "
            "the index and the encoder must have the same dims; re-create the index or fix its "
            "encoder"
        )
    if not np.isfinite(rows).all():
        bad = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise InvalidVector(
            f"vector {bad} of {count} holds NaN or infinity: the model's weights or its number "
            "format (fp16 on this device?) are broken; try HITWEAVE_DEVICE=cpu"
        )
    lengths = np.linalg.norm(rows, axis=1)
    wrong = np.flatnonzero(np.abs(lengths - 1.0) > LENGTH_TOLERANCE)
    if wrong.size:
        raise InvalidVector(
            f"vector {int(wrong[0])} of {count} has length {lengths[wrong[0]]:.4g} where 1 is due: "
            "the model gives vectors that cannot be normalised"
        )
    return rows
