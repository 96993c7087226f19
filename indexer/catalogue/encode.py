"""Texts to vectors within a time: what does not fit is left, what has no vector is refused alone.

The first few texts tell how fast the encoder is here; after that it gets as many at once as fit, so
that it can sort and batch them as it likes.
"""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock, Thread

import numpy as np
from numpy.typing import NDArray

from indexer.embedding.encoder import Encoder, open_encoder
from indexer.embedding.recipe import Recipe
from indexer.errors import CouldNotReach, InvalidVector

Vector = NDArray[np.float32]
FIRST_TEXTS = 8
SHARE_AT_ONCE = 0.5  # of the time that is left, since speed is only guessed


_openings: "dict[Recipe, Future[Encoder]]" = {}
_lock = Lock()


@dataclass(slots=True)
class Encoded:
    """By the key of each text: its vector, why it has none, or that time was up before it."""

    vectors: dict[int, Vector] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    left: list[int] = field(default_factory=list)


def encode(
    texts: Mapping[int, str],
    encoder: Encoder,
    deadline: float,
    now: Callable[[], float] = time.monotonic,
) -> Encoded:
    """Encode passages until `deadline` on the clock of `now`; at least the first few."""
    encoded = Encoded()
    waiting = list(texts)
    count = FIRST_TEXTS
    while waiting:
        some, waiting = waiting[:count], waiting[count:]
        started = now()
        _encode_some({key: texts[key] for key in some}, encoder, encoded)
        ended = now()
        seconds_each = max((ended - started) / len(some), 1e-6)
        count = int(min((deadline - ended) * SHARE_AT_ONCE / seconds_each, len(waiting)))
        if count < 1:
            break
    encoded.left = waiting
    return encoded


def opened(recipe: Recipe, deadline: float) -> Encoder:
    """The encoder of a recipe; raises CouldNotReach when it is not there by `deadline`.

    It is opened on a thread that outlives the task, so a large model is read once however short
    the time of a task is.
    """
    with _lock:
        opening = _openings.get(recipe)
        if opening is None:
            opening = _openings[recipe] = Future()
            Thread(target=_open, args=(recipe, opening), daemon=True).start()
    try:
        return opening.result(max(deadline - time.monotonic(), 0))
    except TimeoutError:
        if opening.done():
            raise
        raise CouldNotReach(f"the encoder {recipe.encoder} is still being opened") from None


def _open(recipe: Recipe, opening: "Future[Encoder]") -> None:
    try:
        opening.set_result(open_encoder(recipe))
    except BaseException as error:  # noqa: BLE001 - raised to whoever waits for the result
        with _lock:
            del _openings[recipe]  # the next one may find what was missing
        opening.set_exception(error)


def _forget_after_fork() -> None:
    global _lock  # noqa: PLW0603 - a thread that did not come along may have held it
    _lock = Lock()
    _openings.clear()


os.register_at_fork(after_in_child=_forget_after_fork)


def _encode_some(texts: Mapping[int, str], encoder: Encoder, encoded: Encoded) -> None:
    try:
        vectors = encoder.encode(list(texts.values()), role="passage")
    except InvalidVector as error:
        if len(texts) == 1:
            encoded.refused |= dict.fromkeys(texts, error.message)
            return
        for key, text in texts.items():
            _encode_some({key: text}, encoder, encoded)
        return
    encoded.vectors |= dict(zip(texts, vectors, strict=True))
