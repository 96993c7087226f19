"""A request's body: plain or gzip, and no longer than it may be."""

import zlib

from flask import current_app, request

from indexer.errors import AskedWrongly
from reranker import settings

# zlib's way to say: gzip, with its header.
GZIP_WINDOW = 16 + zlib.MAX_WBITS


class TooLarge(AskedWrongly):
    """A body above the limit, also when it only is so unpacked."""


def body() -> bytes:
    """The request's body, unpacked; raises AskedWrongly where it is not what it says."""
    data = request.get_data(cache=True)
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    limit = _bytes_max()
    if encoding == "gzip":
        data = _unpacked(data, limit)
    elif encoding not in ("", "identity"):
        raise AskedWrongly(f"Content-Encoding {encoding!r} is not read: send gzip or none")
    if len(data) > limit:
        raise TooLarge(f"the body is longer than {limit} bytes: send it in parts")
    return data


def _unpacked(data: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(GZIP_WINDOW)
    try:
        plain = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise AskedWrongly(f"the body is not gzip: {error}") from None
    if len(plain) > limit:
        raise TooLarge(f"the body is longer than {limit} bytes unpacked: send it in parts")
    if not unpacker.eof:
        raise AskedWrongly("the gzip body ends in its middle")
    return plain


def _bytes_max() -> int:
    known = current_app.config.get("HITWEAVE_SETTINGS") or settings.load()
    return int(known.body_bytes_max)
