"""Messages of Kafka as lines, and the letters of those that are not taken."""

import json
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from indexer.behaviour import intake, messages
from indexer.behaviour.applications import Applications
from indexer.behaviour.messages import Letter

WRITTEN_MS = 1_700_000_000_000
CREATED = 1


@dataclass(frozen=True)
class Said:
    """A message as confluent_kafka has it."""

    text: bytes | None
    place: int = 0
    stamp: tuple[int, int] = (CREATED, WRITTEN_MS)
    own_headers: tuple[tuple[str, bytes | None], ...] = ()

    def value(self) -> bytes | None:
        return self.text

    def key(self) -> bytes | None:
        return b"key"

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        return [*self.own_headers] or None

    def topic(self) -> str:
        return "ubi"

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return self.place

    def timestamp(self) -> tuple[int, int]:
        return self.stamp

    def error(self) -> Any:
        return None


def click(**fields: Any) -> dict[str, Any]:
    attributes = {"object": {"object_id": "i1"}}
    return {"action_name": "click", "event_attributes": attributes, **fields}


def said(value: Any, **fields: Any) -> Said:
    return Said(value if isinstance(value, bytes) else json.dumps(value).encode(), **fields)


def taken(*found: Said) -> tuple[intake.Intake, list[Letter]]:
    terms = intake.Terms(Applications({"shop": frozenset({"shop"})}), "k", 1.8e9, live=True)
    opened = messages.opened(found, 1000)
    read = intake.take(opened.lines, terms)
    return read, opened.letters(read.rejected)


def documents(read: intake.Intake) -> list[dict[str, Any]]:
    return [document for batch in read.documents.values() for document in batch]


def test_a_value_is_an_event_an_array_or_lines() -> None:
    lines = b"\n".join(orjson.dumps(click(timestamp=1.3e9 + number)) for number in range(3))
    read, letters = taken(said(click(event_id="a")), said([click(event_id="b")]), said(lines))
    assert (read.accepted, letters) == (5, [])


def test_an_event_without_a_time_has_its_messages_and_the_same_identity_again() -> None:
    first, again = (documents(taken(said(click()))[0])[0] for _ in range(2))
    assert first == again
    assert first["timestamp"] == "2023-11-14T22:13:20.000Z"


def test_equal_events_without_time_or_id_are_two_if_they_were_written_at_two_times() -> None:
    read, _ = taken(said(click()), said(click(), stamp=(CREATED, WRITTEN_MS + 1)))
    assert len({it["event_id"] for it in documents(read)}) == 2


def test_a_time_that_is_given_stays() -> None:
    read, _ = taken(said(click(timestamp="2020-01-01T00:00:00Z")))
    assert documents(read)[0]["timestamp"] == "2020-01-01T00:00:00.000Z"


def test_without_any_time_it_is_now() -> None:
    read, _ = taken(said(click(), stamp=(0, -1)))
    assert documents(read)[0]["timestamp"] == "2027-01-15T08:00:00.000Z"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{bad", "is not JSON"),
        (b"[bad", "no JSON array"),
        (b'"text"', "is not a JSON object"),
        (b" \n ", "holds no event"),
        (b"[]", "holds no event"),
        (click(message="x" * 1000), "HITWEAVE_LINE_BYTES_MAX is 1000"),
        (click(application="hats"), "no index has this name"),
    ],
)
def test_what_is_not_taken_says_why(value: Any, reason: str) -> None:
    read, (letter,) = taken(said(click()), said(value, place=7))
    assert read.accepted == 1
    assert reason in letter.reason
    assert letter.message.offset() == 7


def test_a_message_without_a_value_is_a_letter() -> None:
    _, (letter,) = taken(Said(None))
    assert letter.reason == "the message has no value"


def test_of_many_lines_the_good_ones_count_and_the_whole_is_a_letter() -> None:
    lines = [orjson.dumps(click()), b"{bad", b"", b"{}"]
    read, (letter,) = taken(said(b"\n".join(lines)))
    assert read.accepted == 1
    assert letter.reason.startswith("line 2: is not JSON")
    assert letter.reason.endswith("(and 1 more of its lines)")
    assert letter.value == b"\n".join(lines)


def test_a_letter_tells_where_its_message_stood_after_the_senders_own_headers() -> None:
    message = said(b"{", place=9, own_headers=(("topic", b"mine"),))
    letter = Letter(message, "is bad")
    assert letter.headers[0] == ("topic", b"mine")
    assert dict(letter.headers) == {
        "reason": b"is bad",
        "topic": b"ubi",
        "partition": b"3",
        "offset": b"9",
        "timestamp": str(WRITTEN_MS).encode(),
    }


def test_portions_keep_order_count_and_bytes_and_one_that_is_longer_goes_alone() -> None:
    sizes = [4, 4, 4, 30, 1, 1, 1, 1]
    found = [Said(b"x" * size, place) for place, size in enumerate(sizes)]
    parts = [[it.offset() for it in part] for part in messages.portions(found, 3, 10)]
    assert parts == [[0, 1], [2], [3], [4, 5, 6], [7]]
