"""What the sources of a recommendation propose, and what the shopper's items are called.

Elasticsearch is asked once for all that it knows, while the other sources propose.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from indexer.behaviour import trending
from indexer.behaviour.popularity import CART, PURCHASE
from indexer.behaviour.shopper_profile import ShopperProfile
from indexer.errors import ElasticsearchUnavailable, ValkeyUnavailable
from reranker.recommend import sources, taste_index
from reranker.recommend.proposals import SHARES, SHARES_BESIDE_SEEDS, Proposals, merged
from reranker.recommend.sources import NOTHING, PER_SOURCE, WINDOW, Ranked
from reranker.recommend.wish import Wish
from reranker.retrieval.candidates import NoIdColumn, named_hits
from reranker.retrieval.fetch import Refused
from reranker.retrieval.node import JSON, LateAnswer
from reranker.retrieval.query import IDS_BY_COLUMN
from reranker.retrieval.request import rights
from reranker.retrieval.several import Several
from reranker.serving import titles
from reranker.serving.deadline import Deadline
from reranker.serving.models import Loaded
from reranker.serving.process import Process
from reranker.serving.titles import Named
from reranker.signals.past import Past

SEARCH_SHARE = 0.6
TITLES = "titles"
NAMELESS = {"own", "trending"}  # whose reasons name no item
AWAY, LATE = "elasticsearch_unavailable", "deadline"
# The index of the serving model's vectors is gone, or the client may not read it.
NO_VECTORS = "collaborative_unavailable"
NONE_NEAR: Mapping[str, Any] = {"hits": {"hits": ()}}
Vector = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Basis:
    """What is known before any item is proposed.

    `start` is what sources start from, `mine` the same without what other indices lend; `whole`
    makes the shopper's past with the seeds as its newest items.
    """

    start: Past
    mine: Past
    board: bytes | None
    loaded: Loaded | None
    whole: Callable[[], Past]

    @cached_property
    def past(self) -> Past:
        """The past that the proposals are ranked by."""
        return self.whole()


@dataclass(frozen=True, eq=False)
class _Names:
    """What the shopper's items are called, and those of which that is to be read."""

    known: dict[str, Named]
    unknown: Sequence[str]


@dataclass(frozen=True, eq=False)
class Proposed:
    """What all sources propose, what the shopper's items are called, why something is missing."""

    proposals: Proposals
    called: Mapping[str, Named]
    degraded: str | None = None


def gathered(process: Process, wish: Wish, basis: Basis, deadline: Deadline) -> Proposed:
    """Elasticsearch looks for neighbours and names while the other sources propose."""
    index, start = wish.generation.index, basis.start
    names = _names(process, wish, start)
    asking = None
    with suppress(ElasticsearchUnavailable):
        asking = _ask(process, wish, basis, names, deadline)
    start.prepare()  # while Elasticsearch searches
    past = basis.past.prepare()
    if basis.loaded is not None:
        past.taste(basis.loaded.item_table)
    found = {
        "own": lambda: sources.own(basis.mine, PER_SOURCE),
        "bought_together": lambda: sources.together(
            start, lambda items: process.memory.names(index, items), PER_SOURCE
        ),
        "trending": lambda: sources.popular(
            basis.board, trending.BOARD_MAX if wish.must else PER_SOURCE
        ),
    }
    lists = {name: found[name]() if name in found else NOTHING for name in wish.sources}
    if wish.strategy == "hybrid":
        _recall(process, index, lists)
    near, missing = _answered(process, wish, basis, names, asking, deadline)
    lists |= {name: near[name] for name in wish.sources if name in near}
    if wish.must:
        lists = _matching(process, wish, lists, deadline)
    # A model has learned from lists merged in the usual way, and says itself what goes with seeds.
    shares = SHARES_BESIDE_SEEDS if wish.seeds and basis.loaded is None else SHARES
    without = {*wish.seeds, *unwanted(wish, past.shopper), *wish.hidden}
    proposals = merged(lists, window=WINDOW, without=without, shares=shares)
    return Proposed(proposals, names.known, missing)


def unwanted(wish: Wish, shopper: ShopperProfile) -> Sequence[str]:
    """What is not to be offered to this shopper: all that was touched, where no repeats are wanted,
    else what was dismissed and neither bought nor put in a cart.
    """
    if not wish.repeats:
        return shopper.ids(len(shopper))
    taken = (shopper.records["count"][:, [CART, PURCHASE]] > 0).any(axis=1)
    rows = np.flatnonzero((shopper.records["dismissed"] > 0) & ~taken).tolist()
    return [shopper.every_id[row] for row in rows] if rows else ()


def _recall(process: Process, index: str, lists: Mapping[str, Ranked]) -> None:
    """Read what the ranking of these items asks for, while Elasticsearch still searches."""
    ids = dict.fromkeys(it for ranked in lists.values() for it in ranked.ids[:PER_SOURCE])
    with suppress(ValkeyUnavailable):  # the ranking asks once more, and says so
        process.memory.items(index, list(ids))


def _names(process: Process, wish: Wish, start: Past) -> _Names:
    """What the items that a reason may name are called, where that was read a moment ago."""
    if not len(start.history) or NAMELESS.issuperset(wish.sources):
        return _Names({}, ())
    ids = start.shopper.ids(len(start.history))
    known = process.names.find(wish.asked_at, rights(wish.headers), ids)
    return _Names(known, [item_id for item_id in ids if item_id not in known])


