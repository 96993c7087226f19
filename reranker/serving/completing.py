"""How a search may go on by the catalogue itself: its titles, brands and categories.

What shoppers searched for with success goes first; this is what a shop has that nobody has searched
for yet. It is read with the rights of whoever asks.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from indexer.behaviour.event import query_key
from indexer.catalogue.mapping import IndexConfig
from indexer.catalogue.reading import values_at
from indexer.errors import ElasticsearchUnavailable
from reranker.retrieval.node import JSON, LateAnswer, Nodes
from reranker.serving.suggesting import UNPARTED

# Products that are looked through; a brand or category goes by how many of them have it.
LOOKED_AT = 100
_NAMES = ("brand", "categories")


class Incomplete(Exception):
    """The catalogue did not answer; `str()` is the reason that the answer names."""


def ask(
    nodes: Nodes,
    index: str,
    config: IndexConfig,
    text: str,
    *,
    narrowing: Sequence[Mapping[str, Any]],
    headers: Mapping[str, str],
    timeout_seconds: float,
) -> list[str]:
    """Completions of `text`, best first, as the catalogue spells them, of products that satisfy
    `narrowing`; raises Incomplete.
    """
    if not query_key(text):
        return []
    try:
        answer = nodes.ask(
            "POST",
            f"/{index}/_search",
            orjson.dumps(body(config, text, narrowing)),
            {"Content-Type": JSON, "Accept": JSON, **headers},
            timeout_seconds=timeout_seconds,
        )
    except LateAnswer:
        raise Incomplete("deadline") from None
    except ElasticsearchUnavailable:
        raise Incomplete("elasticsearch_unavailable") from None
    if answer.status != 200:
        raise Incomplete("elasticsearch_refused")
    hits = orjson.loads(answer.body)["hits"]["hits"]
    return completions(config, text, [hit.get("_source") or {} for hit in hits])


def body(config: IndexConfig, text: str, narrowing: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The search for products whose title has `text`, the last word of it begun, or whose brand or
    category begins so.
    """
    title, *names = map(config.theirs, ("title", *_NAMES))
    titled = {
        "query": text,
        "fields": [title, f"{title}.*"],  # some shops' titles are keywords, their words within
        "type": "phrase_prefix",
        "lenient": True,
    }
    begun = [{"prefix": {it: {"value": text.strip(), "case_insensitive": True}}} for it in names]
    return {
        "query": {
            "bool": {
                "should": [{"multi_match": titled}, *begun],
                "minimum_should_match": 1,
                "filter": list(narrowing),
            }
        },
        "size": LOOKED_AT,
        "_source": [title, *names],
        "track_total_hits": False,
    }


def completions(config: IndexConfig, text: str, sources: Iterable[Mapping[str, Any]]) -> list[str]:
    """Brands and categories that begin as `text` does, those of most products first; then titles
    that do, then titles with a word that does, in the order of the search. Pure.
    """
    begun = query_key(text)
    within = begun if UNPARTED.search(begun) else f" {begun}"
    named: Counter[str] = Counter()
    first: list[str] = []
    others: list[str] = []
    for source in sources:
        for ours in _NAMES:
            named.update(
                it for it in _texts(source, config.theirs(ours)) if query_key(it).startswith(begun)
            )
        for title in _texts(source, config.theirs("title")):
            key = query_key(title)
            if key.startswith(begun):
                first.append(title)
            elif within in key:
                others.append(title)
    kept: dict[str, str] = {}
    for it in (*(name for name, _ in named.most_common()), *first, *others):
        kept.setdefault(query_key(it), it)
    kept.pop(begun, None)
    return list(kept.values())


def _texts(source: Mapping[str, Any], path: str) -> Iterator[str]:
    return (it for it in values_at(source, path) if isinstance(it, str) and it)
