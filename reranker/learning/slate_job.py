"""The whole job behind `hitweave policy`: fit the simulator, learn, judge, write, promote.

The policy learns in the simulator and from every other search that was recorded with its chances;
the rest of those decide, by SNIPS and DR, whether it may serve. Without such searches nothing is
promoted: a simulator is not evidence.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from indexer.behaviour import journal
from indexer.behaviour.event import BehaviourEvent
from indexer.behaviour.popularity import KIND_OF_ACTION, PURCHASE
from indexer.catalogue.generation import Generation
from reranker.fusion.registry import Registry, for_policy
from reranker.learning import (
    explored_searches,
    policy_artifact,
    policy_trial,
    reinforce,
    shop_world,
    threads,
)
from reranker.learning.job import Servers
from reranker.learning.progress import Progress, silent
from reranker.learning.reinforce import Schedule, Worth
from reranker.learning.shop_world import Visit
from reranker.learning.shopper_env import ShopperEnv

VISIT_SECONDS = 3600
LOGGED_MIN = 200  # searches to learn from, beside as many to judge by
NO_PURCHASES = "there are no purchases of shoppers who came back: there is nobody to simulate"


def train(
    servers: Servers,
    generation: Generation,
    schedule: Schedule,
    *,
    now: datetime,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Run the job; returns what `hitweave policy` prints."""
    threads.hold_to(1)
    index = generation.index
    answer: dict[str, Any] = {"index": index, "promoted": False}
    events = list(journal.scan(servers.es, index))
    try:
        env = ShopperEnv(shop_world.fitted(*visits(events), schedule.seed))
    except ValueError:
        return {**answer, "why": NO_PURCHASES}
    told = progress("rounds in the simulator", schedule.rounds)
    log, _ = reinforce.episodes(env, reinforce.nothing, schedule.episodes, schedule.seed)
    policy = reinforce.learned(env, log, schedule, lambda _number, _reward: told(1))
    searches = explored_searches.read(servers.es, index, events)
    logged = policy_trial.as_log(searches[::2]) if len(searches) >= 2 * LOGGED_MIN else None
    if logged is not None:
        reinforce.improve(policy, logged, schedule, schedule.seed)
    adds = reinforce.of(policy)
    said = policy_trial.verdict(searches[1::2], adds, schedule.seed)
    metrics = {"simulator": simulated(env, adds, schedule), "log": said}
    registry = Registry(servers.models_dir, for_policy(index))
    seen = log.signals if logged is None else logged.signals
    manifest = policy_artifact.write(registry, generation, policy, seen, metrics, now)
    if said["why"] is None:
        registry.promote(manifest.version)
    answer |= {"version": manifest.version, "promoted": said["why"] is None}
    return {**answer, "why": said["why"], **metrics}


def visits(events: Sequence[BehaviourEvent]) -> tuple[list[Visit], int]:
    """What was bought at a time by each, by time, and how many items there are.

    Raises ValueError where nothing was bought.
    """
    shoppers: dict[str, int] = {}
    items: dict[str, int] = {}
    found: dict[tuple[int, str], tuple[float, list[int]]] = {}
    for event in events:
        who = event.user or event.session
        if who is None or KIND_OF_ACTION.get(event.action) != PURCHASE:
            continue
        basket = event.basket or str(int(event.timestamp // VISIT_SECONDS))
        shopper = shoppers.setdefault(who, len(shoppers))
        _, bought = found.setdefault((shopper, basket), (event.timestamp, []))
        bought.append(items.setdefault(event.item_id, len(items)))
    if len(items) <= shop_world.KINDS:
        raise ValueError("too few items were bought to tell kinds of them apart")
    made = [Visit(who, time, np.array(bought)) for (who, _), (time, bought) in found.items()]
    return sorted(made, key=lambda visit: visit.time), len(items)


def simulated(env: ShopperEnv, adds: reinforce.Adds, schedule: Schedule) -> dict[str, float]:
    """What a simulated shopper earns by falling score, with the policy and without."""
    found = {}
    for name, own in (("policy", adds), ("without", reinforce.nothing)):
        _, worths = reinforce.episodes(env, own, schedule.episodes, schedule.seed + 1, chance=0.0)
        found[name] = round(_mean(worths), 4)
    return found


def _mean(worths: Sequence[Worth]) -> float:
    return float(np.mean([it.reward for it in worths]))
