"""`python -m tests.bench.slate_policy`: does the slate policy earn more than what it learned from?

Simulated shoppers fitted to purchases; the behaviour policy shows what a model of purchases likes
best, with some chance. Per seed a policy learns from a log of it, with --rounds from its own
searches too; it is judged by SNIPS and DR on another log, as before a promotion, and then really
serves: the same shoppers are answered by both policies, with chance and by falling score.
"""

import argparse
import gzip
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from reranker.learning import policy_trial, reinforce, shop_world
from reranker.learning.policy_trial import Judged
from reranker.learning.reinforce import Log, Schedule, Worth
from reranker.learning.shop_world import Visit
from reranker.learning.shopper_env import CANDIDATES, PLACES, ShopperEnv
from reranker.learning.slate_policy import TEMPERATURE

SALES = Path("compose/sample/onlineretail-purchases.ndjson.gz")
PARTS = ("reward", "searches", "clicks", "purchases", "apart")
DRAWS = 256  # that chances of places are counted over
HOWS = {"drawn": 1.0, "by falling score": 0.0}
NORMAL = 1.959964
console = Console(stderr=True)
Row = dict[str, Any]


def main() -> None:
    """Measure, print."""
    args = arguments()
    visits, items = read(args.purchases)
    rows: list[Row] = []
    trials = []
    served: dict[str, list[np.ndarray]] = {}
    for seed in args.seeds:
        env = ShopperEnv(shop_world.fitted(visits, items, seed))
        schedule = Schedule(episodes=args.episodes, rounds=args.rounds, seed=seed)
        log, _ = reinforce.episodes(env, reinforce.nothing, schedule.episodes, seed + 100)
        policies = {"from the log": reinforce.learned(env, log, replace(schedule, rounds=0), told)}
        if schedule.rounds:
            policies["and its own rounds"] = reinforce.learned(env, log, schedule, told)
        unseen, _ = reinforce.episodes(env, reinforce.nothing, schedule.episodes, seed + 200)
        behaviour = {
            chance: reinforce.episodes(
                env, reinforce.nothing, args.judged, seed + 300, chance=chance
            )[1]
            for chance in HOWS.values()
        }
        for name, policy in policies.items():
            adds = reinforce.of(policy)
            trials.append(
                {
                    "learned": name,
                    "seed": seed,
                    **policy_trial.verdict(judged(unseen, seed), adds, seed),
                }
            )
            console.print(trials[-1])
            for how, chance in HOWS.items():
                _, own = reinforce.episodes(env, adds, args.judged, seed + 300, chance=chance)
                both = table([own, behaviour[chance]])
                served.setdefault(f"{name}, {how}", []).append(both)
                rows.append({"policy": name, "how": how, "seed": seed, **compared([both])})
                console.print(rows[-1])
    pooled = [{"policy": name, **compared(found)} for name, found in served.items()]
    show(pooled)
    print(json.dumps({"seeds": args.seeds, "rows": rows, "pooled": pooled, "trials": trials}))


def arguments() -> argparse.Namespace:
    """How much to measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.slate_policy", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--episodes", type=int, default=1500, help="of the log, and of each round")
    parser.add_argument("--rounds", type=int, default=0, help="of its own")
    parser.add_argument("--judged", type=int, default=1000, help="shoppers that both serve")
    parser.add_argument("--purchases", type=Path, default=SALES, help="NDJSON, also .gz")
    return parser.parse_args()


def told(number: int, reward: float) -> None:
    """Progress of the learning."""
    console.print(f"round {number}: {reward:.3f} a shopper")


def read(purchases: Path) -> tuple[list[Visit], int]:
    """Visits in time order, and how many items there are."""
    opener: Any = gzip.open if purchases.suffix == ".gz" else open
    shoppers: dict[str, int] = {}
    items: dict[str, int] = {}
    found: dict[tuple[int, str], tuple[str, list[int]]] = {}
    with opener(purchases, "rt", encoding="utf-8") as lines:
        for line in lines:
            document = json.loads(line)
            order = document["session_id"]
            shopper = shoppers.setdefault(document.get("user_id") or order, len(shoppers))
            item = document["event_attributes"]["object"]["object_id"]
            _, bought = found.setdefault((shopper, order), (document["timestamp"], []))
            bought.append(items.setdefault(item, len(items)))
    visits = [
        Visit(shopper, datetime.fromisoformat(time).timestamp(), np.array(bought))
        for (shopper, _), (time, bought) in found.items()
    ]
    return sorted(visits, key=lambda visit: visit.time), len(items)


def judged(log: Log, seed: int) -> list[Judged]:
    """Searches with the chance of each item at its place, counted over draws and what was shown."""
    random = np.random.default_rng(seed)
    found = []
    for at in range(len(log)):
        noise = random.gumbel(size=(DRAWS, CANDIDATES))
        drawn = np.argsort(-(log.scores[at] / TEMPERATURE + noise), axis=1)[:, :PLACES]
        slate = log.slate[at]
        chances = ((drawn == slate).sum(axis=0) + 1.0) / (DRAWS + 1.0)
        found.append(
            Judged(
                log.signals[at].astype(np.float32), log.scores[at], slate, chances, log.rewards[at]
            )
        )
    return found


def table(both: Sequence[Sequence[Worth]]) -> np.ndarray:
    """What came of the shoppers under each policy [2, shoppers, parts]."""
    return np.array([[[getattr(it, part) for part in PARTS] for it in worth] for worth in both])


def compared(found: Sequence[np.ndarray]) -> Row:
    """Means of both, and 95 % intervals of what the policy has more, over shoppers of all seeds."""
    every = np.concatenate(found, axis=1)
    more = every[0] - every[1]
    reach = NORMAL * more.std(axis=0, ddof=1) / math.sqrt(more.shape[0])
    mean = more.mean(axis=0)
    return {
        "shoppers": more.shape[0],
        **{
            part: {
                "policy": round(float(every[0, :, at].mean()), 4),
                "behaviour": round(float(every[1, :, at].mean()), 4),
                "more": round(float(mean[at]), 4),
                "interval": [round(float(mean[at] + s * reach[at]), 4) for s in (-1, 1)],
            }
            for at, part in enumerate(PARTS)
        },
    }


def show(pooled: Sequence[Row]) -> None:
    """The table."""
    said = Table("policy", "a shopper", "behaviour", "policy", "more", "95 % interval")
    for row in pooled:
        for part in PARTS:
            it = row[part]
            low, high = it["interval"]
            cells = (f"{it[name]:.3f}" for name in ("behaviour", "policy", "more"))
            said.add_row(row["policy"], part, *cells, f"{low:.3f} to {high:.3f}")
    console.print(said)


if __name__ == "__main__":
    main()
