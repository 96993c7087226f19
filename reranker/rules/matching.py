"""Which rules hold for a search. Pure; time is passed in.

A pattern is matched part by part from the left, so no text makes it slow.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from indexer.behaviour.event import query_key
from reranker.retrieval import clause
from reranker.rules.rule import QueryForm, Rule

# A word of letters and digits, or one character of a script that does not part its words.
_UNPARTED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNPARTED}]|(?:(?![{_UNPARTED}])\w)+")
_VALUE_CLAUSES = ("term", "terms", "match", "match_phrase")


@dataclass(frozen=True, slots=True)
class Seen:
    """What rules look at: the folded query, values filtered by, context, seconds since the epoch.

    Values are in the form of `folded`, by field or key.
    """

    text: str
    words: tuple[str, ...]
    distinct: frozenset[str]
    filters: Mapping[str, frozenset[str]]
    context: Mapping[str, frozenset[str]]
    now: float


def seen(text: str, filters: Sequence[Any], context: Mapping[str, Any], now: float) -> Seen:
    """A search as rules see it."""
    key = query_key(text)
    words = tuple(_WORD.findall(key))
    return Seen(
        text=key,
        words=words,
        distinct=frozenset(words),
        filters=_collected(filtered_by(filters)),
        context={name: frozenset(_each(value)) for name, value in context.items()},
        now=now,
    )


def filtered_by(filters: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Fields and values that every hit must have one of, as plain filters name them."""
    for query in filters:
        if not isinstance(query, Mapping):
            continue
        for kind, body in query.items():
            if not isinstance(body, Mapping):
                continue
            if kind == "bool":
                required = (*clause.clauses(body.get("filter")), *clause.clauses(body.get("must")))
                yield from filtered_by(required)
            elif kind == "constant_score":
                yield from filtered_by([body.get("filter")])
            elif kind in _VALUE_CLAUSES:
                yield from _values(body)


def folded(value: Any) -> str:
    """A value as text in the form in which all are compared."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return query_key(str(value))


class RuleSet:
    """The rules of one index, in the order of their ids, ready to be held against searches."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.rules = tuple(sorted(rules, key=lambda rule: rule.id))
        self._conditions = [(_Condition(rule), rule) for rule in self.rules if rule.enabled]

    def __bool__(self) -> bool:
        return bool(self._conditions)

    def without_queries(self) -> "RuleSet":
        """These rules but for those that make Elasticsearch ask more; the same where none does."""
        kept = [it for it in self.rules if not it.then.has_query]
        return self if len(kept) == len(self.rules) else RuleSet(kept)

    def matching(self, search: Seen) -> list[Rule]:
        """The rules that hold."""
        return [rule for condition, rule in self._conditions if condition.holds(search)]


NO_RULES = RuleSet()


class _Condition:
    """When a rule holds, with its texts folded once."""

    def __init__(self, rule: Rule) -> None:
        when = rule.when
        self._form = None if when.query is None else _Form(when.query)
        self._filters = [(name, {*map(folded, it)}) for name, it in when.filters.items()]
        self._context = [(name, {*map(folded, it)}) for name, it in when.context.items()]
        self._starts = when.starts.timestamp() if when.starts else None
        self._ends = when.ends.timestamp() if when.ends else None

    def holds(self, search: Seen) -> bool:
        if self._starts is not None and search.now < self._starts:
            return False
        if self._ends is not None and search.now >= self._ends:
            return False
        return (
            (self._form is None or self._form.fits(search))
            and all(values & search.filters.get(name, set()) for name, values in self._filters)
            and all(values & search.context.get(name, set()) for name, values in self._context)
        )


class _Form:
    """A query's form, folded."""

    def __init__(self, form: QueryForm) -> None:
        self._exact = {query_key(text) for text in form.exact}
        self._prefixes = tuple(query_key(text) for text in form.prefix)
        self._patterns = [query_key(text).split("*") for text in form.pattern]
        self._words = [_Words(text) for text in form.words]

    def fits(self, search: Seen) -> bool:
        return (
            search.text in self._exact
            or search.text.startswith(self._prefixes)
            or any(it.are_in(search.words, search.distinct) for it in self._words)
            or any(_fits_pattern(search.text, parts) for parts in self._patterns)
        )


class _Words:
    """Words that a query must have; those of one chunk beside each other."""

    def __init__(self, text: str) -> None:
        chunks = [tuple(_WORD.findall(chunk)) for chunk in query_key(text).split()]
        self._needed = frozenset(word for chunk in chunks for word in chunk)
        self._beside = [chunk for chunk in chunks if len(chunk) > 1]

    def are_in(self, words: Sequence[str], distinct: frozenset[str]) -> bool:
        if not self._needed or not self._needed <= distinct:
            return False
        return all(
            any(tuple(words[at : at + len(chunk)]) == chunk for at in range(len(words)))
            for chunk in self._beside
        )


def _fits_pattern(text: str, parts: Sequence[str]) -> bool:
    """Whether the parts stand in the text in their order, the outer ones at its ends."""
    if len(parts) == 1:
        return text == parts[0]
    first, *inner, last = parts
    if not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in inner:
        found = text.find(part, at, max(end, at))
        if found < 0:
            return False
        at = found + len(part)
    return at <= end


def _values(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, asked in body.items():
        if name in ("boost", "_name"):
            continue
        value = asked
        if isinstance(asked, Mapping):
            value = asked.get("value", asked.get("query"))
        for one in _each(value):
            yield name, one


def _each(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list | tuple) else (value,):
        if isinstance(one, str | bool | int | float):
            yield folded(one)


def _collected(pairs: Iterator[tuple[str, str]]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for name, value in pairs:
        found.setdefault(name, set()).add(value)
    return {name: frozenset(values) for name, values in found.items()}
