"""Arrays in one file that the plugin maps into the node's memory; pure.

    8 bytes    HITWEAVE
    4 bytes    format, little-endian like every number here
    32 bytes   SHA-256 of all that follows
    4 bytes    length of the header
    header     JSON: `facts`, and `arrays` by name with dtype, shape and offset
    arrays     each at its offset, counted from the first multiple of 64 after the header

Fails closed: what is cut short or altered raises InvalidArtifact.
"""

import hashlib
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from indexer.errors import InvalidArtifact

MAGIC, FORMAT = b"HITWEAVE", 1
ALIGNMENT = 64
_LENGTH, _START = struct.Struct("<I"), len(MAGIC) + 4 + 32
DTYPES = ("<f4", "<i8", "<u4", "|i1")

Arrays = Mapping[str, NDArray[Any]]


def packed(facts: Mapping[str, Any], arrays: Arrays) -> bytes:
    """The file's bytes; every array has one of DTYPES."""
    told, parts, offset = {}, [], 0
    for name, array in arrays.items():
        if array.dtype.str not in DTYPES:
            raise ValueError(f"{name} is {array.dtype.str}, not of {', '.join(DTYPES)}")
        content = np.ascontiguousarray(array).tobytes()
        told[name] = {"dtype": array.dtype.str, "shape": array.shape, "offset": offset}
        content += bytes(_gap(len(content)))
        offset += len(content)
        parts.append(content)
    header = orjson.dumps({"facts": facts, "arrays": told})
    padding = bytes(_gap(_START + _LENGTH.size + len(header)))
    body = b"".join([_LENGTH.pack(len(header)), header, padding, *parts])
    return MAGIC + _LENGTH.pack(FORMAT) + hashlib.sha256(body).digest() + body


def read(content: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Facts and arrays of such a file; raises InvalidArtifact."""
    body = content[_START:]
    if content[: len(MAGIC)] != MAGIC or content[len(MAGIC) : len(MAGIC) + 4] != _LENGTH.pack(
        FORMAT
    ):
        raise InvalidArtifact(f"this is no file of format {FORMAT} for the plugin: export it again")
    if hashlib.sha256(body).digest() != content[_START - 32 : _START]:
        raise InvalidArtifact("the file was altered since it was written: export it again")
    (length,) = _LENGTH.unpack_from(body)
    header = orjson.loads(body[_LENGTH.size : _LENGTH.size + length])
    first = _LENGTH.size + length
    first += _gap(_START + first)
    return header["facts"], {
        name: np.ndarray(it["shape"], it["dtype"], body, first + it["offset"])
        for name, it in header["arrays"].items()
    }


def _gap(length: int) -> int:
    """Bytes up to the next multiple of ALIGNMENT."""
    return -length % ALIGNMENT
