"""What rules hide, hidden as well from searches that are not ranked: sorted ones, lists of a
category. Nothing else of such a search changes.

Left alone are what reads an index rather than shows it (scrolls, points in time, lists without text
and without a filter by value), and whatever asks to be let through.
"""

from typing import Any

import orjson
from flask import request

from indexer.catalogue.generation import Generation
from reranker.retrieval import clause
from reranker.retrieval.request import PassThrough, strip
from reranker.routes.access import process
from reranker.routes.sent import Sent
from reranker.rules import effects, matching

# Where these stand, the query is elsewhere or is not all that finds.
ELSEWHERE = frozenset({"pit", "retriever", "rank", "sub_searches"})
ELSEWHERE_PARAMS = frozenset({"q", "scroll"})


def by_rules(sent: Sent, asked: PassThrough, generation: Generation) -> bytes | None:
    """The body under what the rules hide and filter by; None where they leave it as it is."""
    rules = process().rules.find(generation.index)
    if not rules or sent.body is None or asked.reason == "off":
        return None
    if ELSEWHERE & sent.body.keys() or ELSEWHERE_PARAMS & request.args.keys():
        return None
    body, ubi, hitweave = strip(sent.body)
    if None in body.values():
        return None
    query = body.get("query") or {}
    legs = [query, *clause.clauses(body.get("knn"))]
    if not all(isinstance(leg, dict) for leg in legs):
        return None
    text = str(ubi.get("user_query") or "").strip() or clause.text_of(query)
    filters = [query, *clause.clauses(body.get("post_filter"))]
    seen = matching.seen(text, filters, _context(hitweave), process().clock())
    if not text and not seen.filters:
        return None
    hiding = effects.of(rules.matching(seen)).narrowing
    return orjson.dumps(effects.satisfying(body, hiding)) if hiding else None


def _context(hitweave: dict[str, Any]) -> dict[str, Any]:
    found = hitweave.get("context")
    return found if isinstance(found, dict) else {}
