"""The adaptive layer: a linear correction of the model's score, learned from each feedback; pure.

A candidate's score is the model's plus gain x part. The part is phi . (w + v), at most PART_MAX
either way: phi are its signals standardised within the list, w belongs to the shop and v to the
segment that the search is in. v has the tighter prior, so a segment leans on its shop.

Learned is the softmax of what was chosen from the shown list, one step a feedback: precisions grow
by its Fisher information, means move by gradient over precision (diagonal Laplace, as Chapelle and
Li 2011, An empirical evaluation of Thompson sampling, algorithm 3), no coordinate farther than
STEP_MAX. The precisions stay, so that weights can be drawn as well as read.

Two guards. What looks like chance teaches little: feedback is taken for a mixture of choices by
the scores and of clicks anywhere, and the share of the latter is estimated on the way (Bootkrajang
and Kaban 2012, Label-noise robust logistic regression). And each list is judged with and without
the layer before it is learned from: the gain is 1 as long as the layer is ahead beyond noise, with
some credit at the start, and 0 when it is not; it goes on learning and may come back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
VERSION = 1
PART_MAX = 3.0  # log odds
STEP_MAX = 0.05  # of one weight by one feedback
# Prior precisions of the shop's weights and of a segment's; both count lists, roughly.
SHOP_PRECISION, SEGMENT_PRECISION = 1000.0, 1000.0
SEGMENTS_MAX = 16
# Below this spread a signal does not tell the list's candidates apart.
SPREAD_MIN, SPREAD_FLOOR = 1e-4, 1e-3

# Who begins in doubt is not carried away by the first hundred clicks, and soon convinced.
NOISE_FIRST, NOISE_MIN, NOISE_MAX = 0.5, 0.02, 0.98
NOISE_RATE = 0.02
NOISE_TRUSTED, NOISE_REFUSED = 0.5, 0.75
# Evidence in standard errors: the gain goes from 0 to 1 between the two.
AHEAD_NOT, AHEAD_SURELY = 1.0, 2.0
CREDIT, DOUBT = 2.0, 1.0
LISTS_REMEMBERED = 500


@dataclass(frozen=True)
class Trial:
    """Reciprocal rank with the layer minus that without, over lists not yet learned from.

    `ahead` and `squares` are sums that fade with the lists; `credit` is what it began with.
    """

    ahead: float = 0.0
    squares: float = 0.0
    credit: float = CREDIT

    def after(self, difference: float) -> "Trial":
        """The trial with one list more."""
        kept = 1.0 - 1.0 / LISTS_REMEMBERED
        return Trial(
            self.ahead * kept + difference,
            self.squares * kept + difference**2,
            self.credit * kept,
        )

    @property
    def evidence(self) -> float:
        """How many standard errors the layer is ahead."""
        return float((self.credit + self.ahead) / np.sqrt(self.squares + DOUBT))


@dataclass(frozen=True, eq=False)
class Layer:
    """Weights of one model's layer: row 0 is the shop's, the others belong to `segments`."""

    means: Array  # [1 + segments, width]
    precisions: Array  # [1 + segments, width]
    segments: tuple[str, ...] = ()
    noise: float = NOISE_FIRST
    trial: Trial = Trial()
    lessons: int = 0

    @property
    def width(self) -> int:
        """How many features a candidate has."""
        return int(self.means.shape[1])

    @cached_property
    def gain(self) -> float:
        """How much of the part is added to a score, 0 to 1."""
        ahead = (self.trial.evidence - AHEAD_NOT) / (AHEAD_SURELY - AHEAD_NOT)
        trust = (NOISE_REFUSED - self.noise) / (NOISE_REFUSED - NOISE_TRUSTED)
        return float(np.clip(ahead, 0.0, 1.0) * np.clip(trust, 0.0, 1.0))

    def weights(self, segment: str) -> Array:
        """Means of the weights that hold in a segment [width]."""
        own: Array = self.means[self.rows_of(segment)].sum(axis=0)
        return own

    def variances(self, segment: str) -> Array:
        """Variances of the same weights [width], for drawing them."""
        found: Array = (1.0 / self.precisions[self.rows_of(segment)]).sum(axis=0)
        return found

    def drawn(self, segment: str, draws: int, random: np.random.Generator) -> Array:
        """Weights as they may be, by what is not known of them [draws, width].

        The gain weighs what was learned, not what is unknown: a layer that is not trusted could
        otherwise never learn what would make it so.
        """
        spread = np.sqrt(self.variances(segment))
        noise = random.standard_normal((draws, self.width))
        found: Array = self.gain * self.weights(segment) + noise * spread
        return found

    def part(self, features: NDArray[np.floating], segment: str) -> Array:
        """What the layer would add to each score at gain 1 [n], of features [n, width]."""
        return bounded(features @ self.weights(segment))

    def with_segment(self, segment: str) -> "Layer":
        """The layer with a row for a segment, unless there are too many already."""
        if segment in self.segments or len(self.segments) >= SEGMENTS_MAX:
            return self
        return replace(
            self,
            means=np.vstack([self.means, np.zeros(self.width)]),
            precisions=np.vstack([self.precisions, np.full(self.width, SEGMENT_PRECISION)]),
            segments=(*self.segments, segment),
        )

    def rows_of(self, segment: str) -> list[int]:
        """The rows that hold in a segment."""
        return [0, 1 + self.segments.index(segment)] if segment in self.segments else [0]


@dataclass(frozen=True, eq=False)
class Lesson:
    """One feedback: a shown list, and what was done with the item at place `chosen` of it.

    `weight` says how much it counts; below zero the item was given back.
    """

    features: NDArray[np.floating]  # [n, width]
    scores: NDArray[np.floating]  # [n] the model's, without the layer
    chosen: int
    weight: float
    segment: str


def bounded(parts: NDArray[np.floating]) -> Array:
    """Parts of scores, none farther from 0 than PART_MAX."""
    found: Array = np.clip(parts, -PART_MAX, PART_MAX)
    return found


def empty(width: int) -> Layer:
    """A layer that has learned nothing: it adds 0 to every score."""
    return Layer(np.zeros((1, width)), np.full((1, width), SHOP_PRECISION))


def features(signals: NDArray[np.floating]) -> NDArray[np.float32]:
    """Signals [n, width] standardised within the list; 0 where all candidates are alike."""
    centred, scale = standardised(signals)
    found: NDArray[np.float32] = (centred * scale).astype(np.float32)
    return found


def standardised(signals: NDArray[np.floating]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The features as two factors: [n, width], and [width] that they are multiplied by."""
    count = np.float32(max(len(signals), 1))
    centred = signals - np.add.reduce(signals, axis=0) / count
    spread = np.sqrt(np.add.reduce(centred * centred, axis=0) / count)
    return centred, np.where(spread > SPREAD_MIN, 1.0 / (spread + SPREAD_FLOOR), 0.0)