def _ask(process: Process, wish: Wish, basis: Basis, names: _Names, deadline: Deadline) -> Several:
    """Send for what lies nearest to the past, by what is bought alike and by what it is about, and
    for the names of its items that are not known.
    """
    generation, start = wish.generation, basis.start
    searches: dict[str, tuple[str, Mapping[str, Any]]] = {}
    if basis.loaded and len(start.history) and "collaborative" in wish.sources:
        rows = basis.loaded.item_table.lookup(start.history["item"], start.vectors)
        taste = sources.direction(rows, start.recency_share)
        if taste is not None:
            target = taste_index.name(generation.index, basis.loaded.version)
            searches["collaborative"] = (target, taste_index.search(taste, PER_SOURCE))
    text = sources.direction(start.vectors, start.recency_share)
    if text is not None and "content" in wish.sources:
        by_column = process.generations.has_id_column(generation)
        searches["content"] = (wish.asked_at, _by_content(text, wish, by_column=by_column))
    if names.unknown:
        searches[TITLES] = (wish.asked_at, titles.body(generation, names.unknown))
    return Several(
        process.nodes,
        searches,
        wish.headers,
        ours=("collaborative",),  # nobody has rights to an index of ours; what it names is checked
        timeout_seconds=deadline.left(SEARCH_SHARE),
    )


def _by_content(vector: Vector, wish: Wish, *, by_column: bool) -> dict[str, Any]:
    knn: dict[str, Any] = {
        "field": wish.generation.config.vector_field,
        "query_vector": vector,
        "k": PER_SOURCE,
        "num_candidates": PER_SOURCE,
    }
    if wish.must:
        knn["filter"] = wish.must
    ids = IDS_BY_COLUMN if by_column else {"_source": False}
    return {"query": {"knn": knn}, "size": PER_SOURCE, "track_total_hits": False, **ids}


def _answered(
    process: Process,
    wish: Wish,
    basis: Basis,
    names: _Names,
    asking: Several | None,
    deadline: Deadline,
) -> tuple[dict[str, Ranked], str | None]:
    """Neighbours by source, and why there are none; `names` is told what was read.

    A source that failed proposes nothing: the filter is refused, which `_matching` tells, or the
    vectors of behaviour are not there or not for this client.
    """
    if asking is None:
        return {}, AWAY
    try:
        found = asking.finish(deadline.left(SEARCH_SHARE))
        content = named_hits(it if "hits" in (it := found.get("content", {})) else None)
    except LateAnswer:
        return {}, LATE
    except ElasticsearchUnavailable:
        return {}, AWAY
    except NoIdColumn:
        process.generations.note_without_ids(wish.generation)
        again = _ask(process, wish, basis, names, deadline)
        return _answered(process, wish, basis, names, again, deadline)
    by_behaviour = found.get("collaborative", NONE_NEAR)
    alike = by_behaviour.get("hits", NONE_NEAR["hits"])["hits"]
    near = {
        "collaborative": _ranked(taste_index.ids(alike), alike),
        "content": _ranked([hit["_id"] for hit in content], content),
    }
    if TITLES in found:
        _learn(process, wish, names, found[TITLES])
    return near, None if "hits" in by_behaviour else NO_VECTORS


def _learn(process: Process, wish: Wish, names: _Names, response: Mapping[str, Any]) -> None:
    """Take the names from the response to a search for them, and remember a whole one."""
    read = titles.named_in(wish.generation, response)
    names.known.update(read)
    if titles.is_whole(response):
        everyone = {item_id: read.get(item_id, titles.UNNAMED) for item_id in names.unknown}
        process.names.keep(wish.asked_at, rights(wish.headers), everyone)


def _ranked(ids: Sequence[str], hits: Sequence[Mapping[str, Any]]) -> Ranked:
    return sources.nearest(ids, [hit["_score"] for hit in hits])


def _matching(
    process: Process, wish: Wish, lists: Mapping[str, Ranked], deadline: Deadline
) -> dict[str, Ranked]:
    """The lists without what the filters do not match; each as long as it is without them."""
    ids = sorted({item_id for found in lists.values() for item_id in found.ids})
    query = {"bool": {"filter": [{"ids": {"values": ids}}, *wish.must]}}
    hits = search(process, wish, {"query": query, "size": max(len(ids), 1)}, deadline)
    kept = {hit["_id"] for hit in hits}
    return {name: _only(found, kept) for name, found in lists.items()}


def _only(found: Ranked, kept: set[str]) -> Ranked:
    rows = [row for row, item_id in enumerate(found.ids) if item_id in kept][:PER_SOURCE]
    return Ranked([found.ids[row] for row in rows], found.scores[rows])


def search(
    process: Process, wish: Wish, body: Mapping[str, Any], deadline: Deadline
) -> list[dict[str, Any]]:
    """Hits of a search by their ids; raises fetch.Refused."""
    answer = process.nodes.ask(
        "POST",
        f"/{wish.asked_at}/_search",
        orjson.dumps({"_source": False, "track_total_hits": False, **body}),
        {"Content-Type": JSON, "Accept": JSON, **wish.headers},
        timeout_seconds=deadline.left(),
    )
    if answer.status != 200:
        raise Refused(answer)
    hits: list[dict[str, Any]] = orjson.loads(answer.body)["hits"]["hits"]
    return hits
