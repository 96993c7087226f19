"""Events and queries on their way in: read, told apart and sorted by the index they belong to.

Pure but for the applications it is given. One bad line is rejected alone; the others go on.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from indexer.behaviour import ubi
from indexer.behaviour.applications import Applications
from indexer.behaviour.event import Sender
from indexer.behaviour.ubi import Kind
from indexer.errors import InvalidEvent

Document = dict[str, Any]


@dataclass(frozen=True)
class Rejected:
    """A line that is not taken, counted from 1."""

    line: int
    reason: str


@dataclass(frozen=True)
class Origin:
    """Who hands lines in; the address as a pseudonym, None for trusted senders."""

    sender: Sender = "trusted"
    address: str | None = None


TRUSTED = Origin()


@dataclass(frozen=True)
class Terms:
    """What reading an event depends on besides the event."""

    applications: Applications
    pseudonym_key: str
    now: float
    live: bool
    origin: Origin = TRUSTED
    index: str | None = None  # given by the caller: then no application is looked at


@dataclass
class Intake:
    """What some lines came to."""

    documents: dict[tuple[Kind, str], list[Document]] = field(
        default_factory=lambda: defaultdict(list)
    )
    identities: dict[int, tuple[str, str]] = field(default_factory=dict)  # index, id by line
    rejected: list[Rejected] = field(default_factory=list)

    def batches(self, size: int) -> Iterator[tuple[str, dict[Kind, list[Document]]]]:
        """Documents by index, so many at a time, queries first: events look up their text."""
        for index in sorted({index for _, index in self.documents}):
            kinds: tuple[Kind, ...] = ("query", "event")
            both = [(kind, it) for kind in kinds for it in self.documents.get((kind, index), [])]
            for start in range(0, len(both), size):
                part = both[start : start + size]
                yield index, {kind: [it for own, it in part if own == kind] for kind in kinds}

    @property
    def accepted(self) -> int:
        """How many documents go on."""
        return sum(len(batch) for batch in self.documents.values())


def take(lines: Iterable[tuple[int, bytes | Any]], terms: Terms) -> Intake:
    """Sort numbered lines, JSON as bytes or decoded already."""
    intake = Intake()
    for number, line in lines:
        try:
            kind, index, document = take_one(line, terms)
        except InvalidEvent as error:
            intake.rejected.append(Rejected(number, error.message))
        else:
            intake.documents[kind, index].append(document)
            name = document["event_id"] if kind == "event" else document["query_id"]
            intake.identities[number] = (index, name)
    _attribute(intake)
    return intake


def take_one(line: bytes | Any, terms: Terms) -> tuple[Kind, str, Document]:
    """One line as kind, index and document; raises InvalidEvent."""
    raw = _decoded(line) if isinstance(line, bytes) else line
    kind, document = ubi.read(raw, key=terms.pseudonym_key, now=terms.now, live=terms.live)
    index = terms.index or terms.applications.index_of(ubi.application_of(raw))
    if kind == "event":
        counted = terms.applications.counted_as(index, document["action_name"])
        document = ubi.counted_as(document, counted)
        if terms.origin != TRUSTED:
            # Travels with the event to the workers; the journal does not keep it.
            document["hitweave"] = {**document.get("hitweave", {}), **asdict(terms.origin)}
    return kind, index, document


def _decoded(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidEvent(f"is not JSON: {error.msg} at column {error.colno}") from None


def _attribute(intake: Intake) -> None:
    """Events take the text of their search where it came along with them."""
    for (kind, index), queries in list(intake.documents.items()):
        if kind != "query":
            continue
        texts = {it["query_id"]: it["user_query"] for it in queries if "user_query" in it}
        for document in intake.documents.get(("event", index), []):
            text = texts.get(document.get("query_id", ""))
            if text is not None:
                document.setdefault("user_query", text)
