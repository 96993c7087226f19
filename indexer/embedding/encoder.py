"""The one interface of all encoders, and the only place that opens one."""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.embedding.recipe import Recipe

Role = Literal["query", "passage"]
DEFAULT_ENCODER = "packaged:use-multilingual-v3"


class Encoder(Protocol):
    """Texts to unit vectors, by one recipe."""

    recipe: Recipe

    def encode(self, texts: Sequence[str], *, role: Role) -> NDArray[np.float32]:
        """Vectors [texts, recipe.dims] float32 of length 1."""
        ...
