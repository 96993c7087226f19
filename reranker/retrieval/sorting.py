"""A client's `sort`: by score alone, by score with others to break ties, or otherwise. Pure."""

from collections.abc import Mapping
from typing import Any


def tie_breakers(sort: object) -> list[Any] | None:
    """What breaks ties behind the score; empty for nothing, None where it is not the best score
    that comes first.
    """
    if sort is None:
        return []
    first, *rest = _keys(sort) or [None]
    if not _best_score_first(first) or any(map(_by_score, rest)):
        return None
    return rest


def is_after(search_after: object, ties: list[Any]) -> bool:
    """Whether this says after which hit of such an order a page begins."""
    if not ties or not isinstance(search_after, list) or len(search_after) != len(ties) + 1:
        return False
    return isinstance(search_after[0], int | float) and not isinstance(search_after[0], bool)


def _keys(sort: object) -> list[Any]:
    """Each key by itself, as Elasticsearch also takes several in one object."""
    keys: list[Any] = []
    for part in sort if isinstance(sort, list) else [sort]:
        if isinstance(part, Mapping):
            keys += [{name: said} for name, said in part.items()]
        else:
            keys.append(part)
    return keys


def _by_score(key: object) -> bool:
    return key == "_score" or (isinstance(key, Mapping) and "_score" in key)


def _best_score_first(key: object) -> bool:
    if not isinstance(key, Mapping):
        return key == "_score"
    said = key.get("_score")
    if isinstance(said, Mapping):
        said = said.get("order", "desc") if set(said) <= {"order"} else None
    return isinstance(said, str) and said.lower() == "desc"
