"""What became of the updates of a job, in the words that the command line reports; pure."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal
from zlib import crc32

import orjson

from indexer.catalogue.product import ProductUpdate

Kind = Literal["embedded", "updated", "unchanged", "deleted", "rejected", "stale"]
SOURCE_CHARS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Counts:
    """Each update counts once."""

    embedded: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: int = 0
    stale: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def to_json(self) -> dict[str, int]:
        """Plain data; `Counts(**…)` reads it back."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line that was not taken: where it stands, why, and what it was."""

    line: int | None
    reason: str
    source: str

    @property
    def key(self) -> str:
        """Tells rejections of one job apart: the line, or the content where there is no line."""
        return str(self.line) if self.line is not None else f"{crc32(self.source.encode()):08x}"


@dataclass(slots=True)
class Tally:
    """Counts while they are made."""

    counts: dict[Kind, int] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)

    def add(self, kind: Kind) -> None:
        """One more."""
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def reject(self, update: ProductUpdate, reason: str) -> None:
        """One more rejected, with what an operator needs to see."""
        self.add("rejected")
        self.rejections.append(Rejection(update.line, reason, shown(update)))

    def total(self) -> Counts:
        """The counts so far."""
        return Counts(**self.counts)


def shown(update: ProductUpdate) -> str:
    """The update as an operator reads it, cut where it is very long."""
    said: dict[str, Any] = update.to_json()["product"]
    return orjson.dumps(said).decode()[:SOURCE_CHARS_KEPT]
