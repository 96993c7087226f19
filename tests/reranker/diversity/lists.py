"""Lists for the tests of variety."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.catalogue import card
from indexer.catalogue.diversity import Diversity
from reranker.diversity.likeness import Looks

ITEMS_MAX = 40


def looks(rng: np.random.Generator, n: int, *, names: int = 5, dims: int = 6) -> Looks:
    """Items of a few brands and categories, some without either and some without a vector."""
    vectors = rng.normal(size=(n, dims)).astype(np.float32)
    vectors[rng.random(n) < 0.2] = 0.0
    categories = np.zeros((n, card.CATEGORIES_MAX), np.uint32)
    categories[:, 0] = rng.integers(0, names, n)
    brands = rng.integers(0, names, n).astype(np.uint32)
    return Looks(vectors, categories, brands)


@st.composite
def cases(draw: st.DrawFn) -> tuple[NDArray[np.float32], Looks, np.random.Generator]:
    """Scores, with ties among them, and what is known of the items."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(0, ITEMS_MAX))
    scores = (rng.integers(0, 20, n) / draw(st.sampled_from([1.0, 4.0, 10.0]))).astype(np.float32)
    return scores, looks(rng, n), rng


policies = st.builds(
    Diversity,
    method=st.sampled_from(["dispersion", "mmr", "dpp"]),
    page=st.integers(2, 12),
    floor=st.floats(0, 1),
    loss_max=st.floats(0, 1),
    category_max=st.none() | st.integers(1, 4),
    brand_max=st.none() | st.integers(1, 4),
    taste=st.sampled_from([0.0, 0.2, 2.0]),
)
unbound = st.builds(
    Diversity,
    method=st.sampled_from(["dispersion", "mmr", "dpp"]),
    page=st.integers(2, 12),
    floor=st.floats(0, 1),
    loss_max=st.floats(0, 1),
)
dials = st.floats(0, 1)
