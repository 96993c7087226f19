"""Situations for tests: a small shop, made from real records and packed as the stores pack them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from indexer.behaviour import copurchase, popularity, shopper_profile, state
from indexer.behaviour.event import BehaviourEvent
from indexer.catalogue import card
from indexer.identity import hashes
from reranker.retrieval.candidates import Candidates
from reranker.signals.item_table import ItemTable
from reranker.signals.situation import Situation

DIMS = 16
NOW = 1_300_000_000.0
DAY = 86_400.0


def vector(item: str) -> np.ndarray:
    """A unit vector [DIMS] that depends on the id alone."""
    random = np.random.default_rng(sum(item.encode()))
    drawn = random.normal(size=DIMS).astype(np.float32)
    return drawn / np.linalg.norm(drawn)


def purchase(item: str, days_ago: float, user: str = "u", basket: str | None = None) -> Any:
    return BehaviourEvent(
        event_id=f"{item}{days_ago}{user}",
        action="purchase",
        item_id=item,
        timestamp=NOW - days_ago * DAY,
        user=user,
        basket=basket or f"{user}{days_ago}",
    )


def folded(events: Sequence[BehaviourEvent], half_life_hours: float = 720.0) -> dict[str, bytes]:
    keys = state.keys_for(events)
    return state.fold(dict.fromkeys(keys), events, half_life_hours)


def situation(
    ids: Sequence[str],
    events: Sequence[BehaviourEvent] = (),
    *,
    titles: dict[str, str] | None = None,
    query: str = "red card",
    user: str | None = "u",
    prices: dict[str, float] | None = None,
    table: bool = False,
    half_life_hours: float = 720.0,
    **changes: Any,
) -> Situation:
    """The candidates `ids`, in keyword order; those at odd places were not found by vectors."""
    values = folded(events, half_life_hours) if events else {}
    titles, prices = titles or {}, prices or {}

    def cards(names: Sequence[str]) -> np.ndarray:
        blobs = [
            card.pack(title=titles.get(n, n), vector=vector(n), price=prices.get(n, 1.0))
            for n in names
        ]
        return card.unpack_many(blobs, DIMS)[0]

    shopper = shopper_profile.decode(values.get(state.shopper_key(user)) if user else None)
    history = shopper.ids(min(len(shopper), 50))
    n = len(ids)
    rank = np.arange(1, n + 1, dtype=np.float32)
    by_vectors = np.arange(n) % 2 == 0
    fields: dict[str, Any] = {
        "candidates": Candidates(
            ids=list(ids),
            bm25=20.0 / rank,
            bm25_rank=rank,
            knn=np.where(by_vectors, 0.9 - rank / 100, np.nan).astype(np.float32),
            knn_rank=np.where(by_vectors, rank, np.nan).astype(np.float32),
        ),
        "query": query,
        "query_vector": vector("query"),
        "cards": cards(ids),
        "cards_present": np.ones(n, dtype=bool),
        "popularity": popularity.unpack_many(
            [values.get(state.popularity_key(i)) for i in ids], NOW
        ),
        "now": NOW,
        "shopper": shopper,
        "history_cards": cards(history) if history else None,
        "partners": [copurchase.unpack(values.get(state.partners_key(i))) for i in history],
        "item_table": item_table(ids) if table else None,
    }
    return Situation(**{**fields, **changes})


def item_table(ids: Sequence[str], width: int = 4) -> ItemTable:
    """A table that knows all but the last of `ids`."""
    known = sorted(hashes(list(ids)[:-1]).tolist())
    random = np.random.default_rng(3)
    return ItemTable(
        np.array(known, dtype=np.uint64),
        random.normal(size=(len(known), width)).astype(np.float32),
        random.normal(size=(DIMS, width)).astype(np.float32),
    )
