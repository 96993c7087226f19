"""How far an index's event time has come, robust against stray dates; pure.

The watermark is the eighth latest event time (fewer events: their upper median), and a chunk of n
later events moves it by n weeks at the most: one wrong date cannot make all history look old.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

CONFIRMATIONS = 8
STEP_SECONDS = 7 * 86_400.0
# An event ahead of the watermark counts as at most this much later.
AHEAD_SECONDS = 86_400.0


@dataclass(frozen=True)
class Watermark:
    """The moment windows count back from, and the evidence for it."""

    at: float | None = None  # seconds since the epoch; None: no event yet
    latest: tuple[float, ...] = ()  # the latest times, latest first
    events: int = 0

    def latest_for_counts(self) -> float:
        """The latest time that decayed counts accept."""
        return float("inf") if self.at is None else self.at + AHEAD_SECONDS


def decode(blob: bytes | None) -> Watermark:
    """The watermark of a value."""
    if not blob:
        return Watermark()
    data = orjson.loads(blob)
    return Watermark(at=data["at"], latest=tuple(data["latest"]), events=data["events"])


def encode(mark: Watermark) -> bytes:
    """The value of a watermark."""
    return orjson.dumps({"at": mark.at, "latest": mark.latest, "events": mark.events})


def advance(mark: Watermark, times: Sequence[float]) -> Watermark:
    """The watermark after events at `times`; it never goes back."""
    latest = tuple(sorted([*mark.latest, *times], reverse=True)[:CONFIRMATIONS])
    events = mark.events + len(times)
    rank = min(CONFIRMATIONS, events // 2 + 1)
    confirmed = latest[rank - 1]
    if mark.at is not None:
        later = sum(1 for time in times if time > mark.at)
        confirmed = max(mark.at, min(confirmed, mark.at + max(later, 1) * STEP_SECONDS))
    return Watermark(at=confirmed, latest=latest, events=events)
