"""Hits that were shown a moment ago, kept in the process to be shown again as they were.

A hit is found again only under the very version of the document that a search has just seen: its
index, id and sequence number, and the moment that it arrived, by which an index made anew under an
old name is another one. Kept is only what depends on nothing but that version; what else there is
of a hit is always asked for. Nothing stays longer than KEPT_SECONDS, as the rights of the sidecar
itself may change.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from reranker.retrieval.query import ARRIVAL_COLUMN, PAGE_KEYS, needs_query
from reranker.retrieval.request import RankedRequest, rights

KEPT_SECONDS = 600.0
# What of a page's hits depends on the document alone; fields also depend on the mapping.
_OF_THE_DOCUMENT = ("_source", "version", "seq_no_primary_term")
_BYTES_BESIDE = 500  # of an entry's key and places, about


class Version(NamedTuple):
    """One version of one document."""

    concrete: str
    name: str
    seq_no: int
    primary_term: int
    arrived: int


def version_of(hit: Mapping[str, Any]) -> Version | None:
    """Which version a candidate's hit is of; None where it does not say."""
    arrived = hit.get("fields", {}).get(ARRIVAL_COLUMN)
    if not arrived or "_seq_no" not in hit:
        return None
    return Version(hit["_index"], hit["_id"], hit["_seq_no"], hit["_primary_term"], int(arrived[0]))


def versions_of(
    ids: Sequence[str], legs: Iterable[Sequence[Mapping[str, Any]]]
) -> dict[str, Version]:
    """The versions of `ids` by id; without those that nothing tells or that legs disagree on."""
    found: dict[str, Version | None] = {}
    for leg in legs:
        hits = {hit["_id"]: hit for hit in leg}
        for name in ids:
            if name in hits:
                seen = version_of(hits[name])
                found[name] = seen if found.get(name, seen) == seen else None
    return {name: seen for name, seen in found.items() if seen is not None}


def form(request: RankedRequest, headers: Mapping[str, str]) -> bytes | None:
    """In which form hits are shown; None where they may differ while the document does not, and
    for clients that come with rights of their own.
    """
    if rights(headers):
        return None
    if needs_query(request) or request.ties or "runtime_mappings" in request.body:
        return None
    asked = {name: request.body[name] for name in PAGE_KEYS if name in request.body}
    if not asked.keys() <= set(_OF_THE_DOCUMENT):
        return None
    asked["collapse"] = request.collapse_field
    return orjson.dumps(asked, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


class Documents:
    """Hits by version and form, as many as `bytes_max` has room for, the least used go first."""

    def __init__(self, bytes_max: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bytes_max = bytes_max
        self._clock = clock
        self._lock = threading.Lock()
        self._bytes = 0
        self._kept: OrderedDict[tuple[Version, bytes], tuple[float, bytes]] = OrderedDict()

    @property
    def keeps(self) -> bool:
        """Whether anything is kept at all."""
        return self._bytes_max > 0

    def find(self, versions: Iterable[Version], shown: bytes) -> dict[str, dict[str, Any]]:
        """The hits that are kept of these versions, by id."""
        now = self._clock()
        found = {}
        with self._lock:
            for version in versions:
                key = (version, shown)
                until, text = self._kept.get(key, (now, b""))
                if until > now:
                    self._kept.move_to_end(key)
                    found[version.name] = text
        return {name: orjson.loads(text) for name, text in found.items()}

    def keep(self, version: Version, shown: bytes, hit: Mapping[str, Any]) -> None:
        """Keep a hit, which was read as that version."""
        text = orjson.dumps(hit)
        key, until = (version, shown), self._clock() + KEPT_SECONDS
        with self._lock:
            if (old := self._kept.pop(key, None)) is not None:
                self._bytes -= _size(old[1])
            self._kept[key] = (until, text)
            self._bytes += _size(text)
            while self._bytes > self._bytes_max:
                _, (_, gone) = self._kept.popitem(last=False)
                self._bytes -= _size(gone)


def _size(text: bytes) -> int:
    return len(text) + _BYTES_BESIDE
