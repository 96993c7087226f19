"""REINFORCE over slates that another policy showed (Chen et al. 2019, WSDM, Top-K Off-Policy
Correction for a REINFORCE Recommender System, arXiv 1812.02353).

An item is on a page of K with chance alpha = 1 - (1 - pi)^K, whose gradient is K (1 - pi)^(K - 1)
pi grad log pi. So the gradient of an item shown is its return times that, over the chance beta with
which whoever logged it had it on the page (pi / beta is capped). The paper's beta is that of one
pick, which differs by the factor K where pages are drawn from millions, but not where from thirty.
Returns are what the item earned plus its share of all that the shopper's later searches earned; the
mean return of its place is taken off, since a place earns by where it is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reranker.learning.shopper_env import CANDIDATES, PLACES, ShopperEnv
from reranker.learning.slate_policy import TEMPERATURE, SlatePolicy, added
from reranker.signals import definition

Floats = NDArray[np.float64]
# What is added to the scores of candidates of these signals [n, signals]: [n].
Adds = Callable[[NDArray[np.float32]], Floats]


@dataclass(frozen=True)
class Schedule:
    """How long and how carefully."""

    episodes: int = 2000  # of the log, and of each round
    rounds: int = 0  # further ones, from what the policy shows itself
    epochs: int = 4
    batch: int = 256
    rate: float = 0.003
    cap: float = 10.0
    discount: float = 0.9
    seed: int = 1


@dataclass(frozen=True, eq=False)
class Log:
    """Searches in order, with what was shown and what came of it."""

    signals: NDArray[np.floating]  # [T, n, signals]
    scores: Floats  # [T, n] without what a policy adds
    slate: NDArray[np.int64]  # [T, places] rows
    beta: Floats  # [T, places] how likely each was to be on the page
    rewards: Floats  # [T, places]
    returns: Floats  # [T, places]
    episode: NDArray[np.int64]  # [T] of one log

    def __len__(self) -> int:
        return len(self.slate)


@dataclass(frozen=True)
class Worth:
    """What came of one episode."""

    reward: float
    searches: int
    clicks: int
    purchases: int
    apart: float  # mean distance of a page's items


def nothing(signals: NDArray[np.float32]) -> Floats:
    """The policy that shows what the scores say."""
    return np.zeros(len(signals))


def of(policy: SlatePolicy) -> Adds:
    """What a policy adds."""
    return lambda signals: added(policy, signals[None])[0]


def liked(scores: Floats) -> Floats:
    """How much a policy of these scores [..., n] likes to show each, before any other."""
    raised = np.exp((scores - scores.max(axis=-1, keepdims=True)) / TEMPERATURE)
    shares: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return shares


def episodes(
    env: ShopperEnv, adds: Adds, count: int, seed: int, discount: float = 0.9, chance: float = 1.0
) -> tuple[Log, list[Worth]]:
    """So many shoppers who are answered by the scores and what is added to them.

    Slates are drawn; at `chance` 0 they are shown by falling score.
    """
    random = np.random.default_rng(seed)
    columns: dict[str, list[Any]] = {
        name: [] for name in ("signals", "scores", "slate", "beta", "rewards", "returns")
    }
    of_episode: list[int] = []
    worths = []
    for number in range(count):
        signals, _ = env.reset(seed=int(random.integers(2**31)))
        rewards: list[Floats] = []
        told: list[dict[str, float]] = []
        over = False
        while not over:
            scores = env.liking()
            own = scores + adds(signals)
            noise = chance * random.gumbel(size=CANDIDATES)
            slate = np.argsort(-(own / TEMPERATURE + noise))[:PLACES].astype(np.int64)
            on_page = 1.0 - (1.0 - liked(own)[slate]) ** PLACES
            seen = (signals.astype(np.float16), scores, slate, on_page)
            for name, value in zip(("signals", "scores", "slate", "beta"), seen, strict=True):
                columns[name].append(value)
            signals, _, gone, cut, info = env.step(slate)
            rewards.append(info["rewards"])
            told.append(info)
            over = gone or cut
            of_episode.append(number)
        columns["rewards"] += rewards
        columns["returns"] += _returns(rewards, discount)
        worths.append(_worth(rewards, told))
    stacked = {name: np.stack(values) for name, values in columns.items()}
    return Log(episode=np.array(of_episode), **stacked), worths


def _returns(rewards: list[Floats], discount: float) -> list[Floats]:
    """What each item earned, and an equal share of what came later [places] a search."""
    found, later = [], 0.0
    for own in reversed(rewards):
        found.append(own + discount * later / PLACES)
        later = float(own.sum()) + discount * later
    return found[::-1]


def _worth(rewards: list[Floats], told: list[dict[str, float]]) -> Worth:
    return Worth(
        reward=float(sum(own.sum() for own in rewards)),
        searches=len(rewards),
        clicks=int(sum(it["clicks"] for it in told)),
        purchases=int(sum(it["purchases"] for it in told)),
        apart=float(np.mean([it["apart"] for it in told])),
    )


def improve(policy: SlatePolicy, log: Log, schedule: Schedule, seed: int) -> None:
    """Go over a log a few times; the policy changes in place."""
    optimiser = torch.optim.Adam(policy.parameters(), lr=schedule.rate, weight_decay=1e-4)
    advantage = log.returns - log.returns.mean(axis=0)
    advantage /= advantage.std() + 1e-9
    for rows in _batches(len(log), schedule, seed):
        optimiser.zero_grad()
        loss(policy, log, advantage, rows, schedule.cap).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimiser.step()


def loss(
    policy: SlatePolicy, log: Log, advantage: Floats, rows: NDArray[np.intp], cap: float
) -> Tensor:
    """Its gradient is the corrected policy gradient, downwards."""
    signals = torch.from_numpy(log.signals[rows].astype(np.float32))
    scores = torch.from_numpy(log.scores[rows]).float() + policy(signals)
    chances = torch.log_softmax(scores / TEMPERATURE, dim=1)
    chosen = chances.gather(1, torch.from_numpy(log.slate[rows]))
    with torch.no_grad():
        pi = chosen.exp()
        weight = (pi / torch.from_numpy(log.beta[rows]).float()).clamp(max=cap)
        places = log.slate.shape[1]
        several = places * (1.0 - pi) ** (places - 1)
        factor = weight * several * torch.from_numpy(advantage[rows]).float()
    found: Tensor = -(factor * chosen).mean()
    return found


def _batches(count: int, schedule: Schedule, seed: int) -> Iterator[NDArray[np.intp]]:
    random = np.random.default_rng(seed)
    for _ in range(schedule.epochs):
        order = random.permutation(count)
        for first in range(0, count, schedule.batch):
            yield order[first : first + schedule.batch]


def learned(
    env: ShopperEnv, log: Log, schedule: Schedule, tell: Callable[[int, float], None]
) -> SlatePolicy:
    """From a log of the behaviour policy, then round by round from that and all it showed itself.

    A round alone would be too little to learn from: chance would carry the policy away.
    """
    torch.manual_seed(schedule.seed)
    policy = SlatePolicy(len(definition.SIGNALS))
    improve(policy, log, schedule, schedule.seed)
    for number in range(schedule.rounds):
        seed = schedule.seed * 1000 + number
        own, worths = episodes(env, of(policy), schedule.episodes, seed, schedule.discount)
        tell(number, float(np.mean([it.reward for it in worths])))
        log = joined(log, own)
        improve(policy, log, schedule, seed)
    return policy


def joined(first: Log, second: Log) -> Log:
    """The searches of both."""
    return Log(
        **{
            name: np.concatenate([getattr(first, name), getattr(second, name)])
            for name in Log.__dataclass_fields__
        }
    )
