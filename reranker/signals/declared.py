"""A request's context by the keys that the index declares, as numbers a model can learn from. Pure.

A word becomes a code of +1 and -1, the same wherever it is seen, so that a shop may name keys and
values that nobody foresaw without new columns: two words' codes are alike by chance alone (feature
hashing: Weinberger et al. 2009, doi 10.1145/1553374.1553516). A number is its key's code times its
place between the ends of its range, from -1 to 1. Codes add up; what is not said adds nothing.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.event import query_key
from indexer.catalogue.context_keys import ALWAYS, ContextKeys, Number

WIDTH = 16
WORD_CHARS_MAX = 200
NUMBER_MAX = 1e30
NAMES = tuple(f"context_{place}" for place in range(1, WIDTH + 1))  # as they are declared
Array = NDArray[np.float32]


def codes(context: Mapping[str, Any], keys: ContextKeys) -> Array:
    """The sum of the codes of what the context says of declared keys [WIDTH]."""
    found = np.zeros(WIDTH, dtype=np.float32)
    for key, declared in keys.items():
        value = _scalar(context.get(key))
        if value is None:
            continue
        if isinstance(declared, Number):
            found += _place(value, declared) * _code(key)
        else:
            found += _code(f"{key}={query_key(str(value))}")
    return found


def worth_keeping(context: Mapping[str, Any], keys: ContextKeys) -> dict[str, Any]:
    """What a model may learn from of a request's context: the keys it goes by, plain values."""
    said = {key: _scalar(context.get(key)) for key in (*ALWAYS, *keys)}
    return {key: value for key, value in said.items() if value is not None}


def _scalar(value: object) -> str | float | None:
    """A word or number as it counts; None for anything else."""
    if isinstance(value, bool):
        return str(value).casefold()
    if isinstance(value, int | float):
        return value if abs(value) < NUMBER_MAX else None  # so NaN is none either
    return (value[:WORD_CHARS_MAX] or None) if isinstance(value, str) else None


def _place(value: str | float, declared: Number) -> float:
    """Where a number lies in its range, from -1 to 1; 0, its middle, for what is none."""
    try:
        share = (float(value) - declared.low) / (declared.high - declared.low)
    except ValueError:
        return 0.0
    return float(np.clip(2.0 * share - 1.0, -1.0, 1.0)) if np.isfinite(share) else 0.0


@lru_cache(maxsize=10_000)
def _code(text: str) -> Array:
    digest = hashlib.sha256(text.encode()).digest()
    bits = np.unpackbits(np.frombuffer(digest, np.uint8)[: WIDTH // 8])
    return bits.astype(np.float32) * 2.0 - 1.0
