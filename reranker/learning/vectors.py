"""Lists as the network takes them: vectors of all goods lie in memory once, a batch picks rows."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reranker.fusion.baseline import PriorWeights, prior
from reranker.learning.dataset import ListSet
from reranker.learning.network import Lists

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Vectors:
    """What rows point into: text of goods, behaviour of goods by table, and queries.

    `text_turned` and `queries_turned` are the same in the main directions `basis` of the goods'
    texts: what training reads, so that a step does not multiply by the same matrix again.
    """

    text: Tensor  # [goods, dims]
    taste: Tensor  # [tables, goods, width]
    queries: Tensor  # [queries, dims]
    basis: Tensor  # [dims, text_width]
    text_turned: Tensor  # [goods, text_width]
    queries_turned: Tensor  # [queries, text_width]
    projections: Tensor  # [tables, dims, width] from text to taste, for items without behaviour

    def to(self, device: torch.device) -> "Vectors":
        """The same on a device."""
        return Vectors(*(getattr(self, field.name).to(device) for field in fields(self)))


def vectors_of(
    text: Array, taste: Array, queries: Array, width: int, projections: Array
) -> Vectors:
    """Vectors with the basis of their texts, at most `width` directions."""
    _, _, directions = np.linalg.svd(text.T @ text)
    basis = np.ascontiguousarray(directions[:width].T, dtype=np.float32)
    basis *= np.float32(np.sqrt(basis.shape[0] / basis.shape[1]))  # about unit variance each
    parts = (text, taste, queries, basis, text @ basis, queries @ basis, projections)
    return Vectors(*(torch.from_numpy(np.ascontiguousarray(p, dtype=np.float32)) for p in parts))


def tensors(
    lists: ListSet,
    vectors: Vectors,
    picked: NDArray[np.intp],
    rows: NDArray[np.intp],
    *,
    turned: bool = True,
) -> tuple[Lists, Tensor]:
    """A batch for the network, and the prior [B, n]; `rows` are -1 where a list has ended.

    `turned` text vectors are for training; what serves takes them as they are. Both are on the
    device of `vectors`.
    """
    device = vectors.text.device
    text, queries = vectors.text, vectors.queries
    if turned:
        text, queries = vectors.text_turned, vectors.queries_turned
    signals = lists.signals[rows].astype(np.float32)
    item = torch.from_numpy(lists.item[rows].astype(np.int64)).to(device)
    depth = max(int((lists.history[picked] >= 0).sum(axis=1).max()), 1)
    past = lists.history[picked][:, :depth]
    past_rows = torch.from_numpy(np.maximum(past, 0).astype(np.int64)).to(device)
    table = torch.from_numpy(lists.table[picked].astype(np.int64)).to(device)[:, None]
    features = lists.history_features[picked][:, :depth].astype(np.float32)
    batch = Lists(
        signals=torch.from_numpy(signals).to(device),
        query_vector=queries[torch.from_numpy(lists.query[picked].astype(np.int64)).to(device)],
        item_vectors=text[item],
        item_rows=_taste(lists, vectors, rows, item, table),
        history_vectors=text[past_rows],
        history_rows=vectors.taste[table, past_rows],
        history_features=torch.from_numpy(features).to(device),
        item_mask=torch.from_numpy(rows >= 0).to(device),
        history_mask=torch.from_numpy(past >= 0).to(device),
    )
    return batch, torch.from_numpy(prior(signals, PriorWeights())).to(device)


def _taste(
    lists: ListSet, vectors: Vectors, rows: NDArray[np.intp], item: Tensor, table: Tensor
) -> Tensor:
    """Behavioural vectors [B, n, width] of `item` [B, n]; of a hidden one what its text says."""
    found = vectors.taste[table, item]
    hidden = torch.from_numpy(lists.hidden[rows] & (rows >= 0)).to(item.device)
    if hidden.any():
        of = table.expand_as(item)[hidden]
        texts = vectors.text[item[hidden]][:, None]  # [hidden, 1, dims]
        found[hidden] = (texts @ vectors.projections[of])[:, 0]
    return found
