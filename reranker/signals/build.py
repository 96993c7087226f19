"""From a situation to the model's input: the one function that serving and training share; pure."""

from collections.abc import Mapping

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
from reranker.signals.listwise import placed
from reranker.signals.past import HISTORY_FEATURES
from reranker.signals.situation import HISTORY_MAX, Situation

ModelInput = dict[str, NDArray[np.float32]]

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
    signals = _stacked(columns(situation))
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
    # NaN is how the families say "not known"; comparing with it is no mistake.
    with np.errstate(invalid="ignore", divide="ignore"):
        return placed(
            {
                **relevance.compute(situation),
                **title.compute(situation),
                **product.compute(situation),
                **behaviour.popularity(situation),
                **behaviour.search(situation),
                **personal.compute(situation),
                **together.compute(situation),
                **context.compute(situation),
            }
        )


def _stacked(found: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    columns = [found[name] for name in definition.NAMES]
    joined = np.concatenate(columns, dtype=np.float32, casting="same_kind")
    return definition.fill(np.ascontiguousarray(joined.reshape(len(columns), -1).T))
