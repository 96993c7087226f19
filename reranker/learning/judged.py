"""Graded judgements as lists to learn from; kept beside an index's models for later runs.

They say what answers a query, whoever asks: lists of nobody, as of moments of the journal. What
sells among what answers is another matter, and a shop that learns from purchases alone loses
relevance where the two differ.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from indexer.behaviour.event import query_key
from indexer.errors import AskedWrongly
from reranker.fusion.registry import replace_whole
from reranker.learning.cases import Case, Labels
from reranker.learning.schedule import Schedule

KEPT = "judgements.json"
HELD_OUT_SHARE = 0.2  # of the queries, by their hash
TIMES_MAX = 4  # that a query is learned from, as of different moments
Grades = Mapping[str, Mapping[str, float]]
"""Query → item id → grade, as `evaluation.judgements` reads them."""


@dataclass(frozen=True)
class Judged:
    """Cases by use, as of a `plan.Plan`."""

    train: list[Case]
    held_out: list[Case]
    late: list[Case]


def cases(judged: Grades, at: Sequence[float], cut: int, schedule: Schedule) -> Judged:
    """Cases of judged queries; `at` are the moments, the held-out ones have the state of `cut`.

    An item counts by its gain, the highest grade of all as bought (Burges et al. 2005, doi
    10.1145/1102351.1102363: 2^grade - 1). All judged queries together are about as many lists as
    the schedule derives, but each is learned from `TIMES_MAX` times at the most.
    """
    random = np.random.default_rng(schedule.seed + 3)
    grades = {query: {item: g for item, g in its.items() if g > 0} for query, its in judged.items()}
    highest = max((grade for its in grades.values() for grade in its.values()), default=1.0)
    learned = [query for query in grades if not is_held_out(query)]
    times = int(np.clip(schedule.cases // max(len(learned), 1), 1, TIMES_MAX))
    found = Judged([], [], [])
    for query, its in grades.items():
        labels: Labels = {
            item: (0.0, 0.0, (2.0**grade - 1.0) / (2.0**highest - 1.0))
            for item, grade in its.items()
        }
        seen = [cut] if is_held_out(query) else random.integers(0, cut, times).tolist()
        use = found.held_out if is_held_out(query) else found.train
        use += [_case(query, labels, moment, at) for moment in seen]
        found.late.append(_case(query, labels, len(at) - 1, at))
    return found


def _case(query: str, labels: Labels, moment: int, at: Sequence[float]) -> Case:
    return Case(moment, at[moment], None, query_key(query), labels, judged=True)


def is_held_out(query: str) -> bool:
    """Whether a query is measured on; by its hash, so it never depends on the others."""
    drawn = int.from_bytes(hashlib.sha256(f"held out {query}".encode()).digest()[:8], "big")
    return drawn < HELD_OUT_SHARE * 2**64


def keep(folder: Path, judged: Grades) -> None:
    """Put judgements beside the models of an index, in place of others; none removes them."""
    if not judged:
        (folder / KEPT).unlink(missing_ok=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    replace_whole(folder / KEPT, orjson.dumps(judged).decode())


def kept(folder: Path) -> Grades:
    """What is kept there; nothing where nothing is. Raises AskedWrongly for a file that is none."""
    path = folder / KEPT
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        found: dict[str, dict[str, float]] = orjson.loads(content)
        return {
            query: {item: float(grade) for item, grade in grades.items()}
            for query, grades in found.items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise AskedWrongly(
            f"{path} cannot be read ({error}): train with --judgements again"
        ) from error
