"""Shoppers who search and click, where the truth is known. Pure; seeds are passed in."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reranker.experiments import interleaving
from reranker.experiments.ratio import Sums

Floats = NDArray[np.float64]
DAYS = 28
KNOWN_BEFORE = 0.6
ITEMS = 10
EXAMINED = 1.0 / np.log2(np.arange(2, ITEMS + 2))  # how likely a place is looked at


@dataclass(frozen=True)
class Days:
    """What units did, day by day [units, days], and in as many days before [units]."""

    searches: Floats
    clicked: Floats
    searches_before: Floats
    clicked_before: Floats

    def until(self, day: int) -> Sums:
        """Sums of those who have come by the end of a day."""
        searches = self.searches[:, : day + 1].sum(axis=1)
        there = searches > 0
        return Sums(
            self.clicked[there, : day + 1].sum(axis=1),
            searches[there],
            self.clicked_before[there],
            self.searches_before[there],
        )


def tastes(units: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """How often each searches a day, and how likely a search of theirs leads to a click."""
    return rng.gamma(1.2, 0.3, units), rng.beta(3.0, 6.0, units)


def daily(units: int, effect: float, rng: np.random.Generator) -> Days:
    """Units of one arm, whose click rate is lifted by `effect`; they come back, or never come."""
    rate, click = tastes(units, rng)
    searches = rng.poisson(rate[:, None], (units, DAYS))
    clicked = rng.binomial(searches, np.minimum(click * (1.0 + effect), 1.0)[:, None])
    known = rng.random(units) < KNOWN_BEFORE
    before = rng.poisson(rate * DAYS) * known
    return Days(
        *(it.astype(float) for it in (searches, clicked, before, rng.binomial(before, click)))
    )


@dataclass(frozen=True)
class Rankers:
    """Two orders of the same ten products, by what they are worth and each one's noise."""

    first_noise: float
    second_noise: float

    def orders(
        self, searches: int, rng: np.random.Generator
    ) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp]]:
        """Worth [searches, items] and both rankings."""
        worth = rng.beta(0.5, 2.0, (searches, ITEMS))
        noisy = [
            np.argsort(-(worth + noise * rng.standard_normal(worth.shape)), axis=1)
            for noise in (self.first_noise, self.second_noise)
        ]
        return worth, noisy[0], noisy[1]


def clicks(
    worth: Floats, order: NDArray[np.intp], keen: Floats, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Which places are clicked [searches, items]: looked at, worth it, and a keen shopper."""
    shown = np.take_along_axis(worth, order, axis=1)
    found: NDArray[np.bool_] = rng.random(shown.shape) < shown * EXAMINED * keen[:, None]
    return found


@dataclass(frozen=True)
class Visits:
    """Searches of units: whose each is, and how keen they are."""

    unit: NDArray[np.intp]
    keen: Floats
    units: int


def visits(units: int, rng: np.random.Generator) -> Visits:
    """Four weeks of searches of so many units, in no order; everyone searches once at least."""
    rate, keen = rng.gamma(1.2, 0.3, units), rng.beta(3.0, 3.0, units)
    counts = 1 + rng.poisson(rate * DAYS)
    unit = np.repeat(np.arange(units), counts)
    return Visits(unit, keen[unit], units)


def compared(rankers: Rankers, units: int, rng: np.random.Generator) -> list[Sums]:
    """An A/B test of the two rankers over so many units of both arms together."""
    arms = []
    for arm in (0, 1):
        seen = visits(units // 2, rng)
        worth, *orders = rankers.orders(len(seen.unit), rng)
        clicked = clicks(worth, orders[arm], seen.keen, rng).any(axis=1)
        arms.append(
            Sums(
                np.bincount(seen.unit, clicked, seen.units).astype(float),
                np.bincount(seen.unit, minlength=seen.units).astype(float),
            )
        )
    return arms


def interleaved(rankers: Rankers, units: int, rng: np.random.Generator) -> Sums:
    """Both rankers in one list for so many units: the preference of each, over its searches."""
    seen = visits(units, rng)
    worth, first, second = rankers.orders(len(seen.unit), rng)
    chance = Bits(rng)
    mixed = [
        interleaving.team_draft(one, other, chance)
        for one, other in zip(first.tolist(), second.tolist(), strict=True)
    ]
    order, teams = (np.array([getattr(it, name) for it in mixed]) for name in ("rows", "teams"))
    clicked = clicks(worth, order, seen.keen, rng)
    won = (clicked & (teams == 1)).sum(axis=1) - (clicked & (teams == 0)).sum(axis=1)
    return Sums(
        np.bincount(seen.unit, np.sign(won), seen.units).astype(float),
        np.bincount(seen.unit, minlength=seen.units).astype(float),
    )


def click_rate(rankers: Rankers, arm: int, seed: int, searches: int = 150_000) -> float:
    """Searches with a click, where one of the rankers serves everyone."""
    rng = np.random.default_rng(seed)
    worth, *orders = rankers.orders(searches, rng)
    keen = rng.beta(3.0, 3.0, searches)
    return float(clicks(worth, orders[arm], keen, rng).any(axis=1).mean())


def rankers_apart(effect: float, seed: int, first_noise: float = 0.5) -> Rankers:
    """Two rankers of which the second has a click rate so much higher."""
    low, high = 0.0, first_noise
    base = click_rate(Rankers(first_noise, first_noise), 0, seed)
    for _ in range(12):
        middle = (low + high) / 2.0
        lift = click_rate(Rankers(first_noise, middle), 1, seed) / base - 1.0
        low, high = (middle, high) if lift > effect else (low, middle)
    return Rankers(first_noise, high)


class Bits(Iterator[int]):
    """Fair bits without end."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._left: list[int] = []

    def __next__(self) -> int:
        if not self._left:
            self._left = self._rng.integers(0, 2, 65_536).tolist()
        return self._left.pop()
