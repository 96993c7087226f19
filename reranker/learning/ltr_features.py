"""What Elastic's own Learning to Rank can see of a document for a query; pure.

It knows templated queries and their scores, so behaviour is not among them: what shoppers did
reaches such a model through its teacher alone. Where a query does not match, a feature is 0.
"""

from collections.abc import Collection, Sequence
from typing import Any

from indexer.catalogue.mapping import IndexConfig

QUERY = "{{query}}"
NUMBERS = ("popularity", "price")
Features = dict[str, dict[str, Any]]


def numeric_fields(config: IndexConfig) -> dict[str, str]:
    """Our name → theirs of the fields that are read as numbers."""
    return {name: config.theirs(name) for name in NUMBERS}


def features(config: IndexConfig, there: Collection[str]) -> Features:
    """Name → templated query, of an index whose numeric fields are `there` (our names)."""
    fields = [field.split("^")[0] for field in config.search_fields]
    title = _words_of(config.theirs("title"), fields)
    found: Features = {"all": {"multi_match": {"query": QUERY, "fields": [*config.search_fields]}}}
    found |= {f"match_{field}": {"match": {field: QUERY}} for field in fields}
    every_word = {"match": {title: {"query": QUERY, "operator": "and"}}}
    found["title_every_word"] = {"constant_score": {"filter": every_word}}
    found["title_phrase"] = {"constant_score": {"filter": {"match_phrase": {title: QUERY}}}}
    for name in NUMBERS:
        if name in there:
            found[name] = _number(config.theirs(name))
    return found


def _words_of(field: str, searched: Sequence[str]) -> str:
    """Where a field's words are searched: in itself, or in the text within it."""
    within = (name for name in searched if name.startswith(f"{field}."))
    return field if field in searched else next(within, field)


def _number(field: str) -> dict[str, Any]:
    """ln(1 + value) of a field as a score."""
    value = {"field": field, "modifier": "ln1p", "missing": 0}
    return {
        "function_score": {
            "query": {"exists": {"field": field}},
            "field_value_factor": value,
            "boost_mode": "replace",
        }
    }


def values_of(found: Features, query: str, ids: Sequence[str]) -> dict[str, Any]:
    """A search whose hits carry each feature's score under its name, as Elastic's rescorer asks.

    For `GET _search?include_named_queries_score`; the templates are filled in here, since a node
    of the free parts may have none.
    """
    named = [
        {"bool": {"must": _filled(template, query), "_name": name}}
        for name, template in found.items()
    ]
    return {
        "query": {"bool": {"should": named, "filter": {"ids": {"values": list(ids)}}}},
        "size": len(ids),
        "_source": False,
    }


def _filled(template: Any, query: str) -> Any:
    if isinstance(template, dict):
        return {key: _filled(value, query) for key, value in template.items()}
    return query if template == QUERY else template


def model_config(found: Features) -> Any:
    """The same as eland's LTRModelConfig; what a query does not match scores 0."""
    from eland.ml.ltr import LTRModelConfig, QueryFeatureExtractor

    return LTRModelConfig(
        [QueryFeatureExtractor(name, query, default_score=0.0) for name, query in found.items()]
    )
