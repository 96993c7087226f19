"""What one search has to do with an experiment: its arm, and of an interleaved list whose hit is
whose. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reranker.retrieval.request import Options


@dataclass(frozen=True, slots=True)
class Exposure:
    """The arm that a list belongs to.

    `marks` are of each interleaved product: the arm that drafted it (`teams`), or its ranks in both
    rankings, as "2,7" (`ranks`, of balanced lists).
    """

    experiment: str
    arm: str
    marked: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)

    def told(self, shown: Sequence[str]) -> dict[str, Any]:
        """What the answer says of it, for the ids shown; None for a hit that nobody placed."""
        said: dict[str, Any] = {"name": self.experiment, "arm": self.arm}
        if self.marks:
            said[self.marked] = [self.marks.get(item) for item in shown]
        return {"experiment": said}

    def kept(self) -> list[Any]:
        """What later pages must know, as JSON."""
        return [self.experiment, self.arm, self.marked, dict(self.marks)]


@dataclass(frozen=True, slots=True)
class Part:
    """How a search takes part: `asked` are the options of its own, before those of the arm.

    `rankers` are both sides of an interleaved list, `teams` their names, `coins` what its chance
    hangs on.
    """

    exposure: Exposure
    asked: Options
    rankers: tuple[Options, ...] = ()
    teams: tuple[str, ...] = ()
    balanced: bool = False
    coins: tuple[str, ...] = ()


def from_kept(parts: Sequence[Any] | None) -> Exposure | None:
    """The exposure of a kept order."""
    return None if parts is None else Exposure(*parts)


def logged(told: Mapping[str, Any] | None, took_ms: float, degraded: str | None) -> dict[str, Any]:
    """What the record of a search says of the experiment it was told to be in; empty for none."""
    if told is None:
        return {}
    why = {} if degraded is None else {"degraded": degraded}
    return {**told, "took_ms": round(took_ms, 2), **why}
