"""A search body and its URL's parameters as one body, its values as Elasticsearch reads them. Pure.

Text stands for numbers and flags there too, as forms send it. What Elasticsearch would refuse stays
as it is, so that it can.
"""

import re
from collections.abc import Mapping
from typing import Any

FOLDED_NUMBERS = ("from", "size", "terminate_after")
LEG_PARAMS = (
    *("preference", "routing", "search_type", "request_cache", "allow_no_indices"),
    *("expand_wildcards", "ignore_unavailable", "allow_partial_search_results"),
)
ANSWER_FLAGS = (
    *("pretty", "human", "typed_keys", "rest_total_hits_as_int", "error_trace"),
    "ccs_minimize_roundtrips",
)
# Numbers that tell the cluster how to work, each with the least that it takes.
ANSWER_NUMBERS = {
    "pre_filter_shard_size": 1,
    "batched_reduce_size": 2,
    "max_concurrent_shard_requests": 1,
}
# A number in text is one of Java's: `3`, `+3` and `3.7` are three.
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)
INT_MAX = 2**31 - 1
_FLAGS = {"true": True, "false": False, "": False}
BODY_FLAGS = ("explain", "version", "seq_no_primary_term", "track_scores")


def answered_as_asked(name: str, value: str) -> bool:
    """Whether a parameter only says how to answer, in a way that Elasticsearch takes."""
    if name in ANSWER_FLAGS:
        return value in ("true", "false", "")
    if name in ANSWER_NUMBERS:
        return value.isdecimal() and int(value) >= ANSWER_NUMBERS[name]
    return name == "filter_path"


def fold(body: Mapping[str, Any], params: Mapping[str, str]) -> dict[str, Any] | str:
    """The body with the URL's parameters in it, which win; or why it cannot be ranked."""
    folded = _as_read(body)
    for name, value in params.items():
        if name in LEG_PARAMS or answered_as_asked(name, value):
            continue
        if name in FOLDED_NUMBERS and value.isascii() and value.isdecimal():
            folded[name] = int(value)
        elif name in BODY_FLAGS and value in ("true", "false", ""):
            folded[name] = value != "false"
        elif name == "track_total_hits" and (value.isdecimal() or value in ("true", "false")):
            folded[name] = int(value) if value.isdecimal() else value == "true"
        elif name == "timeout":
            folded[name] = value
        elif name == "q":
            folded["query"] = {"query_string": _query_string(params)}
        elif name in ("_source", "_source_includes", "_source_excludes"):
            folded["_source"] = _source_filter(params)
        elif name not in ("df", "default_operator"):
            return f"parameter_{name}"
    return folded


def _query_string(params: Mapping[str, str]) -> dict[str, Any]:
    asked: dict[str, Any] = {"query": params["q"]}
    if "df" in params:
        asked["default_field"] = params["df"]
    if "default_operator" in params:
        asked["default_operator"] = params["default_operator"]
    return asked


def _source_filter(params: Mapping[str, str]) -> bool | dict[str, list[str]]:
    whole = params.get("_source")
    if whole in ("true", "false"):
        return whole == "true"
    includes = whole or params.get("_source_includes")
    excludes = params.get("_source_excludes")
    named = {"includes": includes, "excludes": excludes}
    return {name: value.split(",") for name, value in named.items() if value}


def _as_read(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with numbers and flags for the texts that Elasticsearch takes for them."""
    read = dict(body)
    for name in BODY_FLAGS:
        if name in read:
            read[name] = _flag(read[name])
    for name in ("from", "size"):
        if name in read:
            read[name] = _number(read[name])
    if read.get("track_total_hits"):
        read["track_total_hits"] = _number(_flag(read["track_total_hits"]))
    if read.get("sort") in ([], {}, [{}]):
        del read["sort"]
    return read


def _flag(value: Any) -> Any:
    return _FLAGS.get(value, value) if isinstance(value, str) else value


def _number(value: Any) -> Any:
    """The whole number that Elasticsearch makes of a value, else the value."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        number = float(value)
    elif isinstance(value, float):
        number = value
    else:
        return value
    return int(number) if abs(number) <= INT_MAX else value
