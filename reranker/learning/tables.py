"""Item tables over time, all in one frame, and the vectors that a run reads through them."""

import numpy as np
from numpy.typing import NDArray

from reranker.learning import taste
from reranker.learning.material import Material
from reranker.learning.plan import Plan
from reranker.learning.schedule import Schedule
from reranker.learning.vectors import Vectors, vectors_of
from reranker.learning.warm_start import Parent
from reranker.learning.world import World
from reranker.signals.item_table import ItemTable


def over_time(
    material: Material, made: Plan, schedule: Schedule, parent: Parent | None
) -> tuple[list[ItemTable], list[int]]:
    """Item tables over time and which one each moment reads: never one newer than itself.

    All are turned towards the table of the cut, which is also the measured model's, and that one
    towards the parent's where there is one.
    """
    cut = made.at.index(made.cut)
    early = np.linspace(0, cut, schedule.tables + 1).astype(int)[:-1]
    towards = None if parent is None else parent.frame(material.goods)
    tables: dict[int, ItemTable] = {}
    for number in [cut, *early.tolist()]:
        known = [e for e in material.events if e.timestamp <= made.at[number]]
        table, vectors = taste.learn(
            known, material.goods, schedule.taste_width, schedule.seed, towards
        )
        towards = vectors if towards is None else towards
        tables[number] = table
    numbers = sorted(tables)
    of_moment = np.searchsorted(numbers, np.arange(len(made.at)), side="right") - 1
    return [tables[number] for number in numbers], of_moment.tolist()


def frame(world: World) -> NDArray[np.float32]:
    """Vectors of all goods by the table of the cut, the latest there is."""
    return world.tables[-1].lookup(world.goods.hashes, world.goods.vectors)


def vectors_for(world: World, last: NDArray[np.float32], schedule: Schedule) -> Vectors:
    """All vectors; behind the tables of `world` that of all events, which serves."""
    goods = world.goods
    taste_of = [table.lookup(goods.hashes, goods.vectors) for table in world.tables]
    queries = np.stack(list(world.query_vectors.values()))
    projections = np.stack([table.projection for table in world.tables])
    taste_and_last = np.stack([*taste_of, last])
    return vectors_of(goods.vectors, taste_and_last, queries, schedule.text_width, projections)
