"""The only place that writes documents: bulk, with every item's answer read.

A write with an older version is stale, not a fault. What is busy is tried again, and only that;
what Elasticsearch refuses for its content is rejected alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import orjson
from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from indexer.catalogue.generation import reason_of
from indexer.connections import BUSY, CLOSED, denial
from indexer.errors import AccessDenied, ElasticsearchUnavailable, WriteFailed

REQUEST_BYTES_MAX = 5_000_000
REQUEST_ITEMS_MAX = 1000
REFUSED = frozenset({400, 413})
DENIED = "security_exception"
WAIT_SECONDS_FIRST, WAIT_SECONDS_MAX = 0.1, 5.0
ANSWER_PATHS = "errors,items.*.status,items.*.error,items.*.result"


class Fate(StrEnum):
    """What Elasticsearch did with one operation."""

    WRITTEN = "written"
    STALE = "stale"
    REJECTED = "rejected"


class Place(NamedTuple):
    """Where Elasticsearch saw the last write of a document."""

    if_seq_no: int
    if_primary_term: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One document to index, or to delete where `source` is None.

    `order` is a version, which orders writes of the same document (later ones with the same version
    pass), or the Place at which the document was read, which must be where it still is.
    """

    index: str
    id: str
    order: int | Place
    source: bytes | None

    def lines(self) -> list[bytes]:
        """As bulk lines."""
        meta: dict[str, Any] = {"_index": self.index, "_id": self.id}
        if isinstance(self.order, Place):
            meta |= self.order._asdict()
        else:
            meta |= {"version": self.order, "version_type": "external_gte"}
        head = orjson.dumps({"delete" if self.source is None else "index": meta})
        return [head] if self.source is None else [head, self.source]


@dataclass(frozen=True, slots=True)
class Answer:
    """The fate of one operation; `reason` where it was rejected."""

    fate: Fate
    reason: str | None = None


WRITTEN, STALE = Answer(Fate.WRITTEN), Answer(Fate.STALE)


class _Busy(Exception):
    """Some operations were not taken yet."""


def write(
    es: Elasticsearch, operations: Sequence[Operation], *, retry_seconds_max: float
) -> list[Answer]:
    """One answer an operation, in their order.

    Raises ElasticsearchUnavailable when some are still not taken after `retry_seconds_max`, and
    WriteFailed for a refusal that has nothing to do with an item's content.
    """
    answers: dict[int, Answer] = {}
    retrying = Retrying(
        retry=retry_if_exception_type(_Busy),
        wait=wait_random_exponential(WAIT_SECONDS_FIRST, WAIT_SECONDS_MAX),
        stop=stop_after_delay(retry_seconds_max),
        reraise=True,
    )
    try:
        retrying(_write_rest, es, operations, answers)
    except _Busy as busy:
        raise ElasticsearchUnavailable(
            f"Elasticsearch did not take {len(operations) - len(answers)} of {len(operations)} "
            f"writes within {retry_seconds_max:g} s: {busy}"
        ) from None
    return [answers[position] for position in range(len(operations))]


def _write_rest(
    es: Elasticsearch, operations: Sequence[Operation], answers: dict[int, Answer]
) -> None:
    busy: list[str] = []
    rest = [position for position in range(len(operations)) if position not in answers]
    for positions in requests(rest, lambda at: _size(operations[at])):
        try:
            items = _send(es, [operations[position] for position in positions])
        except _Busy as error:
            busy.append(str(error))
            continue
        for position, item in zip(positions, items, strict=True):
            answer = _answer(item)
            if isinstance(answer, str):
                busy.append(answer)
            else:
                answers[position] = answer
    if busy:
        raise _Busy(busy[0])


def _send(es: Elasticsearch, operations: Sequence[Operation]) -> list[dict[str, Any]]:
    body: Any = [line for operation in operations for line in operation.lines()]
    try:
        items = es.bulk(operations=body, filter_path=ANSWER_PATHS)["items"]
    except TransportError as error:
        raise _Busy(str(error)) from error
    except ApiError as error:
        if error.status_code in BUSY:
            raise _Busy(f"{error.status_code} {reason_of(error)}") from error
        if (denied := denial(error)) is not None:
            raise denied from error
        raise WriteFailed(f"Elasticsearch refuses to write: {reason_of(error)}") from error
    return [next(iter(item.values())) for item in items]


def _answer(item: dict[str, Any]) -> Answer | str:
    """The answer, or why the item is to be sent again."""
    status: int = item["status"]
    if status < 300 or item.get("result") == "not_found":
        return WRITTEN
    if status == 409:
        return STALE
    error = item.get("error") or {}
    reason = _innermost(error)
    if status in BUSY:
        return f"{status} {reason}"
    if error.get("type") in CLOSED:
        raise ElasticsearchUnavailable(f"the index takes no writes for now: {reason}")
    if status in REFUSED:
        return Answer(Fate.REJECTED, reason)
    if error.get("type") == DENIED:
        raise AccessDenied(f"Elasticsearch does not allow it: {reason}")
    raise WriteFailed(f"Elasticsearch refuses to write ({status}): {reason}")


def _innermost(error: dict[str, Any]) -> str:
    reason = str(error.get("reason", "no reason given"))
    while isinstance(error.get("caused_by"), dict):
        error = error["caused_by"]
    inner = str(error.get("reason", ""))
    return reason if inner in reason else f"{reason}: {inner}"


def requests(positions: Sequence[int], size: Callable[[int], int]) -> Iterator[list[int]]:
    """Positions cut into requests by count and bytes; one that is larger alone goes alone."""
    request: list[int] = []
    total_bytes = 0
    for position in positions:
        item_bytes = size(position)
        too_large = total_bytes + item_bytes > REQUEST_BYTES_MAX
        if request and (too_large or len(request) >= REQUEST_ITEMS_MAX):
            yield request
            request, total_bytes = [], 0
        request.append(position)
        total_bytes += item_bytes
    if request:
        yield request


def _size(operation: Operation) -> int:
    return 200 + len(operation.id) + len(operation.source or b"")
