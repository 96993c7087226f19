"""Taking our part out of a client's text without moving the rest of it. Pure.

What is taken out becomes blanks of the same length (nothing, where it is the last), so that the
line and column in an error of Elasticsearch are those of the text that the client wrote.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

OWN = ("ubi", "hitweave")
_VALUE = json.JSONDecoder(strict=False)
_BLANKS = " \t\r\n"


@dataclass(frozen=True, slots=True)
class _Member:
    """One `"name": value` of an object; `value` is where the value begins."""

    name: str
    start: int
    value: int
    end: int


def without_own_ext(text: bytes) -> bytes | None:
    """The JSON object `text` without `ext.ubi` and `ext.hitweave`; None where it has none, or has
    `ext` more than once.
    """
    said = text.decode("utf-8")
    members = list(_members(said, 0))
    found = [member for member in members if member.name == "ext"]
    if len(found) != 1:
        return None
    inner = list(_members(said, found[0].value))
    own = [member for member in inner if member.name in OWN]
    if not own:
        return None
    if len(own) == len(inner) and len(members) > 1 and members[-1] is found[0]:
        return (said[: members[-2].end] + said[found[0].end :]).encode()
    if len(own) == len(inner):
        return _blanked(said, members, found).encode()
    return _blanked(said, inner, own).encode()


def _blanked(said: str, members: list[_Member], gone: list[_Member]) -> str:
    """`said` with these members blank, and one comma fewer for each."""
    kept = [member for member in members if member not in gone]
    spans = [(member.start, member.end) for member in gone]
    for left, right in pairwise(members):
        comma = said.index(",", left.end)
        before = any(member.end <= left.end for member in kept)
        if right in gone or not before:
            spans.append((comma, comma + 1))
    for start, end in sorted(spans, reverse=True):  # the last first, so that none moves
        said = said[:start] + " " * len(said[start:end].encode()) + said[end:]
    return said


def _members(said: str, at: int) -> Iterator[_Member]:
    """The members of the object that begins at or after `at`; raises ValueError for no object."""
    at = _past_blanks(said, at)
    if said[at] != "{":
        raise ValueError("not an object")
    at = _past_blanks(said, at + 1)
    while said[at] != "}":
        start = at
        name, at = _VALUE.raw_decode(said, at)
        at = _past_blanks(said, at)
        value = _past_blanks(said, at + 1)
        _, end = _VALUE.raw_decode(said, value)
        yield _Member(name, start, value, end)
        at = _past_blanks(said, end)
        if said[at] == ",":
            at = _past_blanks(said, at + 1)


def _past_blanks(said: str, at: int) -> int:
    while said[at] in _BLANKS:
        at += 1
    return at
