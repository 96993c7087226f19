"""Off-policy estimates over a file of logged choices.

Reads CSV (.gz) with the columns of the Open Bandit Dataset (Saito et al. 2021, arXiv 2008.07146):
item_id, position, click, propensity_score; `group` (the search) where there is one. Ids may be
numbers from 0 or names, which are numbered here. The target policy is the uniform one, or the
log's own most clicked items at each position ("greedy", learned on one half and judged on the
other).
"""

import csv
import gzip
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from indexer.errors import AskedWrongly
from reranker.evaluation import offpolicy, reward_table
from reranker.evaluation.offpolicy import Impressions
from reranker.evaluation.reward_table import Shown

Target = Literal["uniform", "greedy"]
COLUMNS = ("item_id", "position", "click", "propensity_score")
GREEDY_SHARE = 0.9  # the rest is spread over all items, so that every weight is bounded


@dataclass(frozen=True, slots=True)
class Log:
    """Choices of one policy: what was shown where with which probability."""

    shown: Shown
    propensity: NDArray[np.float64]
    group: NDArray[np.int64] | None

    def rows(self, kept: NDArray[np.bool_]) -> "Log":
        """Some of the choices."""
        part = Shown(
            self.shown.item[kept],
            self.shown.position[kept],
            self.shown.reward[kept],
            self.shown.items,
            self.shown.positions,
        )
        group = None if self.group is None else self.group[kept]
        return Log(part, self.propensity[kept], group)


def read(path: Path, items: int | None = None) -> Log:
    """Choices of a file; `items` is how many there were to choose from (default: those shown)."""
    rows = _rows(path)
    item = _numbered([row["item_id"] for row in rows])
    position = np.array([int(row["position"]) for row in rows])
    position -= position.min()
    shown = Shown(
        item,
        position,
        np.array([float(row["click"]) for row in rows]),
        max(items or 0, int(item.max()) + 1),
        int(position.max()) + 1,
    )
    propensity = np.array([float(row["propensity_score"]) for row in rows])
    names = [row.get("group") for row in rows]
    group = np.unique(np.array(names), return_inverse=True)[1] if all(names) else None
    return Log(shown, propensity, group)


def _numbered(ids: Sequence[str]) -> NDArray[np.int64]:
    if all(name.isdecimal() for name in ids):
        return np.array([int(name) for name in ids])
    return np.unique(np.array(ids), return_inverse=True)[1]


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise AskedWrongly(f"{path} cannot be read: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    rows = list(reader)
    if missing or not rows:
        raise AskedWrongly(f"{path}: no rows, or without the columns {', '.join(missing)}")
    return rows


def uniform(log: Log) -> NDArray[np.float64]:
    """Every item alike [positions, items]."""
    return np.full((log.shown.positions, log.shown.items), 1.0 / log.shown.items)


def greedy(log: Log) -> NDArray[np.float64]:
    """Mostly the item with the highest smoothed reward at each position [positions, items]."""
    table = reward_table.means(log.shown, np.ones(log.shown.reward.size, dtype=bool))
    policy = uniform(log) * (1.0 - GREEDY_SHARE)
    policy[np.arange(log.shown.positions), table.argmax(axis=1)] += GREEDY_SHARE
    return policy


def estimates(
    log: Log, policy: NDArray[np.float64], clip: float | None, seed: int
) -> dict[str, Any]:
    """Every estimate of `policy` [positions, items] as JSON, clipped ones beside the others."""
    fold = reward_table.folds(log.shown.reward.size, seed, log.group)
    model_shown, model_target = reward_table.cross_fitted(log.shown, policy, fold)
    seen = Impressions(
        reward=log.shown.reward,
        logged=log.propensity,
        target=policy[log.shown.position, log.shown.item],
        model_shown=model_shown,
        model_target=model_target,
        group=log.group,
    )
    found = {"on_policy": offpolicy.on_policy(seen)}
    for estimator in (offpolicy.ips, offpolicy.snips, offpolicy.dr):
        found[estimator.__name__] = estimator(seen)
        if clip:
            found[f"{estimator.__name__}_clipped"] = estimator(seen, clip)
    return {name: _rounded(asdict(it)) for name, it in found.items()}


def _rounded(said: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [round(it, 6) for it in value] if isinstance(value, tuple) else round(value, 6)
        for name, value in said.items()
    }


def of_target(log: Log, target: Target, clip: float | None, seed: int) -> dict[str, Any]:
    """Every estimate of a target policy as JSON; `greedy` is learned on one half of the log."""
    if target == "greedy":
        learned = reward_table.folds(log.shown.reward.size, seed, log.group, count=2) == 0
        policy, log = greedy(log.rows(learned)), log.rows(~learned)
    else:
        policy = uniform(log)
    said = estimates(log, policy, clip, seed + 1)
    return {"target": target, "impressions": int(log.shown.reward.size), "clip": clip, **said}
