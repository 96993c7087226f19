"""What a model's residual owes to each signal, the query, the items and the shopper; pure.

Shapley values by the multilinear extension: a player's value is the integral, over the share q of
others that are there before it, of what it then adds (Owen 1972, Multilinear extensions of games).
At q = 0 and q = 1 that is one pass each; between them Simpson's rule takes q = 1/2, where it is
sampled over random halves, each with its complement, as orders with their reverse are (Štrumbelj
and Kononenko 2014, Explaining prediction models and individual predictions with feature
contributions). The ends also tell which signals matter in this list: only those are played apart,
the others as one. What is missing to the exact sum is shared by size, so the parts add up however
few halves there were.

Who is not there stands at what says nothing: a signal and the items at the mean of the list, the
query at zeros, the shopper without a history. All candidates of one list are explained by the same
passes. What is equal for the whole list adds nothing and needs no pass.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.signals import definition
from reranker.signals.build import ModelInput

Array = NDArray[np.float32]
Parts = NDArray[np.float64]
QUERY, ITEM, SHOPPER = "query", "item", "shopper"
OTHERS = "others"
# With these a list of 100 candidates and 52 players takes 143 passes, and parts are off by 0.2 of
# their size; 12 signals carry nine tenths of what all do. Plain random orders at the same cost are
# off by 0.5.
SIGNALS_APART, HALVES, SEED = 12, 2, 7
EDGE_SHARE = 1 / 3  # Simpson's weight of both ends together; the middle has the rest
ONE_CANDIDATE = 0.25  # how much the most that a signal does to one counts beside the mean

_HISTORY = ("history_vectors", "history_rows", "history_features")
_ITEM = ("item_vectors", "item_rows")
_TOKENS = {QUERY: ("query_vector",), ITEM: _ITEM, SHOPPER: _HISTORY}


@dataclass(frozen=True, eq=False)
class Attribution:
    """`base` [n] + the sum over players of `parts` [n, players] is the residual [n].

    `players` are names of signals and of the tokens `query`, `item`, `shopper`; `OTHERS` stands
    for the signals `others` together. `base` is the residual of a candidate of which nothing is
    known but that it is in this list; `halves` is how often the middle was sampled.
    """

    players: tuple[str, ...]
    others: tuple[str, ...]
    base: Parts
    parts: Parts
    halves: int


class _OutOfTime(Exception):
    """No further pass may begin."""


@dataclass(frozen=True, eq=False)
class _Game:
    """What a coalition of players is worth to each candidate."""

    inputs: ModelInput
    start: ModelInput
    value: Callable[[ModelInput], Array]
    in_time: Callable[[], bool]

    def worth(self, there: Collection[str]) -> Parts:
        """The residual [n] with only the players that are there."""
        if not self.in_time():
            raise _OutOfTime
        found = dict(self.start)
        columns = [definition.INDEX[name] for name in there if name in definition.INDEX]
        found["signals"] = self.start["signals"].copy()
        found["signals"][:, columns] = self.inputs["signals"][:, columns]
        for token in _TOKENS.keys() & there:
            found |= {name: self.inputs[name] for name in _TOKENS[token] if name in found}
        return np.asarray(self.value(found), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Ends:
    """What nobody and everybody are worth [n], and marginals [n, players] at these two ends."""

    nobody: Parts
    everybody: Parts
    first: Parts
    last: Parts


def attribute(
    inputs: ModelInput,
    residual: Array,
    value: Callable[[ModelInput], Array],
    *,
    signals_apart: int = SIGNALS_APART,
    halves: int = HALVES,
    seed: int = SEED,
    in_time: Callable[[], bool] = lambda: True,
) -> Attribution | None:
    """Attribution of `residual` [n] = `value(inputs)`; None where time ran out at the ends.

    `value` gives the residual of a list; `in_time` is asked before each pass.
    """
    game = _Game(inputs, absent(inputs), value, in_time)
    everybody = np.asarray(residual, dtype=np.float64)
    players = playing(inputs)
    if not players:
        return Attribution((), (), everybody, np.zeros((len(residual), 0)), 0)
    try:
        ends = _ends(game, [{name} for name in players], game.worth(()), everybody)
        apart = _apart(players, ends, signals_apart)
        others = tuple(name for name in players if name not in apart)
        groups = [{name} for name in apart] + ([set(others)] if others else [])
        ends = _among(game, ends, [players.index(name) for name in apart], others)
    except _OutOfTime:
        return None
    middle, done = _middle(game, groups, ends, np.random.default_rng(seed), halves)
    edges = (ends.first + ends.last) / 2
    parts = EDGE_SHARE * edges + (1 - EDGE_SHARE) * middle if done else edges
    names = (*apart, *([OTHERS] if others else []))
    return Attribution(names, others, ends.nobody, _closed(parts, ends), done)


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
    """The list with no player there; its arrays are not those of `inputs`."""
    found = {"signals": _mean(inputs["signals"])}
    found["query_vector"] = np.zeros_like(inputs["query_vector"])
    found |= {name: _mean(inputs[name]) for name in _ITEM if name in inputs}
    found |= {name: inputs[name][:0] for name in _HISTORY if name in inputs}
    return found


def _mean(rows: Array) -> Array:
    return np.repeat(rows.mean(axis=0, dtype=np.float64)[None].astype(np.float32), len(rows), 0)


def _ends(game: _Game, groups: Sequence[set[str]], nobody: Parts, everybody: Parts) -> _Ends:
    """What each group adds alone, and what it adds to all others."""
    every = set().union(*groups)
    first = np.stack([game.worth(group) - nobody for group in groups], axis=1)
    last = np.stack([everybody - game.worth(every - group) for group in groups], axis=1)
    return _Ends(nobody, everybody, first, last)


def _apart(players: Sequence[str], ends: _Ends, signals_apart: int) -> list[str]:
    """Tokens, and the signals that do most in this list, in their declared order."""
    does = np.abs(ends.first) + np.abs(ends.last)
    weight = does.mean(axis=0) + ONE_CANDIDATE * does.max(axis=0)
    order = [players[at] for at in np.argsort(-weight, kind="stable").tolist()]
    chosen = [name for name in order if name not in _TOKENS][:signals_apart]
    return [name for name in players if name in chosen or name in _TOKENS]


def _among(game: _Game, ends: _Ends, apart: Sequence[int], others: Sequence[str]) -> _Ends:
    """The ends of those apart, and of the others as one."""
    first, last = ends.first[:, apart], ends.last[:, apart]
    if others:
        rest = set(playing(game.inputs)) - set(others)
        alone = game.worth(others) - ends.nobody
        added = ends.everybody - game.worth(rest)
        first = np.concatenate([first, alone[:, None]], axis=1)
        last = np.concatenate([last, added[:, None]], axis=1)
    return _Ends(ends.nobody, ends.everybody, first, last)


def _middle(
    game: _Game,
    groups: Sequence[set[str]],
    ends: _Ends,
    random: np.random.Generator,
    halves: int,
) -> tuple[Parts, int]:
    """Mean marginals [n, groups] where half of the others are there, and over how many halves."""
    total, done = np.zeros_like(ends.first), 0
    order = np.arange(len(groups))
    for number in range(halves):
        order = order[::-1] if number % 2 else random.permutation(len(groups))
        try:
            total = total + _around(game, groups, set(order[: len(groups) // 2].tolist()))
        except _OutOfTime:
            break
        done += 1
    return total / max(done, 1), done


def _around(game: _Game, groups: Sequence[set[str]], half: set[int]) -> Parts:
    """What each group adds to, or takes from, one half [n, groups]."""

    def worth(numbers: set[int]) -> Parts:
        return game.worth(set().union(*(groups[number] for number in numbers)))

    there = worth(half)
    columns = [
        there - worth(half - {number}) if number in half else worth(half | {number}) - there
        for number in range(len(groups))
    ]
    return np.stack(columns, axis=1)


def _closed(parts: Parts, ends: _Ends) -> Parts:
    """Parts that add up from nobody to everybody: what is missing is shared by size."""
    missing = ends.everybody - ends.nobody - parts.sum(axis=1)
    size = np.abs(parts)
    total = size.sum(axis=1, keepdims=True)
    share = np.where(total > 0, size / np.where(total > 0, total, 1.0), 1.0 / parts.shape[1])
    closed: Parts = parts + missing[:, None] * share
    return closed
