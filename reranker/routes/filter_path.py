"""Elasticsearch's `filter_path` on an answer of ours. Pure.

Paths are split at dots; `*` stands for any part of a name, `**` for any number of names, a leading
`-` leaves out. Fields with dots in their own name are not told apart, as in Elasticsearch.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

Path = tuple[str, ...]


def apply(answer: Any, filter_path: str) -> Any:
    """The parts of `answer` that the comma-separated paths name; empty objects are left out."""
    paths = [part.strip() for part in filter_path.split(",") if part.strip()]
    left_out = [tuple(path[1:].split(".")) for path in paths if path.startswith("-")]
    kept = [tuple(path.split(".")) for path in paths if not path.startswith("-")]
    if kept:
        answer = _keep(answer, kept)
    if left_out:
        answer = _leave_out(answer, left_out)
    return {} if answer is None else answer


def _step(paths: Sequence[Path], name: str) -> tuple[list[Path], bool]:
    """What remains of the paths below `name`, and whether one of them ends here."""
    below: list[Path] = []
    ended = False
    for path in paths:
        head, rest = path[0], path[1:]
        if head == "**":
            below.append(path)
            further, end = _step([rest], name) if rest else ([], True)
            below += further
            ended = ended or end
        elif fnmatchcase(name, head):
            if rest:
                below.append(rest)
            else:
                ended = True
    return below, ended


def _keep(value: Any, paths: Sequence[Path]) -> Any:
    """The named parts of `value`; None where nothing is left."""
    if isinstance(value, list):
        parts = [part for entry in value if (part := _keep(entry, paths)) is not None]
        return parts or None
    if not isinstance(value, Mapping):
        return None
    kept = {}
    for name, entry in value.items():
        below, ended = _step(paths, name)
        part = entry if ended else _keep(entry, below) if below else None
        if part is not None or ended:
            kept[name] = part
    return kept or None


def _leave_out(value: Any, paths: Sequence[Path]) -> Any:
    if isinstance(value, list):
        return [_leave_out(entry, paths) for entry in value]
    if not isinstance(value, Mapping):
        return value
    kept = {}
    for name, entry in value.items():
        below, ended = _step(paths, name)
        if not ended:
            kept[name] = _leave_out(entry, below) if below else entry
    return kept
