"""Reading a query of the client: the text it asks, and what of it holds for every leg. Pure.

Text counts only where it scores. What a client put under `filter` or `must_not` is a filter,
whatever its kind, and holds for the kNN leg as it stands. So does a query string whose operators
demand something: what it leaves out, no leg may bring back.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from reranker.retrieval import syntax

Clause = Mapping[str, Any]

_FIELD_TEXT = frozenset({"match", "match_phrase", "match_phrase_prefix", "match_bool_prefix"})
_PLAIN_TEXT = frozenset({"multi_match", "combined_fields"})
_WRAPPERS = {"function_score": "query", "script_score": "query", "boosting": "positive"}
_JOINING = frozenset({"nested", "has_child", "has_parent"})


def text_of(query: object) -> str:
    """What the query asks in words, joined; empty when it asks none.

    Clients also ask word by word, or the same in several cases: what another text says counts once.
    """
    said: dict[str, str] = {}
    for text in _texts(query):
        said.setdefault(f" {text.casefold()} ", text)
    return " ".join(
        text
        for words, text in said.items()
        if not any(words in longer for longer in said if longer != words)
    )


def with_terms(query: Clause, exact: Collection[str]) -> Clause:
    """The query with a term for each match of a field that is not analysed: it finds and scores
    the same, but its value is no word that anybody typed.
    """
    kind, body = _single(query)
    if not isinstance(body, Mapping):
        return query
    if kind in ("match", "match_phrase"):
        return _as_term(query, body, exact)
    names = _within(kind, body)
    if not names or not exact:
        return query
    return {
        kind: {
            name: _each(part, lambda one: with_terms(one, exact)) if name in names else part
            for name, part in body.items()
        }
    }


def _as_term(query: Clause, body: Clause, exact: Collection[str]) -> Clause:
    field, asked = next(iter(body.items()), ("", None))
    said = asked if isinstance(asked, Mapping) else {"query": asked}
    if len(body) != 1 or field not in exact or set(said) - {"query", "boost", "_name", "operator"}:
        return query
    if type(said.get("query")) not in (str, int, float, bool):
        return query
    beside = {name: said[name] for name in ("boost", "_name") if name in said}
    return {"term": {field: {"value": said["query"], **beside}}}


def filters_of(query: object) -> list[dict[str, Any]]:
    """Clauses that a hit of any leg must satisfy: the query without the text that scores."""
    condition = _condition(query)
    return [] if condition is None else [condition]


def mentions(value: object, field: str) -> bool:
    """Whether a clause or list of clauses names `field` anywhere."""
    if isinstance(value, Mapping):
        return any(
            key == field or entry == field or mentions(entry, field) for key, entry in value.items()
        )
    if isinstance(value, list):
        return any(mentions(entry, field) for entry in value)
    return False


def clauses(value: object) -> list[Any]:
    """One clause or a list of them, as Elasticsearch accepts both."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _single(query: object) -> tuple[str, Any]:
    """Kind and body of a clause; ("", None) for what is not one."""
    if isinstance(query, Mapping) and len(query) == 1:
        return next(iter(query.items()))
    return "", None


def _wrapping(kind: str, body: Mapping[str, Any]) -> str:
    """Where a clause has the query that it only scores otherwise; empty for one that has none, and
    where documents are pinned: that order is the client's own.
    """
    if kind == "pinned" and not (body.get("ids") or body.get("docs")):
        return "organic"
    return _WRAPPERS.get(kind, "")


def _texts(query: object) -> Iterator[str]:
    kind, body = _single(query)
    if not isinstance(body, Mapping):
        return
    if kind in _FIELD_TEXT or kind in _PLAIN_TEXT or kind in syntax.KINDS:
        yield from _own_text(kind, body)
    elif kind == "bool":
        for part in (*clauses(body.get("must")), *clauses(body.get("should"))):
            yield from _texts(part)
    elif kind == "dis_max":
        for part in clauses(body.get("queries")):
            yield from _texts(part)
    elif place := _wrapping(kind, body):
        yield from _texts(body.get(place))


def _own_text(kind: str, body: Mapping[str, Any]) -> Iterator[str]:
    if kind in syntax.KINDS:
        value: Any = syntax.meaning(kind, body).words
    elif kind in _FIELD_TEXT:
        asked = next((v for k, v in body.items() if k not in ("boost", "_name")), None)
        value = asked.get("query") if isinstance(asked, Mapping) else asked
    else:
        value = body.get("query")
    if isinstance(value, str) and (words := " ".join(value.split())):
        yield words


