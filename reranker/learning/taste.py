"""Learned behavioural vectors of items: who buys what, in few numbers; pure but for the seed.

A truncated SVD of the shopper x item matrix, shoppers weighted down by how much they buy and items
by how common they are (PureSVD: Cremonesi, Koren and Turrin 2010). Tables of different moments are
turned into one frame (orthogonal Procrustes), so that a network can read any of them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from indexer.behaviour.event import BehaviourEvent
from indexer.behaviour.popularity import KIND_OF_ACTION, VIEW
from reranker.learning.goods import Goods
from reranker.signals.item_table import ItemTable

RIDGE = 1.0
WEIGHT_MIN = 1e-4
VIEW_WEIGHT, BUY_WEIGHT = 0.3, 1.0
Matrix = NDArray[np.float32]


def learn(
    events: Sequence[BehaviourEvent], goods: Goods, width: int, seed: int, frame: Matrix | None
) -> tuple[ItemTable, Matrix]:
    """The table of `events`, and its vectors for all goods [items, width].

    `frame` are such vectors of another table that this one is turned towards.
    """
    matrix = _matrix(events, goods)
    known = np.asarray(matrix.sum(axis=0)).ravel() > 0
    rank = min(width, min(matrix.shape) - 1)
    vectors = np.zeros((len(goods.ids), width), dtype=np.float32)
    if rank > 0 and known.any():
        _, strength, right = randomized_svd(matrix, rank, random_state=seed, n_iter=4)
        vectors[:, :rank] = (right.T * np.sqrt(strength)).astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1)
    vectors = _unit(vectors)
    projection = _projection(goods.vectors[known], vectors[known])
    vectors[~known] = _unit(goods.vectors[~known] @ projection)
    if frame is not None:
        turn = _procrustes(vectors[known], frame[known])
        vectors, projection = vectors @ turn, projection @ turn
    rows = np.flatnonzero(known)
    rows = rows[np.argsort(goods.hashes[rows])]
    table = ItemTable(goods.hashes[rows], vectors[rows], projection, _weights(lengths[rows]))
    return table, vectors


def _matrix(events: Sequence[BehaviourEvent], goods: Goods) -> sparse.csr_matrix:
    """Weighted shoppers x items."""
    shoppers: dict[str, int] = {}
    rows, columns, weights = [], [], []
    for event in events:
        kind = KIND_OF_ACTION.get(event.action, 0)
        who = event.user or event.session
        column = goods.row.get(event.item_id)
        if who is None or column is None or kind < VIEW:
            continue
        rows.append(shoppers.setdefault(who, len(shoppers)))
        columns.append(column)
        weights.append(VIEW_WEIGHT if kind == VIEW else BUY_WEIGHT)
    shape = (max(len(shoppers), 1), len(goods.ids))
    counts = sparse.csr_matrix((weights, (rows, columns)), shape=shape, dtype=np.float32)
    counts.data = np.log1p(counts.data)
    buyers = np.asarray((counts > 0).sum(axis=0)).ravel()
    amount = np.asarray(counts.sum(axis=1)).ravel()
    rare = sparse.diags((1.0 / np.sqrt(np.maximum(buyers, 1.0)) ** 0.5).astype(np.float32))
    light = sparse.diags((1.0 / np.sqrt(np.maximum(amount, 1e-6)) ** 0.5).astype(np.float32))
    weighted: sparse.csr_matrix = (light @ counts @ rare).tocsr()
    return weighted


def _weights(lengths: Matrix) -> Matrix:
    """The roots of lengths, as shares of the largest: whole ones let what sells most win always."""
    longest = max(float(lengths.max(initial=0.0)), 1e-6)
    weights: Matrix = np.sqrt(np.maximum(lengths / longest, WEIGHT_MIN)).astype(np.float32)
    return weights


def _projection(text: Matrix, vectors: Matrix) -> Matrix:
    """Ridge regression of behavioural on text vectors [dims, width]."""
    gram = text.T @ text + RIDGE * np.eye(text.shape[1], dtype=np.float32)
    solved: Matrix = np.linalg.solve(gram, text.T @ vectors).astype(np.float32)
    return solved


def _procrustes(vectors: Matrix, frame: Matrix) -> Matrix:
    left, _, right = np.linalg.svd(vectors.T @ frame)
    turn: Matrix = (left @ right).astype(np.float32)
    return turn


def _unit(rows: Matrix) -> Matrix:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Matrix = rows / np.maximum(length, 1e-6)
    return scaled.astype(np.float32)
