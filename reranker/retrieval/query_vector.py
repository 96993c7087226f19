"""Vectors of query texts, kept by recipe: the same words are encoded once per process."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from indexer.embedding.encoder import Encoder, open_encoder
from indexer.embedding.recipe import Recipe
from indexer.errors import HitweaveError

REST_AFTER_FAILURE_SECONDS = 10.0
Key = tuple[str, str]


class QueryVectors:
    """The most recently asked query vectors of this process."""

    def __init__(self, entries_max: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._entries_max = entries_max
        self._clock = clock
        self._failed: dict[str, tuple[float, HitweaveError]] = {}
        self._kept: OrderedDict[Key, NDArray[np.float32]] = OrderedDict()
        self._encoders: dict[str, Encoder] = {}
        self._lock = threading.Lock()

    def of(self, text: str, recipe: Recipe) -> NDArray[np.float32]:
        """The vector [dims] of `text`; raises EncoderUnavailable or InvalidVector."""
        key = (recipe_digest(recipe), text)
        with self._lock:
            known = self._kept.get(key)
            if known is not None:
                self._kept.move_to_end(key)
                return known
        vector: NDArray[np.float32] = self.encoder(recipe).encode([text], role="query")[0]
        vector.setflags(write=False)
        with self._lock:
            self._kept[key] = vector
            while len(self._kept) > self._entries_max:
                self._kept.popitem(last=False)
        return vector

    def encoder(self, recipe: Recipe) -> Encoder:
        """The encoder of a recipe, opened and checked once per process.

        One that could not be opened is not tried again for a while: trying takes seconds.
        """
        digest = recipe_digest(recipe)
        encoder = self._encoders.get(digest)
        if encoder is not None:
            return encoder
        failed = self._failed.get(digest)
        if failed is not None and failed[0] > self._clock():
            raise failed[1]
        try:
            encoder = self._encoders[digest] = open_encoder(recipe)
        except HitweaveError as error:
            self._failed[digest] = (self._clock() + REST_AFTER_FAILURE_SECONDS, error)
            raise
        return encoder


@lru_cache(maxsize=256)
def recipe_digest(recipe: Recipe) -> str:
    """The recipe's digest; hashing it anew costs more than the whole look-up."""
    return recipe.digest()
