"""Sums of every unit in one pass over the journal; memory grows with units, not with deeds. Pure.

Documents come by time. What a unit did before the start is its past. A search is open for as long
as what comes of it counts; what names a search that is not there yet waits a little, since clients'
clocks are not the sidecar's.
"""

from array import array
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

import numpy as np

from indexer.identity import action_key
from reranker.experiments import assignment, interleaving
from reranker.experiments.assignment import Ids
from reranker.experiments.experiment import INTERLEAVED, Experiment
from reranker.experiments.metric import COLUMN, COLUMNS, Metric
from reranker.experiments.ratio import Floats, Sums

Document = Mapping[str, Any]
CLOCK_SECONDS = 300.0
DAY_SECONDS, HOUR_SECONDS = 86_400.0, 3600.0
NOTHING = (0.0,) * len(COLUMNS)
CLICKS = frozenset({"click", "watch"})
EVERYONE = "everyone"
NO_MARKS: Mapping[str, str] = MappingProxyType({})


class Table:
    """Sums by unit, as one block of memory."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self._sums = array("d")

    def row(self, unit: str) -> int:
        """The row of a unit, made when it is first seen."""
        found = self.rows.get(unit)
        if found is None:
            found = self.rows[unit] = len(self.rows)
            self._sums.extend(NOTHING)
            self._sums[found * len(COLUMNS) + COLUMN["units"]] = 1.0
        return found

    def add(self, row: int, column: str, amount: float = 1.0) -> None:
        """Add to one sum."""
        self._sums[row * len(COLUMNS) + COLUMN[column]] += amount

    def note(self, row: int, column: str) -> None:
        """Remember that it happened, however often."""
        self._sums[row * len(COLUMNS) + COLUMN[column]] = 1.0

    def array(self) -> Floats:
        """All sums [units, columns]."""
        return np.array(self._sums, np.float64).reshape(-1, len(COLUMNS))


@dataclass(slots=True)
class Open:
    """A search that something may still come of; there may be millions."""

    table: Table
    row: int
    at: float
    clicked: tuple[str, ...] = ()
    marks: Mapping[str, str] = field(default_factory=lambda: NO_MARKS)
    preferred: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What a pass came to: sums and pasts [units, columns] by arm; units seen in several arms are
    left out of both, and counted.
    """

    arms: Sequence[Floats]
    past: Sequence[Floats]
    crossed: int = 0

    def sums(self, metric: Metric) -> list[Sums]:
        """One metric, by arm."""
        top, bottom = COLUMN[metric.top], COLUMN[metric.bottom]
        return [
            Sums(now[:, top], now[:, bottom], past[:, top], past[:, bottom])
            for now, past in zip(self.arms, self.past, strict=True)
        ]


