"""What a model's residual owes to each signal, the query, the items and the shopper; pure.

Shapley values: each player's mean marginal contribution over random orders of coming in. An order
and its reverse are taken together, which makes the mean steadier (Štrumbelj and Kononenko 2014,
Explaining prediction models and individual predictions with feature contributions; antithetic
orders: Mitchell, Cooper, Frank and Holmes 2022, Sampling permutations for Shapley value
estimation). Along one order the contributions telescope, so they add up to the residual exactly,
however few orders there are.

Who has not come in yet stands at what says nothing: a signal and the items at the mean of the
list, the query at zeros, the shopper without a history. All candidates of one list are explained
by the same passes. What is equal for the whole list contributes nothing and needs no pass.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.signals import definition
from reranker.signals.build import ModelInput

Array = NDArray[np.float32]
QUERY, ITEM, SHOPPER = "query", "item", "shopper"
ORDERS, SEED = 2, 7

_HISTORY = ("history_vectors", "history_rows", "history_features")
_ITEM = ("item_vectors", "item_rows")


@dataclass(frozen=True, eq=False)
class Attribution:
    """`base` [n] + the sum over players of `parts` [n, players] is the residual [n]; float64.

    `players` are names of signals and of the tokens `query`, `item`, `shopper`; `base` is the
    residual of a candidate of which nothing is known but that it is in this list.
    """

    players: tuple[str, ...]
    base: NDArray[np.float64]
    parts: NDArray[np.float64]
    orders: int


def attribute(
    inputs: ModelInput,
    residual: Array,
    value: Callable[[ModelInput], Array],
    *,
    orders: int = ORDERS,
    seed: int = SEED,
    in_time: Callable[[], bool] = lambda: True,
) -> Attribution | None:
    """Attribution of `residual` [n] = `value(inputs)`; None where no order was done in time.

    `value` gives the residual of a list; `in_time` is asked before each pass.
    """
    players = playing(inputs)
    start = absent(inputs)
    base = np.asarray(value(start), dtype=np.float64)
    parts = np.zeros((len(residual), len(players)))
    if not players:
        return Attribution((), np.asarray(residual, np.float64), parts, 0)
    done = 0
    for order in _orders(len(players), orders, np.random.default_rng(seed)):
        found = _walk(inputs, players, order, (base, residual), value, in_time)
        if found is None:
            break
        parts, done = parts + found, done + 1
    return Attribution(players, base, parts / done, done) if done else None


def playing(inputs: ModelInput) -> tuple[str, ...]:
    """The players that can contribute: signals that differ within the list, and tokens."""
    differs = np.ptp(inputs["signals"], axis=0) > 0
    names = [name for name, moves in zip(definition.NAMES, differs, strict=True) if moves]
    if inputs["query_vector"].any():
        names.append(QUERY)
    if any(name in inputs and np.ptp(inputs[name], axis=0).any() for name in _ITEM):
        names.append(ITEM)
    if len(inputs["history_vectors"]):
        names.append(SHOPPER)
    return tuple(names)


def absent(inputs: ModelInput) -> ModelInput:
    """The list before any player came in; its arrays are copies."""
    found = {"signals": _mean(inputs["signals"])}
    found["query_vector"] = np.zeros_like(inputs["query_vector"])
    found |= {name: _mean(inputs[name]) for name in _ITEM if name in inputs}
    found |= {name: inputs[name][:0] for name in _HISTORY if name in inputs}
    return found


def _mean(rows: Array) -> Array:
    return np.repeat(rows.mean(axis=0, dtype=np.float64)[None].astype(np.float32), len(rows), 0)


def _orders(players: int, orders: int, random: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    for number in range(orders):
        if number % 2 == 0:
            order = random.permutation(players)
            yield order
        else:
            yield order[::-1]


def _walk(
    inputs: ModelInput,
    players: tuple[str, ...],
    order: NDArray[np.intp],
    ends: tuple[NDArray[np.float64], Array],
    value: Callable[[ModelInput], Array],
    in_time: Callable[[], bool],
) -> NDArray[np.float64] | None:
    """Marginal contributions [n, players] along one order; None where time ran out.

    `ends` are the values before the first and after the last, which need no pass.
    """
    present = absent(inputs)
    before = ends[0]
    parts = np.empty((len(before), len(players)))
    for place, player in enumerate(order.tolist()):
        if place + 1 < len(players):
            if not in_time():
                return None
            _enter(present, inputs, players[player])
            after = np.asarray(value(present), dtype=np.float64)
        else:
            after = np.asarray(ends[1], dtype=np.float64)
        parts[:, player] = after - before
        before = after
    return parts


def _enter(present: ModelInput, inputs: ModelInput, player: str) -> None:
    if player in definition.INDEX:
        column = definition.INDEX[player]
        present["signals"][:, column] = inputs["signals"][:, column]
        return
    names = {QUERY: ("query_vector",), ITEM: _ITEM, SHOPPER: _HISTORY}[player]
    present.update({name: inputs[name] for name in names if name in inputs})
