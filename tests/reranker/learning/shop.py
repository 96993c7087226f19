"""A small made-up shop: families of goods, shoppers who keep to their colour; seeded."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.event import BehaviourEvent
from indexer.catalogue import card
from reranker.learning import goods as catalogue
from reranker.learning.goods import Goods
from reranker.learning.material import Material
from reranker.retrieval.candidates import Candidates
from reranker.signals.item_table import ItemTable

DAY = 86_400.0
START = 1_300_000_000.0
DIMS = 12
COLOURS = ("red", "blue", "green", "pink")
KINDS = ("card", "bag", "mug", "lamp", "box", "clock")


def goods() -> Goods:
    random = np.random.default_rng(0)
    titles = [f"{colour} {kind}" for kind in KINDS for colour in COLOURS]
    ids = [str(number) for number in range(len(titles))]
    blobs = []
    for title in titles:
        drawn = random.normal(size=DIMS).astype(np.float32)
        blobs.append(card.pack(title=title, vector=drawn / np.linalg.norm(drawn), price=2.0))
    return catalogue.goods(ids, titles, blobs, DIMS)


def bought(shopper: int, day: float, kind: int) -> BehaviourEvent:
    """A purchase of a kind, in the shopper's own colour."""
    item, basket = str(kind * len(COLOURS) + shopper % len(COLOURS)), f"{shopper}/{day:.2f}"
    return BehaviourEvent(
        event_id=f"{basket}/{item}",
        action="purchase",
        item_id=item,
        timestamp=START + day * DAY,
        user=f"u{shopper}",
        basket=basket,
    )


def events(shoppers: int = 30, days: int = 120, seed: int = 1) -> list[BehaviourEvent]:
    """Each shopper buys goods of one colour again and again, two in a basket, every few days."""
    random = np.random.default_rng(seed)
    found = []
    for shopper in range(shoppers):
        for day in np.arange(random.uniform(0, 6), days, 6):
            kinds = random.choice(len(KINDS), 2, replace=False)
            found += [bought(shopper, float(day), int(kind)) for kind in kinds]
    return sorted(found, key=lambda e: (e.timestamp, e.event_id))


def rounds(shoppers: int = 30, days: int = 120) -> list[BehaviourEvent]:
    """Each shopper goes through the kinds of one colour in turn, two in a basket, every few days:
    what was bought last is what is needed least.
    """
    found = []
    for shopper in range(shoppers):
        for visit, day in enumerate(np.arange(shopper % 6, days, 6)):
            kinds = (2 * visit % len(KINDS), (2 * visit + 1) % len(KINDS))
            found += [bought(shopper, float(day), kind) for kind in kinds]
    return sorted(found, key=lambda e: (e.timestamp, e.event_id))


def nothing_learned() -> ItemTable:
    """A table without rows, where every item starts at zero."""
    nowhere = np.zeros((0, 2), np.float32)
    return ItemTable(np.zeros(0, np.uint64), nowhere, np.zeros((DIMS, 2), np.float32))


def find(queries: Sequence[str], _window: int) -> tuple[list[Candidates], NDArray[np.float32]]:
    """Every item that shares a word with the query, all with the same score: keywords alone."""
    shop = goods()
    found = []
    for query in queries:
        asked = set(query.split())
        rows = [r for r, title in enumerate(shop.titles) if asked & set(title.split())]
        n = len(rows)
        found.append(
            Candidates(
                [shop.ids[row] for row in rows],
                np.ones(n, dtype=np.float32),
                np.arange(1, n + 1, dtype=np.float32),
                np.full(n, np.nan, dtype=np.float32),
                np.full(n, np.nan, dtype=np.float32),
            )
        )
    vectors = np.ones((len(queries), DIMS), dtype=np.float32) / np.sqrt(DIMS)
    return found, vectors.astype(np.float32)


def material() -> Material:
    return Material(events=events(), searches=[], goods=goods(), find=find)
