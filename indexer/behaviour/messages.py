"""Messages of Kafka as lines of behaviour, and what becomes of those that are not taken. Pure.

A value is what a body of `POST /events` is: an event or query, an array of them, or NDJSON. One
without a time happened when its message was written, which also tells it from an equal one: both
are as they were when the message is read again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from indexer.behaviour import lines
from indexer.behaviour.intake import Rejected
from indexer.behaviour.reception import Line
from indexer.errors import AskedWrongly, InvalidEvent


class Message(Protocol):
    """What is used of confluent_kafka's."""

    def value(self) -> bytes | None:
        """What it says; None in a topic that is compacted: what had this key is gone."""

    def key(self) -> bytes | None:
        """What decided on its partition."""

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        """What its sender wrote beside the value."""

    def topic(self) -> str:
        """Where it stands."""

    def partition(self) -> int:
        """In which part of the topic."""

    def offset(self) -> int:
        """At which place of the partition."""

    def timestamp(self) -> tuple[int, int]:
        """Kind (0: there is none), and milliseconds since the epoch."""

    def error(self) -> Any:
        """What Kafka says in place of a message, or None."""


@dataclass(frozen=True)
class Letter:
    """A message that is not taken, and why; not `whole` where its value is left out."""

    message: Message
    reason: str
    whole: bool = True

    @property
    def value(self) -> bytes | None:
        """As it was sent."""
        return self.message.value() if self.whole else None

    @property
    def headers(self) -> list[tuple[str, bytes | None]]:
        """The sender's own, then where it stood and why it was not taken."""
        told = {
            "reason": self.reason,
            "topic": self.message.topic(),
            "partition": str(self.message.partition()),
            "offset": str(self.message.offset()),
            "timestamp": str(self.message.timestamp()[1]),
            **({} if self.whole else {"left_out": "value"}),
        }
        ours: list[tuple[str, bytes | None]] = [(name, it.encode()) for name, it in told.items()]
        return [*(self.message.headers() or []), *ours]


@dataclass
class Opened:
    """Some messages as lines, numbered over all of them from 1."""

    messages: Sequence[Message]
    lines: list[Line] = field(default_factory=list)
    sources: list[tuple[int, int]] = field(default_factory=list)  # message and its line, by number
    unreadable: dict[int, str] = field(default_factory=dict)  # reasons by message

    def letters(self, rejected: Sequence[Rejected]) -> list[Letter]:
        """The messages of which anything was not taken, in their order."""
        lengths = Counter(number for number, _ in self.sources)
        reasons = defaultdict(list, {number: [why] for number, why in self.unreadable.items()})
        for it in rejected:
            message, line = self.sources[it.line - 1]
            alone = lengths[message] == 1
            reasons[message].append(it.reason if alone else f"line {line}: {it.reason}")
        return [Letter(self.messages[number], _all(reasons[number])) for number in sorted(reasons)]


def opened(messages: Sequence[Message], bytes_max: int) -> Opened:
    """The lines of messages; a value longer than `bytes_max` is not read."""
    found = Opened(messages)
    for number, message in enumerate(messages):
        try:
            read = _lines(message, bytes_max)
        except AskedWrongly as error:
            found.unreadable[number] = error.message
            continue
        for line, raw in read:
            found.sources.append((number, line))
            found.lines.append((len(found.sources), raw))
    return found


def portions(messages: Sequence[Message], count: int, size: int) -> Iterator[list[Message]]:
    """In their order, at most so many and, but for a single one, at most so many bytes at once."""
    portion: list[Message] = []
    total = 0
    for message in messages:
        length = len(message.value() or b"")
        if portion and (len(portion) >= count or total + length > size):
            yield portion
            portion, total = [], 0
        portion.append(message)
        total += length
    if portion:
        yield portion


def _lines(message: Message, bytes_max: int) -> list[Line]:
    value = message.value()
    if value is None:
        raise InvalidEvent("the message has no value")
    if len(value) > bytes_max:
        raise InvalidEvent(
            f"the value has {len(value)} bytes, HITWEAVE_LINE_BYTES_MAX is {bytes_max}"
        )
    kind, moment = message.timestamp()
    written_ms = moment if kind and moment > 0 else None
    found = [(number, _timed(line, written_ms)) for number, line in lines.numbered(value)]
    if not found:
        raise InvalidEvent("the value holds no event")
    return found


def _timed(line: bytes | Any, written_ms: int | None) -> bytes | Any:
    """Decoded, with the message's time where it has none; as it is where it is no JSON."""
    try:
        raw = orjson.loads(line) if isinstance(line, bytes) else line
    except orjson.JSONDecodeError:
        return line
    if isinstance(raw, dict) and written_ms is not None and raw.get("timestamp") in (None, ""):
        raw["timestamp"] = written_ms
    return raw


def _all(reasons: Sequence[str]) -> str:
    more = len(reasons) - 1
    return reasons[0] + (f" (and {more} more of its lines)" if more else "")
