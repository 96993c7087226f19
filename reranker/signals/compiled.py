"""Loops over arrays, compiled to machine code by numba.

For what would take many short array operations, each of which costs more than its arithmetic. A
compiled function writes its results into the last array it is given. The machine code is kept
beside the source, else in the user's cache or in NUMBA_CACHE_DIR. It is made anew for another
processor or when that source changes, but not when something does that it calls in another file:
whoever changes the functions at the end of this one removes it (`make clean`).
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., None])
Signature = Any  # a type of numba


def _array(of: Signature, dimensions: int) -> Signature:
    """Any array of that type: a field of packed records too, and one that is not to be written."""
    return types.Array(of, dimensions, "A", readonly=True, aligned=False)


FLOATS, FLOAT_ROWS, FLOAT_BLOCKS = (_array(types.float32, dimensions) for dimensions in (1, 2, 3))
DOUBLES, DOUBLE_ROWS = (_array(types.float64, dimensions) for dimensions in (1, 2))
FLAGS = _array(types.boolean, 1)
BYTES = _array(types.uint8, 1)
TOKENS, TOKEN_ROWS = (_array(types.uint32, dimensions) for dimensions in (1, 2))
HASHES, HASH_ROWS = (_array(types.uint64, dimensions) for dimensions in (1, 2))
PLACES, PLACE_ROWS = (_array(types.intp, dimensions) for dimensions in (1, 2))
# One after the other, so that many can be taken at once.
SOLID_FLOATS, SOLID_ROWS = (types.Array(types.float32, d, "C", readonly=True) for d in (1, 2))
SOLID_TOKENS, SOLID_PLACES = (
    types.Array(kind, 1, "C", readonly=True) for kind in (types.uint32, types.intp)
)
NUMBER, FLAG = types.float64, types.boolean
INTO, INTO_ONE = types.Array(types.float32, 2, "C"), types.Array(types.float32, 1, "C")
INTO_PLACES = types.Array(types.intp, 1, "C")


def compiled(*arguments: Signature) -> Callable[[Function], Function]:
    """Compile a function of these arguments now, or take it from the disk."""

    def code(function: Function) -> Function:
        for cache in (True, False):
            try:
                made = njit(types.void(*arguments), cache=cache, error_model="numpy")(function)
                return cast(Function, made)
            except RuntimeError as error:  # neither place can be written to
                if not cache or "cache" not in str(error):
                    raise
        raise AssertionError

    return code


callee = njit(error_model="numpy")  # for what compiled functions call; usually inlined


@callee
def logged(value: float) -> float:
    """log(1 + value), negatives as zero; NaN stays NaN."""
    return math.log(1.0 + max(value, 0.0))


@callee
def bit_count(word: np.uint64) -> np.uint64:
    """How many bits are set."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    pairs = word & np.uint64(0x3333333333333333)
    fours = pairs + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    eights = (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (eights * np.uint64(0x0101010101010101)) >> np.uint64(56)


@callee
def place_in(rising: NDArray[np.uint64], wanted: np.uint64) -> int:
    """Where the first of what is at least `wanted` stands."""
    low, high = 0, len(rising)
    while low < high:
        middle = (low + high) // 2
        if rising[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low
