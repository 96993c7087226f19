"""What a ranking is measured against: graded judgements, or held-out purchases ("cases").

The only place that reads such files. Each carries the SHA-256 of its file, so that a report says
what it was measured on. A file that cannot be read wholly is refused, with the line and the
reason: a metric over half of the judgements looks like any other number.
"""

import csv
import gzip
import hashlib
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeGuard

from indexer.errors import AskedWrongly

Part = Literal["all", "tuning", "holdout"]

ID_NAMES = ("docid", "doc_id")
GRADE_NAMES = ("rating", "grade")
GRADE_MAX = 10.0  # the gain doubles with each grade: percentages as grades are a mistake
TUNING_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Judgements:
    """Grades by query and item id; only queries with at least one grade above 0.

    `without_relevant` counts the queries that were left out for having none.
    """

    name: str
    digest: str
    grades: dict[str, dict[str, float]]
    without_relevant: int = 0

    def part(self, part: Part, limit: int | None = None) -> "Judgements":
        """Only the queries of a part, in file order, the first `limit` of them."""
        kept = [query for query in self.grades if part in ("all", part_of(query))][:limit]
        return replace(self, grades={query: self.grades[query] for query in kept})


@dataclass(frozen=True, slots=True)
class Case:
    """One held-out purchase: `queries` stand for what the shopper may have typed.

    `bought_before` says whether this shopper had bought `target` by `as_of`, an ISO time.
    """

    user_id: str | None
    queries: tuple[str, ...]
    target: str
    bought_before: bool
    as_of: str | None = None


@dataclass(frozen=True, slots=True)
class Cases:
    """Held-out purchases in file order."""

    name: str
    digest: str
    cases: tuple[Case, ...]

    def part(self, part: Part, limit: int | None = None) -> "Cases":
        """Only the cases whose shopper belongs to a part, the first `limit` of them.

        Parts go by shopper and not by query, so that nobody is in both.
        """
        kept = [it for it in self.cases if part in ("all", part_of(it.user_id or it.target))]
        return replace(self, cases=tuple(kept[:limit]))


def part_of(key: str, tuning_share: float = TUNING_SHARE) -> Part:
    """Which half a query or shopper belongs to; by its hash, so it never depends on the others."""
    drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    return "tuning" if drawn < tuning_share else "holdout"


def read_judgements(path: Path) -> Judgements:
    """Judgements of a CSV or TSV, also .gz, with the columns query, docid, rating.

    `doc_id` and `grade` are understood too; further columns are ignored. Of a pair judged twice
    the last grade counts.
    """
    content, digest = _content(path)
    rows = csv.reader(content, delimiter="\t" if ".tsv" in path.name else ",")
    grades: dict[str, dict[str, float]] = {}
    for query, item, grade in _judged(path, rows):
        grades.setdefault(query, {})[item] = grade
    relevant = {q: judged for q, judged in grades.items() if max(judged.values()) > 0}
    if not relevant:
        raise AskedWrongly(f"{path} has no query with a grade above 0: nothing can be measured")
    return Judgements(path.name, digest, relevant, len(grades) - len(relevant))


def read_cases(path: Path) -> Cases:
    """Cases of a JSONL, also .gz: queries and target are required in each line."""
    content, digest = _content(path)
    lines = ((number, line) for number, line in enumerate(content, start=1) if line.strip())
    cases = tuple(_case(f"{path} line {number}", line) for number, line in lines)
    if not cases:
        raise AskedWrongly(f"{path} has no case: nothing can be measured")
    return Cases(path.name, digest, cases)


def _content(path: Path) -> tuple[io.StringIO, str]:
    """The text of a file and the SHA-256 of its bytes as they lie on disk."""
    try:
        raw = path.read_bytes()
        plain = gzip.decompress(raw) if path.suffix == ".gz" else raw
        text = plain.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise AskedWrongly(f"{path} cannot be read as UTF-8 text: {error}") from error
    return io.StringIO(text, newline=""), hashlib.sha256(raw).hexdigest()


def _judged(path: Path, rows: Iterator[list[str]]) -> Iterator[tuple[str, str, float]]:
    header = next(rows, [])
    column = {name.strip().lower(): number for number, name in enumerate(header)}
    query = _column(path, column, ("query",))
    item = _column(path, column, ID_NAMES)
    grade = _column(path, column, GRADE_NAMES)
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) <= max(query, item, grade):
            raise AskedWrongly(f"{path} row {number} has {len(row)} of {len(header)} columns")
        if not row[query].strip() or not row[item].strip():
            raise AskedWrongly(f"{path} row {number} has an empty query or item id")
        yield row[query], row[item], _grade(f"{path} row {number}", row[grade])


def _column(path: Path, column: dict[str, int], names: Sequence[str]) -> int:
    for name in names:
        if name in column:
            return column[name]
    raise AskedWrongly(
        f"{path} has the columns {', '.join(column) or '(none)'} but no {' or '.join(names)}: "
        "its first line must name query, docid and rating, with tabs only in a .tsv"
    )


def _grade(where: str, text: str) -> float:
    try:
        grade = float(text)
    except ValueError:
        raise AskedWrongly(f"{where}: the grade {text!r} is not a number") from None
    if not math.isfinite(grade) or grade > GRADE_MAX:
        raise AskedWrongly(f"{where}: the grade {text} is out of range: use 0 to {GRADE_MAX:g}")
    return grade


def _case(where: str, line: str) -> Case:
    try:
        said: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise AskedWrongly(f"{where} is not JSON: {error}") from None
    if not isinstance(said, dict):
        raise AskedWrongly(f"{where} is not a JSON object")
    queries, target = said.get("queries"), said.get("target")
    if not isinstance(queries, list) or not queries or not all(_text(it) for it in queries):
        raise AskedWrongly(f"{where}: `queries` must be a list of texts")
    if not _text(target):
        raise AskedWrongly(f"{where}: `target` must be an item id as a text")
    user = said.get("user_id")
    if user is not None and not _text(user):
        raise AskedWrongly(f"{where}: `user_id` must be a text or absent")
    return Case(user, tuple(queries), target, said.get("bought_before") is True, said.get("as_of"))


def _text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())
