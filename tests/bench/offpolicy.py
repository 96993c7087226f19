"""`python -m tests.bench.offpolicy`: do off-policy intervals hold the truth as often as they say?

Worlds with a planted truth, from many clicks to hardly any and from policies alike to policies
that show different things; in each many logs, judged by the code behind `hitweave offpolicy`. The
normal interval of the same estimate and error stands beside ours. Then the estimates of files of
logged choices, where any are given.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from reranker.evaluation import logged_choices, offpolicy
from reranker.evaluation.offpolicy import Estimate, Impressions
from reranker.experiments.replay import share_interval
from tests.bench import logged_slates
from tests.bench.logged_slates import World

Estimator = Callable[[Impressions], Estimate]
ESTIMATORS: tuple[Estimator, ...] = (offpolicy.ips, offpolicy.snips, offpolicy.dr)
CLICK_RATES, SPREADS, SEARCHES = (0.1, 0.02, 0.005), (0.5, 1.5), (300, 3000)
NORMAL = 1.959964
console = Console(stderr=True)
Row = dict[str, Any]


def main() -> None:
    """Measure, print."""
    args = arguments()
    rows = [
        row
        for rate in CLICK_RATES
        for spread in SPREADS
        for row in covered(logged_slates.world(rate, spread, args.seed), rate, spread, args.runs)
    ]
    show(rows)
    said = [
        {
            "file": file.name,
            **logged_choices.of_target(logged_choices.read(file), "uniform", 100, 1),
        }
        for file in args.choices
    ]
    show_choices(said)
    print(json.dumps({"seed": args.seed, "coverage": rows, "choices": said}))


def arguments() -> argparse.Namespace:
    """How much to measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.offpolicy", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--runs", type=int, default=400, help="logs of each world")
    parser.add_argument("--choices", type=Path, nargs="*", default=(), help="CSV, also .gz")
    return parser.parse_args()


def covered(world: World, rate: float, spread: float, runs: int) -> list[Row]:
    """Of each length of log and estimator, the share of intervals that hold the truth."""
    rows = []
    for searches in SEARCHES:
        logs = [world.logged(searches, seed) for seed in range(runs)]
        for estimator in ESTIMATORS:
            found = [estimator(log) for log in logs]
            row = {"click_rate": rate, "spread": spread, "searches": searches}
            row |= judged(found, world.truth, estimator.__name__)
            row["clicks"] = round(float(np.mean([log.reward.sum() for log in logs])), 1)
            rows.append(row)
            console.print(row)
    return rows


def judged(found: Sequence[Estimate], truth: float, name: str) -> Row:
    """How often each interval held the truth, and how wide ours was against the normal one."""
    ours = [it.interval[0] <= truth <= it.interval[1] for it in found]
    plain = [abs(it.value - truth) <= NORMAL * it.standard_error for it in found]
    widths = [
        (it.interval[1] - it.interval[0]) / (2 * NORMAL * it.standard_error)
        for it in found
        if it.standard_error > 0
    ]
    low, high = share_interval(sum(ours), len(ours))
    return {
        "estimator": name,
        "runs": len(found),
        "covered": round(float(np.mean(ours)), 4),
        "interval": [round(low, 4), round(high, 4)],
        "covered_normal": round(float(np.mean(plain)), 4),
        "wider": round(float(np.median(widths)), 2) if widths else None,
        "effective_impressions": round(
            float(np.median([it.effective_impressions for it in found]))
        ),
    }


def show(rows: Sequence[Row]) -> None:
    """The table."""
    names = ("click_rate", "spread", "searches", "clicks", "effective_impressions", "estimator")
    table = Table(*names, "covered", "normal", "wider")
    for row in rows:
        cells = [str(row[name]) for name in names]
        shares = [f"{100 * row[name]:.1f} %" for name in ("covered", "covered_normal")]
        table.add_row(*cells, *shares, str(row["wider"]))
    console.print(table)


def show_choices(said: Sequence[Row]) -> None:
    """Estimates of the uniform policy from files of choices."""
    table = Table("file", "estimate", "value", "95 % interval", "effective impressions")
    for each in said:
        for name in ("on_policy", "ips", "snips", "dr", "dr_clipped"):
            low, high = each[name]["interval"]
            count = f"{each[name]['effective_impressions']:.0f}"
            value = f"{each[name]['value']:.5f}"
            table.add_row(each["file"], name, value, f"{low:.5f} to {high:.5f}", count)
    console.print(table)


if __name__ == "__main__":
    main()
