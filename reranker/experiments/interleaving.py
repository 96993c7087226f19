"""Two rankers in one list, and whose items were clicked. Pure; chance is passed in as bits.

- Team draft: Radlinski, Kurup and Joachims (2008), "How Does Clickthrough Data Reflect Retrieval
  Quality?", doi 10.1145/1458082.1458092. In each round a coin says which ranker picks first; each
  puts its best item that is not there yet, and owns the clicks on it.
- Balanced: Joachims (2002, 2003), as written down by Chapelle, Joachims, Radlinski and Yue (2012),
  "Large-Scale Validation and Analysis of Interleaved Search Evaluation",
  doi 10.1145/2094072.2094078.
  One coin for the whole list; whoever has more of the clicked items among its first ones wins.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

FIRST, SECOND = 0, 1


@dataclass(frozen=True, slots=True)
class Interleaved:
    """Rows of the joint list, and of each the number of the ranker that placed it."""

    rows: list[int]
    teams: list[int]


def coins(*parts: str) -> Iterator[int]:
    """Fair bits without end, the same for the same parts."""
    text, number = "\0".join(parts).encode(), 0
    while True:
        digest = hashlib.blake2b(text, digest_size=32, salt=number.to_bytes(16, "big")).digest()
        for byte in digest:
            yield from ((byte >> shift) & 1 for shift in range(8))
        number += 1


def team_draft(first: Sequence[int], second: Sequence[int], chance: Iterator[int]) -> Interleaved:
    """All rows of both rankings, drafted in rounds; equal prefixes are drafted like the rest."""
    waiting, placed = (iter(first), iter(second)), set[int]()
    found = Interleaved([], [])
    while True:
        starts = next(chance)
        picks = [(team, _best(waiting[team], placed)) for team in (starts, 1 - starts)]
        for team, row in picks:
            if row is not None:
                found.rows.append(row)
                found.teams.append(team)
        if all(row is None for _, row in picks):
            return found


def balanced(first: Sequence[int], second: Sequence[int], chance: Iterator[int]) -> Interleaved:
    """All rows of both rankings, each time of the one that is behind; a tie goes by one coin.

    The team of a row only says which ranking it was taken from: `preference` decides.
    """
    rankings, at, starts = (first, second), [0, 0], next(chance)
    placed = set[int]()
    found = Interleaved([], [])
    while at[0] < len(first) or at[1] < len(second):
        team = starts if at[0] == at[1] else int(at[1] < at[0])
        if at[team] >= len(rankings[team]):
            team = 1 - team
        row = rankings[team][at[team]]
        at[team] += 1
        if row not in placed:
            placed.add(row)
            found.rows.append(row)
            found.teams.append(team)
    return found


def credit(clicked: Iterable[str], team_of: Mapping[str, int | None]) -> int:
    """Which team the clicks on one team-drafted list prefer: 1 the second, -1 the first, 0 none."""
    won = [team_of.get(item) for item in set(clicked)]
    return _sign(won.count(SECOND) - won.count(FIRST))


def preference(clicked: Iterable[str], ranks: Mapping[str, tuple[int, int]]) -> int:
    """Which ranking the clicks on one balanced list prefer, by the ranks (from 1) in both of what
    was clicked: 1 the second, -1 the first, 0 none.

    Counted is what lies above the depth down to which both were looked at for the lowest click.
    """
    found = [ranks[item] for item in set(clicked) if item in ranks]
    if not found:
        return 0
    depth = max(min(pair) for pair in found)
    won = [sum(pair[team] <= depth for pair in found) for team in (FIRST, SECOND)]
    return _sign(won[SECOND] - won[FIRST])


def _best(waiting: Iterator[int], placed: set[int]) -> int | None:
    """The next row that is not placed yet, which it then is."""
    for row in waiting:
        if row not in placed:
            placed.add(row)
            return row
    return None


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
