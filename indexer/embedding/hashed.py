"""`hashed:<dims>`: texts that share character n-grams are near each other; no model, no download.

Pure and deterministic over processes and machines. It knows spelling, not meaning: right for tests
and as a floor to compare with, wrong for synonyms and for crossing languages.
"""

import re
import unicodedata
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.embedding.recipe import Recipe
from indexer.embedding.specification import Specification
from indexer.embedding.vectors import unit_rows
from indexer.errors import InvalidConfig

DIMS_MIN, DIMS_MAX = 8, 4096  # Elasticsearch takes no longer dense_vector
TOKENS_MAX = 128
GRAM_LENGTHS = (1, 2, 3, 4)
# Longer n-grams say more: a shared letter is chance, four shared letters are hardly ever.
GRAM_WEIGHTS = (0.25, 1.0, 1.0, 1.0)
_WORD = re.compile(r"\w+")


class HashedEncoder:
    """Signed feature hashing of the n-grams of each word."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.dims = recipe.dims

    def encode(self, texts: Sequence[str], *, role: str) -> NDArray[np.float32]:
        """Vectors [texts, dims] float32 of length 1; `role` changes nothing here."""
        rows = np.zeros((len(texts), self.dims), dtype=np.float32)
        for row, text in zip(rows, self.recipe.prepare(texts, role), strict=True):
            _add_grams(row, text)
        return unit_rows(rows)


def open_hashed(specification: Specification) -> HashedEncoder:
    """The encoder of `hashed:<dims>`; raises InvalidConfig for a number that cannot be indexed."""
    name = specification.name
    if not name.isdecimal() or not DIMS_MIN <= int(name) <= DIMS_MAX:
        raise InvalidConfig(
            f"encoder 'hashed:{name}': write a number of dims from {DIMS_MIN} to {DIMS_MAX}"
        )
    return HashedEncoder(
        Recipe(
            encoder=specification.encoder,
            revision="1",
            pooling="mean",
            dims=int(name),
            max_tokens=TOKENS_MAX,
        )
    )


def _add_grams(row: NDArray[np.float32], text: str) -> None:
    folded = unicodedata.normalize("NFKC", text).casefold()
    for word in _WORD.findall(folded):
        padded = f" {word} "
        for length, weight in zip(GRAM_LENGTHS, GRAM_WEIGHTS, strict=True):
            for start in range(len(padded) - length + 1):
                _add(row, padded[start : start + length], weight)
    if not row.any():  # no word at all, or every n-gram cancelled by a collision
        _add(row, folded or " ", 1.0)


def _add(row: NDArray[np.float32], gram: str, weight: float) -> None:
    code = zlib.crc32(gram.encode())
    row[(code >> 1) % row.shape[0]] += weight if code & 1 else -weight
