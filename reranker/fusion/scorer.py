"""Scores of one list by an artifact: prior plus residual, numpy in and out, thread safe.

The residual is that of the network, and of the boosted trees where the artifact has some.

What was the same in every list of the training says nothing to the network, and what it would make
of another value is left to chance: such signals are shown to it as they were then.

A network that says no more than a line over its signals is not run for scores, only for what an
explanation tells of its attention.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reranker.fusion import line
from reranker.fusion.artifact import Artifact
from reranker.fusion.baseline import PriorWeights, prior
from reranker.fusion.forest import Forest
from reranker.fusion.graph import opened
from reranker.signals import definition, drift
from reranker.signals.build import ModelInput

Array = NDArray[np.float32]
LIST_INPUTS = (
    "signals",
    "query_vector",
    "item_vectors",
    "item_rows",
    "history_vectors",
    "history_rows",
    "history_features",
)
HISTORY_ATTENTION = "history_attention"


@dataclass(frozen=True, eq=False)
class Scored:
    """`scores` = `prior` + `residual` [n]; `look` computes the attention where it is asked for."""

    scores: Array
    prior: Array
    residual: Array
    look: Callable[[], Array]

    @cached_property
    def attention(self) -> Array:
        """How much each token counts for each item [n, tokens]; sums to 1 an item."""
        return self.look()


class Scorer:
    """One artifact in memory."""

    def __init__(self, artifact: Artifact) -> None:
        self._session = opened(artifact.model, f"the model of {artifact.folder}")
        trees = artifact.trees
        self._trees = None if trees is None else Forest(trees, f"the trees of {artifact.folder}")
        self.artifact = artifact
        self.item_table = artifact.item_table
        self.prior_weights = PriorWeights.read(artifact.manifest.prior_weights)
        self.tokens = tuple(artifact.manifest.tokens)
        self._heads = np.array(list(artifact.manifest.head_weights.values()), dtype=np.float32)
        weights = artifact.network
        self._line = None if weights is None else line.of_file(weights, self._heads)
        self._first: line.Line | None = None
        if weights is not None and self._line is None:
            self._first = line.of_file(weights, self._heads, whole=False)
        self._inputs = {i.name for i in self._session.get_inputs()}
        self._held, self._held_at = _held(artifact.manifest.reference)
        self._outputs = {o.name for o in self._session.get_outputs()}

    def score(self, model_input: ModelInput) -> Scored:
        """Scores of the n candidates of `model_input`."""
        base = prior(model_input["signals"], self.prior_weights)
        if self._line is not None:
            residual = self.residual(model_input)
            return Scored(base + residual, base, residual, lambda: self._attention(model_input))
        heads, attention = self._run(model_input, ("heads", "attention"))
        residual = self._with_trees(heads[0] @ self._heads, self._shown(model_input["signals"]))
        return Scored(base + residual, base, residual, lambda: attention[0])

    def first(self, model_input: ModelInput) -> Array | None:
        """Scores [n] of the prior and the line that the network starts from: which candidates are
        worth its look. None where it is no more than a line, or where its line cannot be told.
        """
        if self._first is None:
            return None
        signals = model_input["signals"]
        scores: Array = prior(signals, self.prior_weights)
        return scores + self._first.residual(self._shown(signals))

    def _attention(self, model_input: ModelInput) -> Array:
        (attention,) = self._run(model_input, ("attention",))
        found: Array = attention[0]
        return found

    def residual(self, model_input: ModelInput) -> Array:
        """What is added to the prior [n]; the same number as in `score`."""
        if self._line is not None:
            shown = self._shown(model_input["signals"])
            return self._with_trees(self._line.residual(shown), shown)
        (heads,) = self._run(model_input, ("heads",))
        return self._with_trees(heads[0] @ self._heads, self._shown(model_input["signals"]))

    def _with_trees(self, residual: Array, shown: Array) -> Array:
        return residual if self._trees is None else residual + self._trees.scores(shown)

    def history_attention(self, model_input: ModelInput) -> Array | None:
        """How much each candidate looks at nobody, then at each history item [n, 1 + h].

        None where the artifact does not tell, having been made before it was asked for.
        """
        if HISTORY_ATTENTION not in self._outputs:
            return None
        (looks,) = self._run(model_input, (HISTORY_ATTENTION,))
        found: Array = looks[0, :, : 1 + len(model_input["history_vectors"])]
        return found

    def _run(self, model_input: ModelInput, outputs: Sequence[str]) -> list[Any]:
        found: list[Any] = self._session.run(list(outputs), self._feed(model_input))
        return found

    def _feed(self, model_input: ModelInput) -> dict[str, NDArray[np.generic]]:
        n, h = len(model_input["signals"]), len(model_input["history_vectors"])
        feed: dict[str, NDArray[np.generic]] = {
            name: _padded(model_input[name])[None]
            for name in LIST_INPUTS
            if name != "signals" and name in self._inputs
        }
        feed["signals"] = self._shown(model_input["signals"])[None]
        feed["item_mask"] = np.ones((1, n), dtype=bool)
        feed["history_mask"] = np.full((1, max(h, 1)), h > 0)
        return {name: value for name, value in feed.items() if name in self._inputs}

    def _shown(self, signals: Array) -> Array:
        """A copy with what never varied in training as it was then."""
        shown = signals.astype(np.float32)
        shown[:, self._held] = self._held_at
        return shown


def _held(reference: Mapping[str, Any]) -> tuple[NDArray[np.intp], Array]:
    """Columns of signals that never varied in training [k], and what they were [k]."""
    found = drift.constants(reference)
    columns = [definition.INDEX[name] for name in found if name in definition.INDEX]
    values = [value for name, value in found.items() if name in definition.INDEX]
    return np.array(columns, dtype=np.intp), np.array(values, dtype=np.float32)


def _padded(array: Array) -> Array:
    """A shopper without history has one masked row: the graph takes no empty axis."""
    if array.shape[0]:
        return np.ascontiguousarray(array, dtype=np.float32)
    return np.zeros((1, *array.shape[1:]), dtype=np.float32)
