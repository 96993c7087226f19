"""From a situation to the model's input: the one function that serving and training share; pure."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from reranker.signals import (
    behaviour,
    context,
    definition,
    personal,
    product,
    relevance,
    title,
    together,
)
from reranker.signals.listwise import places
from reranker.signals.past import HISTORY_FEATURES
from reranker.signals.situation import HISTORY_MAX, Situation

ModelInput = dict[str, NDArray[np.float32]]

# Each family writes its own rows, places as the values that are placed: all are sorted at once.
_FAMILIES: tuple[tuple[slice, Callable[[Situation, NDArray[np.float32]], None]], ...] = (
    (definition.rows("relevance"), relevance.compute),
    (definition.rows("title"), title.compute),
    (definition.rows("product"), product.compute),
    (definition.rows("popularity"), behaviour.popularity),
    (definition.rows("search"), behaviour.search),
    (definition.rows("personal"), personal.compute),
    (definition.rows("together"), together.compute),
    (definition.rows("context"), context.compute),
)
_PLACES = np.array([row for row, it in enumerate(definition.SIGNALS) if it.unit == "place"])
# What has no value there has no place either; elsewhere it stands below everything.
_KNOWN_ONLY = np.isin(
    np.array(definition.NAMES)[_PLACES], ("price_place", "click_rate_place", "purchase_rate_place")
)

OF_ITEMS = ("signals", "item_vectors", "item_rows")

__all__ = [
    "HISTORY_FEATURES",
    "HISTORY_MAX",
    "ModelInput",
    "Situation",
    "assemble",
    "columns",
    "of_rows",
]


def assemble(situation: Situation) -> ModelInput:
    """Arrays of one list, no batch axis, float32.

    signals [n, signals], query_vector [dims], item_vectors [n, dims], item_rows [n, width],
    history_vectors [h, dims], history_rows [h, width], history_features [h, HISTORY_FEATURES].
    """
    signals = definition.fill(_table(situation))
    dims = situation.vectors.shape[1]
    query = situation.query_vector
    table = situation.item_table
    found: ModelInput = {
        "signals": signals,
        "query_vector": np.zeros(dims, np.float32) if query is None else query,
        "item_vectors": situation.vectors,
        "history_vectors": situation.history_vectors,
        "history_features": situation.past.features,
    }
    if table is not None and situation.item_rows is not None:
        found["item_rows"] = situation.item_rows
        found["history_rows"] = situation.past.taste(table).rows
    return found


def of_rows(inputs: ModelInput, rows: NDArray[np.intp]) -> ModelInput:
    """The same list with the candidates at `rows` only, in that order."""
    of_items = {name: inputs[name][rows] for name in OF_ITEMS if name in inputs}
    return {**inputs, **of_items}


def columns(situation: Situation) -> Mapping[str, NDArray[np.float32]]:
    """Every declared signal by name [n], NaN where it cannot be known."""
    return dict(zip(definition.NAMES, _table(situation), strict=True))


def _table(situation: Situation) -> NDArray[np.float32]:
    """Every declared signal [signals, n], NaN where it cannot be known."""
    found = np.empty((len(definition.NAMES), len(situation.items)), dtype=np.float32)
    for rows, compute in _FAMILIES:
        compute(situation, found[rows])
    found[_PLACES] = places(found[_PLACES], _KNOWN_ONLY)
    return found
