"""`python -m tests.bench.experiments`: do experiments find what is there, and nothing else?

Simulated A/A tests looked at every day, A/B tests with a planted uplift, interleaving of the same
two rankers with a fraction of the traffic; and A/A tests replayed on a real journal of purchases,
its shoppers given to two arms under many salts. All through the code that makes the reports.
"""

import argparse
import gzip
import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from reranker.experiments import comparison, cuped, power, sample_ratio
from reranker.experiments.comparison import Terms
from reranker.experiments.metric import METRICS, Metric
from reranker.experiments.plan import Wish
from reranker.experiments.power import Baseline
from reranker.experiments.ratio import Sums, linear
from reranker.experiments.replay import Replay, share_interval
from tests.bench import simulated_shoppers as shoppers
from tests.bench.simulated_shoppers import DAYS, Rankers

SALES = Path("compose/sample/onlineretail-purchases.ndjson.gz")
EFFECT, ALPHA, HALVES = 0.05, 0.05, (1.0, 1.0)
WEEKS = 12
METRICS_REPLAYED = {
    "revenue": METRICS["revenue"],
    "orders": Metric("searches", "units", "orders"),
}
ONCE = 1.959964
console = Console(stderr=True)
Row = dict[str, Any]


def main() -> None:
    """Measure, print."""
    args = arguments()
    rows = simulated(args) + interleaving(args)
    if args.purchases.is_file():
        rows += replayed(args.purchases, args.salts)
    show(rows)
    print(json.dumps({"seed": args.seed, "rows": rows}))


