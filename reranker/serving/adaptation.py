"""What the adaptive layer adds to the scores of a list, and what the list leaves for it to learn.

The arithmetic is `indexer.behaviour.adaptive`, which the workers learn with; here it is only read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer import identity
from indexer.behaviour import adaptive, feedback, shown_list
from indexer.behaviour.adaptive import Layer
from indexer.behaviour.shown_list import ShownList
from reranker.signals import definition
from reranker.signals.served import PRIOR

Array = NDArray[np.float32]
WIDTH = len(definition.SIGNALS)
DOMAIN_CHARACTERS_MAX = 32
# Of one answer; below these nobody looks at each.
SHOWN_MAX = 50


@dataclass(frozen=True, eq=False)
class Adapted:
    """What `weights` [WIDTH] add to the scores [m] of candidates whose `signals` [m, WIDTH] the
    model saw: `added`, which is bounded. `drawn` says that the weights were, to try what the layer
    is unsure of.

    Ranking needs the sums alone; what else there is to know is worked out where it is asked for.
    """

    segment: str
    signals: Array
    weights: NDArray[np.float64]
    added: Array
    drawn: bool = False

    @cached_property
    def features(self) -> Array:
        """The signals standardised within the list [m, WIDTH]."""
        return adaptive.features(self.signals)

    @cached_property
    def parts(self) -> Array:
        """What each signal adds [m, WIDTH]; they sum up to `added`."""
        parts = (self.features * self.weights).astype(np.float32)
        total = parts.sum(axis=1)
        share = np.where(np.abs(total) > 1e-9, self.added / np.where(total == 0.0, 1.0, total), 1.0)
        parts *= share[:, None].astype(np.float32)
        return parts


def key(model: str | None) -> str:
    """Key of the layer over a version; None: over the prior.

    A layer belongs to the declarations of its signals too: others would be read as these.
    """
    return feedback.layer_key(named(model))


def named(model: str | None) -> str:
    """What the layers call a version of the model."""
    return f"{model or PRIOR}.{definition.digest()}"


def segment_of(history: int, context: Mapping[str, Any]) -> str:
    """Known shoppers and new ones apart, each by the domain that the request names."""
    said = context.get("domain")
    domain = said[:DOMAIN_CHARACTERS_MAX] if isinstance(said, str) else ""
    return f"{'known' if history else 'new'}:{domain}"


def adapt(layer: Layer, signals: Array, segment: str) -> Adapted:
    """What the layer adds, for signals [m, WIDTH] as the model saw them."""
    weights = layer.weights(segment)
    if not layer.gain:
        return Adapted(segment, signals, 0.0 * weights, np.zeros(len(signals), dtype=np.float32))
    centred, scale = adaptive.standardised(signals)
    added = layer.gain * adaptive.bounded(centred @ (scale * weights))
    return Adapted(segment, signals, layer.gain * weights, added.astype(np.float32))


def left_behind(
    adapted: Adapted,
    model: str | None,
    scores: Array,
    places: Sequence[int],
    ids: Sequence[str],
    now: float,
) -> bytes | None:
    """The value of a shown list: hits `ids` at `places` among the m candidates, -1 for others.

    `scores` [m] are those without the layer. None where there is no choice to learn from.
    """
    rows = [(place, name) for place, name in zip(places, ids, strict=True) if place >= 0]
    if len(rows) < 2:
        return None
    picked = np.array([place for place, _ in rows], dtype=np.intp)
    return shown_list.encode(
        ShownList(
            model=named(model),
            segment=adapted.segment,
            time=now,
            items=identity.hashes(name for _, name in rows),
            features=adapted.features[picked].astype(np.float16),
            scores=scores[picked].astype(np.float32),
        )
    )
