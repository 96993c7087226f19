"""Item cards: what ranking needs of a product, one fixed-size record, readable in bulk.

Pure. A request decodes all its cards with one `np.frombuffer`, so the record has no variable part.
"""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

CATEGORIES_MAX = 4
# Of a longer title both ends are kept: a name's kind stands at one of them in most languages.
TITLE_WORDS_MAX = 24
VERSION = 2
# A word of letters and digits, or one character of a script that does not part its words.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|(?:(?![{_CJK}])\w)+")
_CHARACTER = re.compile(rf"[{_CJK}]")
_PLURAL_CHARACTERS_MIN = 4


@lru_cache(maxsize=16)
def card_dtype(dims: int) -> np.dtype[Any]:
    """The record for vectors of `dims`; `vector * scale` is the float vector (symmetric int8)."""
    return np.dtype(
        [
            ("version", "<u2"),
            ("title_chars", "<u2"),
            ("price", "<f4"),  # NaN: unknown
            ("popularity", "<f4"),  # as the catalogue says; NaN: unknown
            ("updated_at", "<f8"),  # seconds since the epoch
            ("available", "u1"),
            ("brand", "<u4"),  # crc32 of the case-folded name; 0: none
            ("categories", "<u4", (CATEGORIES_MAX,)),
            ("domain", "<u4"),
            ("title_words", "<u4", (TITLE_WORDS_MAX,)),  # in order; 0: no more
            ("scale", "<f4"),
            ("vector", "i1", (dims,)),
        ]
    )


def token(name: str | None) -> int:
    """crc32 of a case-folded name, 0 for none; equal names have equal tokens."""
    return zlib.crc32(name.casefold().encode()) if name else 0


def words(text: str) -> list[int]:
    """Tokens of the words of a title or query in order, English plurals as their singular."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return [zlib.crc32(_singular(word).encode()) or 1 for word in _WORD.findall(folded)]


def is_unspaced(text: str) -> bool:
    """Whether most words of a text are single characters of a script that does not part words."""
    found = _WORD.findall(unicodedata.normalize("NFKC", text))
    return 2 * sum(_CHARACTER.match(word) is not None for word in found) > len(found)


def _singular(word: str) -> str:
    if len(word) < _PLURAL_CHARACTERS_MIN or not word.endswith("s") or word.endswith("ss"):
        return word
    if word.endswith("ies") and len(word) > _PLURAL_CHARACTERS_MIN:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "zzes", "ches", "shes")):
        return word[:-2]
    return word[:-1]


def _both_ends(tokens: Sequence[int]) -> list[int]:
    if len(tokens) <= TITLE_WORDS_MAX:
        return [*tokens, *[0] * (TITLE_WORDS_MAX - len(tokens))]
    half = TITLE_WORDS_MAX // 2
    return [*tokens[:half], *tokens[-half:]]


def pack(
    *,
    title: str,
    vector: NDArray[np.float32],
    price: float | None = None,
    popularity: float | None = None,
    updated_at_seconds: float = 0.0,
    available: bool = True,
    brand: str | None = None,
    categories: Sequence[str] = (),
    domain: str | None = None,
) -> bytes:
    """One record; `vector` is float32 [dims], any length above zero."""
    record = np.zeros((), card_dtype(vector.shape[0]))
    record["version"] = VERSION
    record["title_chars"] = min(len(title), 65535)
    record["price"] = np.nan if price is None else price
    record["popularity"] = np.nan if popularity is None else popularity
    record["updated_at"] = updated_at_seconds
    record["available"] = available
    record["brand"] = token(brand)
    tokens = [token(name) for name in categories[:CATEGORIES_MAX]]
    record["categories"] = tokens + [0] * (CATEGORIES_MAX - len(tokens))
    record["domain"] = token(domain)
    record["title_words"] = _both_ends(words(title))
    scale = float(np.abs(vector).max()) / 127.0 or 1.0
    record["scale"] = scale
    record["vector"] = np.rint(vector / scale).astype(np.int8)
    return record.tobytes()


def unpack_many(blobs: Sequence[bytes | None], dims: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Records [n] and which of them are present; absent or foreign ones read as an empty record."""
    dtype, filler = card_dtype(dims), _empty(dims)
    fits = [b is not None and len(b) == dtype.itemsize for b in blobs]
    known = [b if ok and b else filler for b, ok in zip(blobs, fits, strict=True)]
    records, present = np.frombuffer(b"".join(known), dtype), np.array(fits, dtype=bool)
    return records, present & (records["version"] == VERSION)


@lru_cache(maxsize=16)
def _empty(dims: int) -> bytes:
    """The record of an item without a card."""
    empty = np.zeros((), card_dtype(dims))
    empty["price"] = empty["popularity"] = np.nan
    empty["available"] = 1
    return empty.tobytes()


def vectors(records: NDArray[Any]) -> NDArray[np.float32]:
    """The float vectors [n, dims] of `records`."""
    scaled: NDArray[np.float32] = records["vector"].astype(np.float32)
    scaled *= records["scale"][:, None]
    return scaled
