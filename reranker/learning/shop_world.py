"""What a journal says of a shop's shoppers, as far as simulated ones need it. Pure.

Fitted are: behavioural vectors of items and the kinds they fall into, how much each is bought, what
shoppers own, how what they buy hangs on taste, popularity and ownership (a logistic model of bought
items against others), and how many visits are followed by another. What no journal of purchases
tells is assumed, and stands in `Habits`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.utils.extmath import randomized_svd

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
WIDTH, KINDS = 16, 12
VISITS_MIN, OWNED_MAX, FITTED_VISITS = 2, 60, 4000


@dataclass(frozen=True)
class Visit:
    """What one shopper bought at one time; items are numbered from 0."""

    shopper: int
    time: float
    items: Numbers


@dataclass(frozen=True)
class Habits:
    """What is assumed: `fatigue` is in log odds per share of what was shown of a kind lately."""

    click_rate: float = 0.06  # of a candidate as it comes, looked at
    buys: float = 0.3  # of what is clicked
    fatigue: float = 2.0
    fatigue_kept: float = 0.7  # from visit to visit
    joy: float = 0.5  # log odds of coming back, a click or purchase more
    monotony: float = 1.5  # against it, for a page of one kind alone
    visits_max: int = 8


@dataclass(frozen=True, eq=False)
class ShopWorld:
    """Items [items], their unit vectors [items, WIDTH] and kinds, shoppers by what they own.

    `liking` are log odds of taste (cosine), popularity (standard scores) and ownership; `kindred`
    are items of each kind.
    """

    vectors: Floats
    kind: Numbers
    popularity: Floats  # log purchases, standardised
    owned: Sequence[Numbers]
    liking: Floats  # [3]
    returns: float
    kindred: Sequence[Numbers]


def fitted(visits: Sequence[Visit], items: int, seed: int) -> ShopWorld:
    """The world of visits in time order; raises ValueError where nobody came twice."""
    shoppers = 1 + max(visit.shopper for visit in visits)
    bought = sparse.csr_matrix(
        (
            np.ones(sum(len(visit.items) for visit in visits)),
            (
                np.concatenate([np.full(len(visit.items), visit.shopper) for visit in visits]),
                np.concatenate([visit.items for visit in visits]),
            ),
        ),
        shape=(shoppers, items),
    )
    vectors = _vectors(bought, seed)
    kind = KMeans(KINDS, n_init=2, random_state=seed).fit_predict(vectors).astype(np.int64)
    counts = np.log1p(np.asarray(bought.sum(axis=0)).ravel())
    popularity = (counts - counts.mean()) / counts.std()
    of_shopper: list[list[Visit]] = [[] for _ in range(shoppers)]
    for visit in visits:
        of_shopper[visit.shopper].append(visit)
    known = [them for them in of_shopper if len(them) >= VISITS_MIN]
    if not known:
        raise ValueError("nobody came twice: there is no shopper to simulate")
    return ShopWorld(
        vectors=vectors,
        kind=kind,
        popularity=popularity,
        owned=[_owned(them) for them in known],
        liking=_liking(known, vectors, popularity, np.random.default_rng(seed)),
        returns=1.0 - sum(bool(them) for them in of_shopper) / len(visits),
        kindred=[np.flatnonzero(kind == number) for number in range(KINDS)],
    )


def taste(owned: Numbers, vectors: Floats) -> Floats:
    """The unit mean of what is owned [WIDTH]; zero for nothing."""
    mean: Floats = vectors[owned].sum(axis=0) if len(owned) else np.zeros(vectors.shape[1])
    length = float(np.linalg.norm(mean))
    return mean / length if length > 0 else mean


def _vectors(bought: sparse.csr_matrix, seed: int) -> Floats:
    damped = bought.copy()
    damped.data = np.log1p(damped.data)
    weight = 1.0 / np.sqrt(1.0 + np.asarray(damped.sum(axis=1)).ravel())
    rank = min(WIDTH, min(damped.shape) - 1)
    _, strength, right = randomized_svd(sparse.diags(weight) @ damped, rank, random_state=seed)
    found = right.T * np.sqrt(strength)
    unit: Floats = found / (np.linalg.norm(found, axis=1, keepdims=True) + 1e-9)
    return unit


def _owned(visits: Sequence[Visit]) -> Numbers:
    """What was bought before the last visit, the latest first."""
    found = np.concatenate([visit.items[::-1] for visit in reversed(visits[:-1])])
    _, first = np.unique(found, return_index=True)
    return found[np.sort(first)][:OWNED_MAX]


def _liking(
    known: Sequence[Sequence[Visit]],
    vectors: Floats,
    popularity: Floats,
    random: np.random.Generator,
) -> Floats:
    """Log odds of being bought at the last visit, against as many random items."""
    rows, labels = [], []
    for them in (known[at] for at in random.permutation(len(known))[:FITTED_VISITS]):
        owned, bought = _owned(them), them[-1].items
        items = np.r_[bought, random.integers(0, len(vectors), len(bought))]
        rows.append(signs(items, owned, vectors, popularity))
        labels.append(np.r_[np.ones(len(bought)), np.zeros(len(bought))])
    model = LogisticRegression().fit(np.concatenate(rows), np.concatenate(labels))
    weights: Floats = model.coef_[0]
    return weights


def signs(items: Numbers, owned: Numbers, vectors: Floats, popularity: Floats) -> Floats:
    """Taste, popularity and ownership of items [n, 3]."""
    near = vectors[items] @ taste(owned, vectors)
    return np.stack([near, popularity[items], np.isin(items, owned).astype(float)], axis=1)
