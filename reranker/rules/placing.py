"""What rules do to an order: scores moved, then products pinned to places. Pure.

Nothing is lost and nothing stands twice; scores never rise along the result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Placed:
    """The final order: ids, best first, and their scores along it."""

    ids: list[str]
    scores: list[float]


def moved(scores: Scores, shares: NDArray[np.float64]) -> Scores:
    """Scores [n] moved by `shares` [n] of their spread, at the most by all of it.

    The spread is the difference between the best and the last score; without one nothing moves.
    """
    if not len(scores) or not shares.any():
        return scores
    spread = float(scores.max()) - float(scores.min())
    changed: Scores = (scores + np.clip(shares, -1.0, 1.0) * spread).astype(np.float32)
    return changed


def place(
    ids: Sequence[str],
    scores: Sequence[float],
    pins: Sequence[tuple[str, int]],
    groups: Mapping[str, str | None] | None = None,
) -> Placed:
    """The order with `pins` (ids with places, by place) where they belong.

    A pinned product need not be among `ids`. Two at one place follow each other; places behind the
    end are the end. Of a group in `groups` only the first pinned product stays. A pinned product
    has the score of the one that follows it.
    """
    pins = _one_of_each_group(pins, groups or {})
    taken = {name for name, _ in pins}
    groups_taken = {(groups or {}).get(name) for name in taken} - {None}
    rest = [
        (name, score)
        for name, score in zip(ids, scores, strict=True)
        if name not in taken and not (groups and groups.get(name) in groups_taken)
    ]
    found: list[tuple[str, float | None]] = []
    left = list(reversed(pins))
    at = 0
    while left or at < len(rest):
        if left and (left[-1][1] <= len(found) + 1 or at == len(rest)):
            found.append((left.pop()[0], None))
        else:
            found.append(rest[at])
            at += 1
    return Placed([name for name, _ in found], _filled([score for _, score in found]))


def _one_of_each_group(
    pins: Sequence[tuple[str, int]], groups: Mapping[str, str | None]
) -> list[tuple[str, int]]:
    seen: set[str] = set()
    kept = []
    for name, position in pins:
        group = groups.get(name)
        if group is None or group not in seen:
            kept.append((name, position))
        if group is not None:
            seen.add(group)
    return kept


def _filled(scores: Sequence[float | None]) -> list[float]:
    """Scores with the gaps as what follows them; at the end, as what stands before."""
    filled: list[float] = []
    following: float | None = None
    for score in reversed(scores):
        following = score if score is not None else following
        filled.append(following if following is not None else np.nan)
    filled.reverse()
    last = next((score for score in reversed(scores) if score is not None), 0.0)
    return [last if np.isnan(score) else score for score in filled]
