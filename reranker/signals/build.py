"""From a situation to the model's input: the one function that serving and training share; pure."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour.popularity import DAY_SECONDS, KINDS, PURCHASE
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
from reranker.signals.listwise import log1p, log_days
from reranker.signals.situation import HISTORY_MAX, Situation

# Of each history item: days since touched (log), times bought (log), last kind one-hot.
HISTORY_FEATURES = 2 + len(KINDS)
ModelInput = dict[str, NDArray[np.float32]]

__all__ = ["HISTORY_FEATURES", "HISTORY_MAX", "ModelInput", "Situation", "assemble", "columns"]


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
        "history_features": _history_features(situation),
    }
    if table is not None:
        found["item_rows"] = table.lookup(situation.items, situation.vectors)
        found["history_rows"] = table.lookup(situation.history["item"], situation.history_vectors)
    return found


def columns(situation: Situation) -> Mapping[str, NDArray[np.float32]]:
    """Every declared signal by name [n], NaN where it cannot be known."""
    # NaN is how the families say "not known"; comparing with it is no mistake.
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            **relevance.compute(situation),
            **title.compute(situation),
            **product.compute(situation),
            **behaviour.popularity(situation),
            **behaviour.search(situation),
            **personal.compute(situation),
            **together.compute(situation),
            **context.compute(situation),
        }


def _stacked(found: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    stacked = np.stack([found[name] for name in definition.NAMES], axis=1)
    return definition.fill(stacked.astype(np.float32, copy=False))


def _history_features(situation: Situation) -> NDArray[np.float32]:
    history = situation.history
    features = np.zeros((len(history), HISTORY_FEATURES), dtype=np.float32)
    if len(history):
        age_days = np.maximum(situation.now - history["last"], 0.0) / DAY_SECONDS
        features[:, 0] = log_days(age_days)
        features[:, 1] = log1p(history["count"][:, PURCHASE])
        features[np.arange(len(history)), 2 + history["last_kind"].astype(np.intp)] = 1.0
    return features