class Tally:
    """Takes documents by time; `everyone` counts all units as one arm, as if nothing were tried."""

    def __init__(self, experiment: Experiment, since: float, *, everyone: bool = False) -> None:
        self._experiment = experiment
        self._since = since
        self._window_seconds = experiment.window_hours * HOUR_SECONDS
        self._names = [arm.name for arm in experiment.arms]
        if everyone or experiment.kind == "interleave":
            self._names = [EVERYONE if everyone else INTERLEAVED]
        self._everyone = everyone
        self._now, self._past = Table(), Table()
        self._arm: dict[int, int] = {}
        self._crossed: set[int] = set()
        self._last: dict[int, float] = {}
        self._open: dict[str, Open] = {}
        self._opened: deque[tuple[float, str]] = deque()
        self._early: dict[str, list[Document]] = {}
        self._waiting: deque[tuple[float, str]] = deque()

    @property
    def units(self) -> Collection[str]:
        """All that have come since the start, in that order."""
        return self._now.rows.keys()

    def take(self, document: Document) -> None:
        """One search or deed."""
        at = datetime.fromisoformat(document["timestamp"]).timestamp()
        self._close(at)
        if "action_name" in document:
            self._deed(document, at)
        else:
            self._search(document, at)

    def counted(self) -> Counted:
        """What all that was taken comes to."""
        now, past = self._now.array(), self._past.array()
        before = np.zeros_like(now)
        for unit, row in self._now.rows.items():
            if (there := self._past.rows.get(unit)) is not None:
                before[row] = past[there]
        # A mean over units has all of them below, whether they were there before or not.
        before[:, COLUMN["units"]] = 1.0
        arm = np.full(len(now), -1)
        for row, number in self._arm.items():
            arm[row] = -1 if row in self._crossed else number
        numbers = range(len(self._names))
        return Counted(
            [now[arm == number] for number in numbers],
            [before[arm == number] for number in numbers],
            len(self._crossed),
        )

    def _search(self, document: Document, at: float) -> None:
        told = _told(document)
        unit = assignment.unit_of(self._experiment.unit, _ids(document))
        query_id = document.get("query_id")
        if unit is None or query_id is None:
            return
        if at < self._since:
            self._count(self._past, self._past.row(unit), document, at)
        elif self._everyone:
            self._count(self._now, self._exposed(unit, EVERYONE, at), document, at)
        elif self._is_ours(told):
            self._count(self._now, self._exposed(unit, told["arm"], at), document, at)
        early = self._early.pop(query_id, ())
        for deed in early if query_id in self._open else ():
            self._deed(deed, at)

    def _is_ours(self, told: Mapping[str, Any]) -> bool:
        return told.get("name") == self._experiment.name and told.get("arm") in self._names

    def _exposed(self, unit: str, name: str, at: float) -> int:
        row, arm = self._now.row(unit), self._names.index(name)
        if self._arm.setdefault(row, arm) != arm:
            self._crossed.add(row)
        self._last[row] = at
        return row

    def _count(self, table: Table, row: int, document: Document, at: float) -> None:
        """A search of a row; a further page of it only adds its hits."""
        query_id, told = document["query_id"], _told(document)
        found = self._open.get(query_id)
        if found is None:
            found = self._open[query_id] = Open(table, row, at)
            self._opened.append((at, query_id))
            if not (document.get("query_attributes") or {}).get("from"):
                table.add(row, "searches")
                table.add(row, "took_ms", float(told.get("took_ms") or 0.0))
                if told.get("degraded"):
                    table.add(row, "degraded_searches")
                if not document.get("query_response_hit_ids"):
                    table.add(row, "empty_searches")
        marks = told.get("ranks" if self._experiment.method == "balanced" else "teams") or ()
        ids = document.get("query_response_hit_ids") or ()
        if marks:
            pairs = zip(ids, marks, strict=False)
            found.marks = {**found.marks, **{item: mark for item, mark in pairs if mark}}

    def _deed(self, document: Document, at: float) -> None:
        action = action_key(document["action_name"])
        query_id = document.get("query_id")
        found = self._open.get(query_id) if query_id else None
        if found is not None and found.at < self._since <= at:
            found = None  # the past ends where the experiment begins
        if action in CLICKS and found is not None:
            self._click(found, _item(document))
        elif action in CLICKS and query_id:
            self._wait(query_id, document, at)
        elif action in ("add_to_cart", "purchase"):
            self._taken(document, at, action, found)

    def _click(self, search: Open, item: str) -> None:
        if not search.clicked:
            search.table.add(search.row, "clicked_searches")
        if item not in search.clicked:
            search.clicked += (item,)
        if search.marks:
            preferred = self._preferred(search)
            search.table.add(search.row, "preferred", preferred - search.preferred)
            search.preferred = preferred

    def _preferred(self, search: Open) -> int:
        if self._experiment.method == "balanced":
            ranks = {item: _pair(mark) for item, mark in search.marks.items()}
            return interleaving.preference(search.clicked, ranks)
        numbers = {arm.name: number for number, arm in enumerate(self._experiment.arms)}
        teams = {item: numbers.get(mark) for item, mark in search.marks.items()}
        return interleaving.credit(search.clicked, teams)

    def _taken(self, document: Document, at: float, action: str, search: Open | None) -> None:
        place = (search.table, search.row) if search else self._place_of(document, at)
        if place is None:
            return
        table, row = place
        if action == "add_to_cart":
            table.note(row, "carted")
            return
        table.note(row, "bought")
        table.add(row, "revenue", revenue(document.get("event_attributes") or {}))

    def _place_of(self, document: Document, at: float) -> tuple[Table, int] | None:
        """Whose deed it is that names no search: of a unit whose last search is not too old."""
        unit = assignment.unit_of(self._experiment.unit, _ids(document))
        if unit is None or self._experiment.unit == "query":
            return None
        if at < self._since:
            return self._past, self._past.row(unit)
        row = self._now.rows.get(unit)
        if row is None or at - self._last[row] > self._window_seconds:
            return None
        return self._now, row

    def _wait(self, query_id: str, document: Document, at: float) -> None:
        if query_id not in self._early:
            self._waiting.append((at, query_id))
        self._early.setdefault(query_id, []).append(document)

    def _close(self, at: float) -> None:
        """Forget searches and waiting deeds that are too old for anything to come of them."""
        while self._opened and self._opened[0][0] < at - self._window_seconds:
            self._open.pop(self._opened.popleft()[1], None)
        while self._waiting and self._waiting[0][0] < at - CLOCK_SECONDS:
            self._early.pop(self._waiting.popleft()[1], None)


def revenue(attributes: Mapping[str, Any]) -> float:
    """What a purchase brought: `revenue`, else `price` (also of the object) times `quantity`."""
    whole = _number(attributes.get("revenue"))
    if whole is not None:
        return whole
    thing = attributes.get("object")
    inner = thing.get("price") if isinstance(thing, Mapping) else None
    price = _number(attributes.get("price", inner))
    quantity = _number(attributes.get("quantity"))
    return (price or 0.0) * (1.0 if quantity is None else quantity)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _ids(document: Document) -> Ids:
    return Ids(
        document.get("user_id"),
        document.get("client_id"),
        document.get("session_id"),
        document.get("query_id"),
    )


def _told(document: Document) -> Mapping[str, Any]:
    told = (document.get("query_attributes") or {}).get("experiment")
    return told if isinstance(told, Mapping) else {}


def _item(document: Document) -> str:
    attributes = document.get("event_attributes") or {}
    return str((attributes.get("object") or {}).get("object_id", ""))


def _pair(mark: str) -> tuple[int, int]:
    one, _, other = mark.partition(",")
    return int(one), int(other)