def learn(layer: Layer, lesson: Lesson) -> Layer:
    """The layer after one feedback, judged before it is learned from."""
    layer = layer.with_segment(lesson.segment)
    seen, scores = lesson.features.astype(np.float64), lesson.scores.astype(np.float64)
    part = layer.part(seen, lesson.segment)
    chances = _softmax(scores + part)
    chance = float(chances[lesson.chosen])
    away = chances @ seen - seen[lesson.chosen]
    spread = chances @ (seen - chances @ seen) ** 2
    if lesson.weight < 0.0:
        share = -lesson.weight * min(chance / max(1.0 - chance, 1e-9), 1.0)
        return _moved(layer, lesson.segment, -share * away, share * spread)
    meant = _meant(chance, len(chances), layer.noise)
    share = lesson.weight * meant
    judged = replace(
        layer,
        noise=float(np.clip(_towards(layer.noise, 1.0 - meant), NOISE_MIN, NOISE_MAX)),
        trial=layer.trial.after(lesson.weight * _ahead(scores, part, lesson.chosen)),
    )
    return _moved(judged, lesson.segment, share * away, share * spread)


def _moved(layer: Layer, segment: str, gradient: Array, information: Array) -> Layer:
    """One bounded step of the shop's and the segment's weights, against the loss's gradient."""
    means, precisions = layer.means.copy(), layer.precisions.copy()
    for row in layer.rows_of(segment):
        precisions[row] += information
        step = gradient / precisions[row]
        longest = float(np.abs(step).max())
        means[row] -= step * min(1.0, STEP_MAX / max(longest, 1e-12))
    return replace(layer, means=means, precisions=precisions, lessons=layer.lessons + 1)


def _meant(chance: float, shown: int, noise: float) -> float:
    """How likely a feedback was by the scores and not anywhere among `shown`."""
    by_scores = (1.0 - noise) * chance
    return by_scores / (by_scores + noise / shown)


def _towards(noise: float, observed: float) -> float:
    return noise + NOISE_RATE * (observed - noise)


def _ahead(scores: Array, part: Array, chosen: int) -> float:
    return _reciprocal_rank(scores + part, chosen) - _reciprocal_rank(scores, chosen)


def _reciprocal_rank(scores: Array, chosen: int) -> float:
    """Of one place; ties count half."""
    own = scores[chosen]
    equal = int((scores == own).sum()) - 1
    return 1.0 / (1.0 + int((scores > own).sum()) + equal / 2.0)


def _softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max())
    chances: Array = raised / raised.sum()
    return chances


def encode(layer: Layer) -> bytes:
    """The value of a layer, in single precision."""
    trial = layer.trial
    packed: bytes = msgpack.packb(
        [
            *(VERSION, layer.width, list(layer.segments), layer.noise, layer.lessons),
            *([trial.ahead, trial.squares, trial.credit], _bytes(layer.means)),
            _bytes(layer.precisions),
        ]
    )
    return packed


def decode(blob: bytes | None, width: int) -> Layer:
    """The layer of a value; absent and foreign ones have learned nothing."""
    row: Sequence[Any] = msgpack.unpackb(blob) if blob else ()
    if not row or row[0] != VERSION or row[1] != width:
        return empty(width)
    _, _, segments, noise, lessons, trial, means, precisions = row
    shape = (1 + len(segments), width)
    return Layer(
        means=np.frombuffer(means, "<f4").reshape(shape).astype(np.float64),
        precisions=np.frombuffer(precisions, "<f4").reshape(shape).astype(np.float64),
        segments=tuple(segments),
        noise=noise,
        trial=Trial(*trial),
        lessons=lessons,
    )


def _bytes(array: Array) -> bytes:
    return array.astype("<f4").tobytes()