def arguments() -> argparse.Namespace:
    """How much to measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.experiments", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--aa", type=int, default=1000, help="A/A tests")
    parser.add_argument("--aa-units", type=int, default=2000, help="units of each A/A test")
    parser.add_argument("--ab", type=int, default=200, help="tests of each kind with the uplift")
    parser.add_argument("--purchases", type=Path, default=SALES, help="NDJSON, also .gz")
    parser.add_argument("--salts", type=int, default=1000)
    return parser.parse_args()


def simulated(args: argparse.Namespace) -> list[Row]:
    """A/A and A/B over shoppers who come back, looked at every day for four weeks."""
    rng = np.random.default_rng(args.seed)
    everyone = shoppers.daily(20_000, 0.0, rng).until(DAYS - 1)
    values = cuped.adjusted([everyone])[0]
    needed = power.units_needed(
        Baseline(everyone.value, float(values.std(ddof=1))), EFFECT, HALVES, ALPHA
    )
    taken_off = cuped.reduction([everyone], [values])
    console.print(f"variance taken off by the past: {taken_off:.3f}; units planned: {needed}")
    rows = [
        aa_row("A/A, daily looks", args, rng, looked(anytime)),
        aa_row("A/A, daily looks, 1.96 standard errors each time", args, rng, looked(naive)),
        aa_row("A/A, daily looks, sample ratio alarm", args, rng, uneven),
    ]
    finds: list[tuple[str, Callable[[Sequence[Sums], float], bool]]] = [
        ("A/B +5 %, daily looks", anytime),
        ("A/B +5 %, daily looks, without the past", without_past),
    ]
    for name, judge in finds:
        found = [looked(judge)(pair(needed, EFFECT, rng), needed) for _ in range(args.ab)]
        rows.append(row(name, needed, found))
    return rows


def aa_row(name: str, args: argparse.Namespace, rng: np.random.Generator, judge: "Judge") -> Row:
    """How often nothing is found to be something."""
    found = [judge(pair(args.aa_units, 0.0, rng), args.aa_units) for _ in range(args.aa)]
    return row(name, args.aa_units, found)


Pair = tuple[shoppers.Days, shoppers.Days]
Judge = Callable[[Pair, int], int | None]


def pair(units: int, effect: float, rng: np.random.Generator) -> Pair:
    """Two arms of so many units together."""
    return shoppers.daily(units // 2, 0.0, rng), shoppers.daily(units // 2, effect, rng)


def looked(judge: Callable[[Sequence[Sums], float], bool]) -> Judge:
    """The first day (from 1) on which it finds something; None for never."""

    def at(arms: Pair, planned: int) -> int | None:
        for day in range(DAYS):
            if judge([arm.until(day) for arm in arms], planned):
                return day + 1
        return None

    return at


def anytime(arms: Sequence[Sums], planned: float) -> bool:
    """As the report judges."""
    return comparison.against_first(arms, Terms(int(planned), ALPHA))[0].is_found


def without_past(arms: Sequence[Sums], planned: float) -> bool:
    """The same without CUPED."""
    return anytime([Sums(arm.top, arm.bottom) for arm in arms], planned)


def naive(arms: Sequence[Sums], _planned: float) -> bool:
    """What a test that is meant for one look finds."""
    one, other = cuped.adjusted(arms)
    error = math.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
    return min(len(one), len(other)) >= 100 and abs(other.mean() - one.mean()) > ONCE * error


def uneven(arms: Pair, _planned: int) -> int | None:
    """The first day with an alarm, of units that came to two arms by a fair coin."""
    came = np.concatenate([(arm.searches.cumsum(axis=1) > 0).argmax(axis=1) for arm in arms])
    coin = np.random.default_rng(int(came.sum())).random(len(came)) < 0.5
    for day in range(DAYS):
        counts = [int(((came <= day) & side).sum()) for side in (coin, ~coin)]
        if sample_ratio.is_off(counts, HALVES):
            return day + 1
    return None


def interleaving(args: argparse.Namespace) -> list[Row]:
    """The same two rankers by an A/B test, and by interleaving with a fraction of its units."""
    rankers = shoppers.rankers_apart(EFFECT, args.seed)
    rng = np.random.default_rng(args.seed + 1)
    first = shoppers.compared(rankers, 40_000, rng)[0]
    baseline = Baseline(first.value, float(linear(first.top, first.bottom).std(ddof=1)))
    needed = power.units_needed(baseline, EFFECT, HALVES, ALPHA)
    tested = [anytime(shoppers.compared(rankers, needed, rng), needed) for _ in range(args.ab)]
    rows = [row("two rankers 5 % apart, A/B, at the end", needed, tested)]
    for share in (10, 20, 50):
        units = needed // share
        found = [prefers(rankers, units, rng) for _ in range(args.ab)]
        rows.append(row(f"the same, team draft, 1/{share} of the units", units, found))
    same = Rankers(rankers.first_noise, rankers.first_noise)
    units = needed // 10
    alarms = [prefers(same, units, rng) for _ in range(args.ab)]
    return [*rows, row("two equal rankers, team draft", units, alarms)]


def prefers(rankers: Rankers, units: int, rng: np.random.Generator) -> bool:
    """Whether some look at growing interleaved traffic finds one ranker preferred."""
    sums = shoppers.interleaved(rankers, units, rng)
    terms = Terms(units, ALPHA)
    looks = [max(1, units * look // DAYS) for look in range(1, DAYS + 1)]
    return any(
        comparison.against_none(linear(sums.top[:count], sums.bottom[:count]), terms).is_found
        for count in looks
    )


def replayed(purchases: Path, salts: int) -> list[Row]:
    """A/A on real shoppers, looked at every week; each order stands for one search."""
    documents = list(orders(purchases))
    end = moment(documents[-1])
    rows = []
    for name, metric in METRICS_REPLAYED.items():
        wish = Wish("sales", metric="revenue", alpha=ALPHA, before_days=WEEKS * 7.0)
        replay = Replay(wish, end, WEEKS * 7.0, every=7.0, metric=metric)
        for document in documents:
            if moment(document) >= replay.since:
                replay.take(document)
        said = replay.result(salts)
        found = [number < said["alarms"] for number in range(salts)]
        rows.append(row(f"replayed A/A, {name} a shopper, weekly looks", said["units"], found))
    return rows


def orders(purchases: Path) -> Iterator[dict[str, Any]]:
    """Purchases by time, before the first of each order a search of the same shopper."""
    opener: Any = gzip.open if purchases.suffix == ".gz" else open
    seen: set[str] = set()
    with opener(purchases, "rt", encoding="utf-8") as lines:
        for line in lines:
            document = json.loads(line)
            order = document["session_id"]
            if order not in seen:
                seen.add(order)
                kept = ("timestamp", "user_id", "client_id", "session_id")
                search = {name: document[name] for name in kept if name in document}
                yield {**search, "query_id": order, "query_response_hit_ids": ["x"]}
            yield document


def moment(document: dict[str, Any]) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(document["timestamp"]).timestamp()


def row(name: str, units: int, found: Sequence[int | bool | None]) -> Row:
    """The share of tests that found something, with its 95 % interval."""
    tests, hits = len(found), sum(it is not None and it is not False for it in found)
    low, high = share_interval(hits, tests)
    days = sorted(it for it in found if it is not None and not isinstance(it, bool))
    result: Row = {
        "name": name,
        "units": units,
        "tests": tests,
        "found": round(hits / tests, 4),
        "interval": [round(low, 4), round(high, 4)],
        "median_look": days[len(days) // 2] if days else None,
    }
    console.print(result)
    return result


def show(rows: Sequence[Row]) -> None:
    """The table."""
    table = Table("experiments", "units", "tests", "found", "95 % interval", "median look")
    for it in rows:
        low, high = it["interval"]
        table.add_row(
            it["name"],
            str(it["units"]),
            str(it["tests"]),
            f"{100 * it['found']:.1f} %",
            f"{100 * low:.1f} to {100 * high:.1f} %",
            str(it["median_look"] or ""),
        )
    console.print(table)


if __name__ == "__main__":
    main()
