"""Simulated shoppers as a gymnasium environment: an episode is a person, a step a search.

A step shows `PLACES` of the `CANDIDATES` that were found. A place is looked at the less the lower
it is; what is looked at is clicked by liking, less what is known of its kind to weariness; some of
what is clicked is bought. Who was pleased comes back sooner, who was shown the same kind of thing
over and over does not. The reward of a search is clicks, purchases and the mean distance of the
page's items; the long run is that they come back at all.

Observations are the declared signals of each candidate, filled as when serving: those that a
simulated shopper has are computed, the others have their defaults.
"""

from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from reranker.learning import shop_world
from reranker.learning.shop_world import Habits, Numbers, ShopWorld
from reranker.signals import definition

Floats = NDArray[np.float64]
CANDIDATES, PLACES = 30, 10
EXAMINED = 1.0 / np.log2(np.arange(2, PLACES + 2))
CLICK, PURCHASE, DIVERSITY = 1.0, 3.0, 1.0
USUAL_SHARE = 0.3  # of a page, of the kind that it has most of
OWN, WANTED = 6, 14  # of the candidates: owned ones, and of the kind that is searched for


@dataclass
class Person:
    """Who searches: what they own, latest first, and how weary they are of each kind."""

    owned: Numbers
    weary: Floats
    clicked: dict[int, int] = field(default_factory=dict)
    visits: int = 0


class ShopperEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.int64]]):
    """The action is a slate: rows of the candidates, best first, each once."""

    def __init__(self, world: ShopWorld, habits: Habits | None = None) -> None:
        self.world, self.habits = world, habits or Habits()
        shape = (CANDIDATES, len(definition.SIGNALS))
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, shape, np.float32)
        self.action_space = gymnasium.spaces.MultiDiscrete([CANDIDATES] * PLACES)
        self._intercept = self._calibrated()

    def reset(
        self,
        *,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002 - as gymnasium calls it
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """The first search of somebody else."""
        super().reset(seed=seed)
        owned = self.world.owned[int(self.np_random.integers(len(self.world.owned)))]
        self._person = Person(owned.copy(), np.zeros(len(self.world.kindred)))
        return self._searched(), {}

    def step(
        self, action: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """What came of a page; `rewards` are of each place, without the future."""
        rows = np.asarray(action)
        if len(np.unique(rows)) != PLACES:
            raise ValueError("a slate shows each candidate once at most")
        habits, person, shown = self.habits, self._person, self._items[rows]
        likes: Floats = _odds(self._liked(shown))
        clicked = self.np_random.random(PLACES) < likes * EXAMINED
        bought = clicked & (self.np_random.random(PLACES) < habits.buys)
        apart = self._apart(shown)
        rewards = CLICK * clicked + PURCHASE * bought + DIVERSITY * apart / PLACES
        self._remember(shown, clicked, bought)
        kinds = np.bincount(self.world.kind[shown], minlength=len(person.weary)) / PLACES
        gone = self._leaves(float(clicked.sum() + bought.sum()), float(kinds.max()))
        cut = person.visits >= habits.visits_max
        info = {"rewards": rewards, "clicks": int(clicked.sum()), "purchases": int(bought.sum())}
        return self._searched(), float(rewards.sum()), gone, cut, info | {"apart": apart.mean()}

    def _searched(self) -> NDArray[np.float32]:
        """Candidates of the next search, and their signals."""
        world, random, owned = self.world, self.np_random, self._person.owned
        kinds = world.kind[owned] if len(owned) else world.kind
        self._wanted = int(random.choice(kinds))
        kin = world.kindred[self._wanted]
        chance = np.exp(world.popularity)
        found = [random.permutation(owned)[:OWN]]
        wanted = min(WANTED, len(kin))
        found.append(random.choice(kin, wanted, replace=False, p=_share(chance[kin])))
        rest = random.choice(len(chance), 3 * CANDIDATES, replace=False, p=_share(chance))
        every = np.concatenate([*found, rest])
        _, first = np.unique(every, return_index=True)
        self._items = every[np.sort(first)][:CANDIDATES]
        return self._signals()

    def _signals(self) -> NDArray[np.float32]:
        world, person, items = self.world, self._person, self._items
        near = world.vectors[items] @ shop_world.taste(person.owned, world.vectors)
        wanted = (world.kind[items] == self._wanted).astype(float)
        kinds = np.bincount(world.kind[person.owned], minlength=len(person.weary)) + 1e-9
        looked = np.bincount(
            [world.kind[item] for item in person.clicked],
            weights=list(person.clicked.values()),
            minlength=len(person.weary),
        )
        owns = np.isin(items, person.owned).astype(float)
        columns = {
            "bm25_share": wanted * 0.8,
            "knn": 0.4 * wanted + 0.2 * near,
            "query_covered": wanted,
            "purchases_120d": world.popularity[items] + 3.0,
            "purchases": world.popularity[items] + 4.0,
            "taste": near,
            "own_purchases": owns * np.log(2.0),
            "own_views": np.log1p([person.clicked.get(int(item), 0) for item in items]),
            "category_affinity": (kinds / kinds.sum())[world.kind[items]],
            "viewed_with": np.log1p(looked[world.kind[items]]),
            "shopper_items": np.full(len(items), np.log1p(len(person.owned))),
        }
        table = np.full((len(definition.SIGNALS), len(items)), np.nan, np.float32)
        for name, values in columns.items():
            table[definition.INDEX[name]] = values
        return definition.fill(table)

    def liking(self) -> Floats:
        """What a model of purchases says of the candidates, in log odds [n]: no weariness in it."""
        world = self.world
        about = shop_world.signs(self._items, self._person.owned, world.vectors, world.popularity)
        found: Floats = about @ world.liking + (world.kind[self._items] == self._wanted)
        return found

    def _liked(self, shown: Numbers) -> Floats:
        world, person = self.world, self._person
        about = shop_world.signs(shown, person.owned, world.vectors, world.popularity)
        wanted = (world.kind[shown] == self._wanted).astype(float)
        weary = self.habits.fatigue * person.weary[world.kind[shown]]
        found: Floats = about @ world.liking + wanted + self._intercept - weary
        return found

    def _calibrated(self) -> float:
        """The intercept with which a candidate as it comes is clicked as often as assumed."""
        self._intercept = 0.0
        odds = []
        for number in range(200):
            self.reset(seed=number)
            odds.append(self._liked(self._items))
        found, low, high = np.concatenate(odds), -20.0, 20.0
        for _ in range(50):
            middle = (low + high) / 2.0
            below = _odds(found + middle).mean() < self.habits.click_rate
            low, high = (middle, high) if below else (low, middle)
        return low

    def _apart(self, shown: Numbers) -> Floats:
        """How far each is from the others of the page, on average."""
        vectors = self.world.vectors[shown]
        likeness = vectors @ vectors.T
        found: Floats = (1.0 - (likeness.sum(axis=1) - 1.0) / (PLACES - 1)) / 2.0
        return found

    def _remember(
        self, shown: Numbers, clicked: NDArray[np.bool_], bought: NDArray[np.bool_]
    ) -> None:
        person, kind = self._person, self.world.kind
        for item in shown[clicked].tolist():
            person.clicked[item] = person.clicked.get(item, 0) + 1
        kept = person.owned[~np.isin(person.owned, shown[bought])]
        person.owned = np.r_[shown[bought], kept][: shop_world.OWNED_MAX]
        seen = np.bincount(kind[shown], minlength=len(person.weary)) / PLACES
        person.weary = self.habits.fatigue_kept * person.weary + seen
        person.visits += 1

    def _leaves(self, pleased: float, same: float) -> bool:
        base = np.log(self.world.returns / (1.0 - self.world.returns))
        habits = self.habits
        stays = base + habits.joy * pleased - habits.monotony * (same - USUAL_SHARE)
        return bool(self.np_random.random() >= _odds(np.array(stays)))


def _odds(logits: Floats) -> Floats:
    """The chances of log odds."""
    found: Floats = 1.0 / (1.0 + np.exp(-logits))
    return found


def _share(weights: Floats) -> Floats:
    found: Floats = weights / weights.sum()
    return found
