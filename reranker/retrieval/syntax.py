"""The two query languages that Elasticsearch reads out of a text: which words a person would say
of it, and whether its operators demand anything. Pure.

Read as Lucene's own parsers read them, so that what is an operator here is one there: `-` before a
word but not within `t-shirt`, `:` in a query string but not in a simple one. A query that Lucene
cannot parse is read as far as it goes; Elasticsearch refuses it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from indexer.catalogue.mapping import SEARCH_FIELDS

KINDS = frozenset({"query_string", "simple_query_string"})
FLAGS = (
    *("AND", "NOT", "OR", "PREFIX", "PHRASE", "PRECEDENCE", "ESCAPE", "WHITESPACE"),
    *("FUZZY", "NEAR"),
)  # in the order of their bits
_ALL = frozenset(FLAGS)
_OPERATORS = re.compile(
    r"""\b(?:AND|OR|NOT)\b | [\w.]+:(?=\S) | [~^][\d.]* | (?<!\S)[-+] | [!(){}\[\]"*?\\|&<>=]""",
    re.VERBOSE,
)
_QUERY_STRING = re.compile(
    r"""
      (?P<space>[ \t\n\r\u3000]+)
    | (?P<phrase>"(?:[^"\\]|\\.)*")
    | (?P<range>[\[{][^\[\]{}]*[\]}])
    | (?P<regex>/(?:[^/\\]|\\.)*/)
    | (?P<open>\() | (?P<close>\)) | (?P<colon>:) | (?P<sign>[-+!])
    | (?P<weight>[~^][\d.]*)
    | (?P<term>(?:[^ \t\n\r\u3000+\-!():^\[\]"{}~\\/]|\\.)(?:[^ \t\n\r\u3000!():^\[\]"{}~\\/]|\\.)*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WILDCARD = re.compile(r"(?<!\\)(?:\\\\)*[*?]")
_BLANK = " \t\n\r"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a text asks in words, and whether its operators leave out what words alone would not."""

    words: str
    demands: bool


def meaning(kind: str, body: Mapping[str, Any]) -> Meaning:
    """What a clause of one of `KINDS` means; no words where it has no text."""
    text = body.get("query")
    if not isinstance(text, str):
        return Meaning("", demands=False)
    heard = _Heard(strict=_all_needed(body))
    if kind == "query_string":
        _read_query_string(text, _named(body), heard)
    else:
        flags = _flags(body.get("flags"))
        _read_simple(list(_simple_tokens(text, flags)), heard)
    return Meaning(" ".join(" ".join(heard.words).split()), heard.demands)


def without_operators(text: str) -> str:
    """A text as plain words of either language."""
    return " ".join(_OPERATORS.sub(" ", text).split())


@dataclass(slots=True)
class _Heard:
    """What was read so far; `strict`: plain words are all needed, or a certain number of them.

    Then a choice that the client spelled out is a demand as well: it is no more of them.
    """

    strict: bool
    words: list[str] = field(default_factory=list)
    demands: bool = False
    _silent: list[bool] = field(default_factory=lambda: [False])
    _unheard: bool = False

    def demand(self, *, unheard: bool = False) -> None:
        """An operator that leaves out; the operand after it is none of the person's words."""
        self.demands = True
        self._unheard = self._unheard or unheard

    def choice(self) -> None:
        """An operator that only leaves open."""
        self.demands = self.demands or self.strict

    def operand(self, words: str = "") -> None:
        """A word, a phrase, or something without words."""
        if words and not (self._unheard or self._silent[-1]):
            self.words.append(words)
        self._unheard = False

    def opened(self) -> None:
        """A group begins; it is heard as an operand in its place is."""
        self.choice()
        self._silent.append(self._silent[-1] or self._unheard)
        self._unheard = False

    def closed(self) -> None:
        """The innermost group ends."""
        if len(self._silent) > 1:
            self._silent.pop()


def _all_needed(body: Mapping[str, Any]) -> bool:
    return (
        str(body.get("default_operator", "or")).lower() == "and" or "minimum_should_match" in body
    )


def _named(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Patterns of the fields whose values are words: those that are searched in anyway."""
    given = body.get("fields")
    asked = [*(given if isinstance(given, list) else [given]), body.get("default_field")]
    names = [str(name).partition("^")[0] for name in (*asked, *SEARCH_FIELDS) if name]
    return tuple(name for name in names if name.strip("*"))


def _is_text(name: str, named: Sequence[str]) -> bool:
    return name.endswith(".text") or any(fnmatchcase(name, pattern) for pattern in named)


def _read_query_string(text: str, named: Sequence[str], heard: _Heard) -> None:
    found = [(str(it.lastgroup), it[0]) for it in _QUERY_STRING.finditer(text)]
    tokens = [*found, ("space", " ")]
    qualified = False
    for at, (kind, part) in enumerate(found):
        if kind == "sign":
            # Before a space it is a word of its own, as in `lamp - red`.
            if tokens[at + 1][0] != "space":
                heard.demand(unheard=part != "+")
        elif kind == "term" and part in ("AND", "&&"):
            heard.demand()
        elif kind == "term" and part in ("OR", "||"):
            heard.choice()
        elif kind == "term" and part == "NOT":
            heard.demand(unheard=True)
        elif kind == "term" and _next(tokens, at) == "colon":
            qualified = True
            heard.demand(unheard=not _is_text(_plain(part), named))
        elif kind in ("term", "phrase", "range", "regex"):
            _operand(kind, part, heard, qualified=qualified)
            qualified = False
        elif kind == "open":
            heard.opened()
            qualified = False
        elif kind == "close":
            heard.closed()


def _operand(kind: str, part: str, heard: _Heard, *, qualified: bool) -> None:
    if kind in ("range", "regex") or (qualified and part[0] in "<>"):
        heard.demand()
        heard.operand()
    elif kind == "phrase":
        heard.demand()
        heard.operand(_plain(part[1:-1]))
    else:
        if _WILDCARD.search(part):
            heard.demand()
        heard.operand(_plain(_WILDCARD.sub(" ", part)))


def _next(tokens: Sequence[tuple[str, str]], at: int) -> str:
    return next((kind for kind, _ in tokens[at + 1 :] if kind != "space"), "")


def _plain(part: str) -> str:
    return _ESCAPED.sub(r"\1", part)


def _flags(given: object) -> frozenset[str]:
    """The operators that a simple query string has, as names or as bits; all where not given."""
    if isinstance(given, int) and not isinstance(given, bool):
        return frozenset(name for bit, name in enumerate(FLAGS) if given & (1 << bit))
    names = {name.strip().upper() for name in str(given or "ALL").split("|")}
    if "ALL" in names:
        return _ALL
    return frozenset("NEAR" if name == "SLOP" else name for name in names) & _ALL


def _simple_tokens(text: str, flags: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Tokens by kind: `and`, `or`, `not`, `open`, `close`, `space`, `phrase`, `prefix`, `term`."""
    signs = {"+": "AND", "|": "OR", "-": "NOT", "(": "PRECEDENCE", ")": "PRECEDENCE"}
    kinds = {"+": "and", "|": "or", "-": "not", "(": "open", ")": "close"}
    ends = {sign for sign, flag in signs.items() if flag in flags and sign != "-"}
    ends |= {'"'} if "PHRASE" in flags else set()
    ends |= set(_BLANK) if "WHITESPACE" in flags else set()
    at = 0
    while at < len(text):
        sign = text[at]
        if sign in signs and signs[sign] in flags:
            at += 1
            yield kinds[sign], sign
        elif sign in _BLANK and "WHITESPACE" in flags:
            at += 1
            yield "space", sign
        elif sign == '"' and "PHRASE" in flags:
            end = _end(text, at + 1, {'"'}, flags)
            closed = end < len(text)
            if closed:
                yield "phrase", _unescaped(text[at + 1 : end], flags)
            at = end + 1 if closed else at + 1
        else:
            end = _end(text, at, ends, flags)
            part = text[at:end]
            yield _simple_term(part, flags)
            at = end


def _simple_term(part: str, flags: frozenset[str]) -> tuple[str, str]:
    if "FUZZY" in flags or "NEAR" in flags:
        part = re.sub(r"(?<!\\)~\d*$", "", part)
    if "PREFIX" in flags and len(part) > 1 and _WILDCARD.search(part[-2:]) and part[-1] == "*":
        return "prefix", _unescaped(part[:-1], flags)
    return "term", "" if part == "*" else _unescaped(part, flags)


def _end(text: str, at: int, ends: set[str], flags: frozenset[str]) -> int:
    """Where a part that begins at `at` ends."""
    while at < len(text) and text[at] not in ends:
        at += 2 if text[at] == "\\" and "ESCAPE" in flags else 1
    return min(at, len(text))


def _unescaped(part: str, flags: frozenset[str]) -> str:
    return _plain(part) if "ESCAPE" in flags else part


def _read_simple(tokens: Sequence[tuple[str, str]], heard: _Heard) -> None:
    """An operator counts between operands alone: the end of `C++` joins nothing."""
    asked, begun = "", False
    negated = False
    for kind, part in tokens:
        if kind == "not":
            negated = not negated
            continue
        if kind in ("and", "or"):
            asked = asked or (kind if begun else "")
        elif kind == "close":
            heard.closed()
        elif kind != "space":
            _joined(asked, heard)
            if negated:
                heard.demand(unheard=True)
            asked, begun = "", kind != "open"
            if kind == "open":
                heard.opened()
            else:
                if kind != "term":
                    heard.demand()
                heard.operand(part)
        negated = False


def _joined(operator: str, heard: _Heard) -> None:
    if operator == "and":
        heard.demand()
    elif operator == "or":
        heard.choice()
