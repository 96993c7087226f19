"""Shorter codes of vectors, and what each gives back: what a card could hold in place of int8.

Each code is fitted to the catalogue itself, as a shop would do it, and never sees a query.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

Vectors = NDArray[np.float32]
CENTRES = 256
SCALE_BYTES = 4


@dataclass(frozen=True)
class Code:
    """`decoded` [n, dims] is what the code gives back of every vector, of length 1."""

    name: str
    bytes_an_item: int
    decoded: Vectors


def all_of(vectors: Vectors, seed: int) -> Iterator[Code]:
    """float32, int8 (what cards hold), int4, int8 of the first dimensions, product quantisation."""
    dims = vectors.shape[1]
    yield Code("int8 (served)", dims + SCALE_BYTES, rounded(vectors, bits=8))
    yield Code("float32", 4 * dims, vectors)
    yield Code("int4", dims // 2 + SCALE_BYTES, rounded(vectors, bits=4))
    for kept in (dims // 2, dims // 4):
        yield Code(f"int8, first {kept} dimensions", kept + SCALE_BYTES, cut(vectors, kept))
    for parts in (dims // 4, dims // 8):
        yield Code(f"product quantised, {parts} parts", parts, quantised(vectors, parts, seed))


def rounded(vectors: Vectors, bits: int) -> Vectors:
    """Symmetric integers of `bits` with one scale a vector."""
    most = 2 ** (bits - 1) - 1
    scale = np.abs(vectors).max(axis=1, keepdims=True) / most
    return unit(np.rint(vectors / scale) * scale)


def cut(vectors: Vectors, kept: int) -> Vectors:
    """The first `kept` dimensions as int8 (Kusupati et al. 2022, Matryoshka representations)."""
    found = np.zeros_like(vectors)
    found[:, :kept] = rounded(vectors[:, :kept], bits=8)
    return unit(found)


def quantised(vectors: Vectors, parts: int, seed: int) -> Vectors:
    """Product quantisation, 256 centres a part (Jegou, Douze, Schmid 2011)."""
    width = vectors.shape[1] // parts
    found = np.empty_like(vectors)
    for part in range(parts):
        columns = slice(part * width, (part + 1) * width)
        means = MiniBatchKMeans(CENTRES, random_state=seed, n_init=1, batch_size=4096, max_iter=20)
        nearest = means.fit_predict(vectors[:, columns])
        found[:, columns] = means.cluster_centers_[nearest]
    return unit(found)


def unit(vectors: Vectors) -> Vectors:
    """The same directions, of length 1."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Vectors = (vectors / np.maximum(length, 1e-9)).astype(np.float32)
    return found
