"""What one update needs, given what is stored; pure, the whole decision in one function.

Updates of a product are totally ordered (`Rank`), so any order and any repetition of the same
updates ends in the same state: the one of the highest rank.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """What is to be done with one update."""

    EMBED = "embed"
    FIELDS_ONLY = "fields_only"
    NOTHING = "nothing"
    DELETE = "delete"
    STALE = "stale"


class Order(NamedTuple):
    """When an update counts: `updated_at` first, then the time of arrival, both in ms."""

    version: int
    received_at: int


NEVER = Order(-1, -1)


class Rank(NamedTuple):
    """The total order: at the same time a delete wins, else the content decides."""

    order: Order
    deleted: bool
    fields_hash: str
    text_hash: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What one update says the product is."""

    order: Order
    deleted: bool
    text_hash: str = ""
    fields_hash: str = ""

    @property
    def rank(self) -> Rank:
        """Its place among all updates of the product."""
        return Rank(self.order, self.deleted, self.fields_hash, self.text_hash)


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """The hashes of a document; empty ones where Hitweave did not write it."""

    order: Order
    text_hash: str
    fields_hash: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What is known of a product; `confirmed` is a later update that said the same as `document`.

    `buried` is when the last delete counted, `was_live` whether it found a document.
    """

    document: StoredDocument | None = None
    buried: Order = NEVER
    was_live: bool = False
    confirmed: Order = NEVER

    @property
    def rank(self) -> Rank:
        """Of the update that made this state."""
        grave = Rank(self.buried, True, "", "")
        if self.document is None:
            return grave
        order = max(self.document.order, self.confirmed)
        return max(grave, Rank(order, False, self.document.fields_hash, self.document.text_hash))


def plan(expected: Expected, stored: Stored) -> Outcome:
    """The outcome of one update."""
    latest = stored.rank
    if expected.rank < latest:
        return Outcome.STALE
    document = stored.document
    if expected.deleted:
        done = expected.rank == latest and document is None
        return Outcome.NOTHING if done else Outcome.DELETE
    if document is None or latest.deleted or document.text_hash != expected.text_hash:
        return Outcome.EMBED
    if document.fields_hash != expected.fields_hash:
        return Outcome.FIELDS_ONLY
    return Outcome.NOTHING


def is_repeat(expected: Expected, stored: Stored) -> bool:
    """Whether this very update was carried out before: a message that was delivered twice."""
    if expected.deleted:
        return stored.document is None and stored.buried == expected.order
    return stored.document is not None and stored.document.order == expected.order