def _condition(query: object) -> dict[str, Any] | None:
    """What of a scoring clause must hold for every hit; None when nothing does."""
    kind, body = _single(query)
    if not kind or kind == "match_all":
        return None
    if kind == "bool" and isinstance(body, Mapping):
        return _bool_condition(body)
    if isinstance(body, Mapping) and (place := _wrapping(kind, body)):
        return _condition(body.get(place))
    if kind == "dis_max" and isinstance(body, Mapping) and text_of(query):
        parts = _each_condition(clauses(body.get("queries")))
        return {"bool": {"should": parts, "minimum_should_match": 1}} if parts else None
    if text_of(query) and not _demands(kind, body):
        return None
    return {kind: body}


def _demands(kind: str, body: Any) -> bool:
    """Whether the operators of a query string hold for every hit."""
    return kind in syntax.KINDS and syntax.meaning(kind, body).demands


def _each_condition(parts: list[Any]) -> list[Any]:
    """What must hold for a hit by each of the parts; none where one of them is words alone."""
    found = [_condition(part) if text_of(part) else part for part in parts]
    return [] if None in found else found


def _bool_condition(body: Mapping[str, Any]) -> dict[str, Any] | None:
    must = [c for part in clauses(body.get("must")) if (c := _condition(part)) is not None]
    kept: dict[str, Any] = {"filter": [*clauses(body.get("filter")), *must]}
    if must_not := clauses(body.get("must_not")):
        kept["must_not"] = must_not
    should = clauses(body.get("should"))
    if should and _should_is_required(body) and (parts := _each_condition(should)):
        kept["should"] = parts
        kept["minimum_should_match"] = body.get("minimum_should_match", 1)
    kept = {name: part for name, part in kept.items() if part}
    if list(kept) == ["filter"] and len(kept["filter"]) == 1:
        only = kept["filter"][0]
        return dict(only) if isinstance(only, Mapping) else {"bool": kept}
    return {"bool": kept} if kept else None


def _should_is_required(body: Mapping[str, Any]) -> bool:
    """Elasticsearch's default: a should clause is needed where nothing else must match."""
    wanted = body.get("minimum_should_match")
    if wanted is not None:
        return str(wanted) not in ("0", "0%")
    return not (body.get("must") or body.get("filter"))


def has_key(value: object, names: tuple[str, ...]) -> bool:
    """Whether any of the keys `names` stands anywhere in a clause."""
    if isinstance(value, Mapping):
        return any(key in names or has_key(entry, names) for key, entry in value.items())
    if isinstance(value, list):
        return any(has_key(entry, names) for entry in value)
    return False


def without_inner_hits(value: Any) -> Any:
    """The clause finding the same documents without showing what within them matched: a search may
    show that under one name only once, so a clause that stands in it twice must not.
    """
    if isinstance(value, list):
        return [without_inner_hits(entry) for entry in value]
    if not isinstance(value, Mapping):
        return value
    return {key: without_inner_hits(_silent(key, entry)) for key, entry in value.items()}


def _silent(kind: str, body: Any) -> Any:
    if kind not in _JOINING or not isinstance(body, Mapping):
        return body
    return {name: part for name, part in body.items() if name != "inner_hits"}


def with_text(query: Clause, text: str) -> Clause:
    """The query asking `text` wherever it asked words that score; filters stay as they are, and so
    does a query string whose operators demand something.
    """
    kind, body = _single(query)
    if not isinstance(body, Mapping) or _demands(kind, body):
        return query
    if kind in _FIELD_TEXT:
        return {kind: {name: _asking(name, part, text) for name, part in body.items()}}
    if kind in _PLAIN_TEXT or kind in syntax.KINDS:
        words = syntax.without_operators(text) if kind in syntax.KINDS else text
        return {kind: {**body, "query": words}}
    names = _within(kind, body)
    return {
        kind: {
            name: _each(part, lambda one: with_text(one, text)) if name in names else part
            for name, part in body.items()
        }
    }


def _within(kind: str, body: Clause) -> tuple[str, ...]:
    """The parts of a compound clause that score."""
    inner = {"bool": ("must", "should"), "dis_max": ("queries",)}.get(kind, ())
    wrapped = _wrapping(kind, body)
    return (*inner, wrapped) if wrapped else inner


def _asking(name: str, part: Any, text: str) -> Any:
    if name in ("boost", "_name"):
        return part
    return {**part, "query": text} if isinstance(part, Mapping) else text


def _each(value: Any, change: Callable[[Clause], Clause]) -> Any:
    if isinstance(value, list):
        return [change(part) if isinstance(part, Mapping) else part for part in value]
    return change(value) if isinstance(value, Mapping) else value
