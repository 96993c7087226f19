"""What a kept order says of exploration: whether it tried something, with which chances. Pure.

A propensity is how likely a product was to stand at its place, over all that chance decides:
whether the search explores, and what it draws. Without it nobody could tell later what another
order would have earned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DIGITS = 6


@dataclass(frozen=True, slots=True)
class Exploration:
    """`chance` is what it hangs on; `propensities` are of the first ids of the order, in order."""

    explored: bool
    chance: str
    propensities: Sequence[float]

    def told(self, ids: Sequence[str], shown: Sequence[str]) -> dict[str, Any]:
        """What the answer says of it, for the ids shown of the order; None: too far down."""
        known: Mapping[str, float] = dict(zip(ids, self.propensities, strict=False))
        return {
            "exploration": {
                "explored": self.explored,
                "propensities": [known.get(name) for name in shown],
            }
        }


def kept(explored: Exploration | None) -> list[Any] | None:
    """What later pages must know, as JSON."""
    if explored is None:
        return None
    return [explored.explored, explored.chance, list(explored.propensities)]


def from_kept(parts: Sequence[Any] | None) -> Exploration | None:
    """The exploration of a kept order."""
    return None if parts is None else Exploration(*parts)
