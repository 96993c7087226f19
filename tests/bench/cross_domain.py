"""`python -m tests.bench.cross_domain`: what a history in one domain is worth in another.

Splits one catalogue in two by a category and makes an index of each half on the running stack. Some
people lose what they did in the second half; everybody else's deeds are imported into both and the
second index is trained. Then those people, new there and known in the first, ask for
recommendations in the second: without and with `history_from`. What they did there, which nobody
was told, says what was right. One table, one JSON object.
"""

import argparse
import gzip
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
import yaml
from rich.console import Console
from rich.progress import track
from rich.table import Table

from reranker.evaluation import compare, metrics
from tests.bench.next_items import item_of

SIZE = 10
METRICS = ("precision@10", "recall@10", "ndcg@10", "hit@10")
STRATEGIES = ("hybrid", "content", "collaborative")
LENT_SECONDS_MAX, ANSWERS_IN_A_ROW = 120.0, 40
ACTED_MIN = 10  # deeds in each half, of the people who are asked for
Lines = Sequence[Mapping[str, Any]]
console = Console()


def main() -> None:
    """Make, train, measure, print."""
    args = arguments()
    products, events = read(args.products), read(args.events)
    theirs = {p["id"] for p in products if args.category in (p.get(args.field) or ())}
    halves = {
        args.first: [p for p in products if p["id"] not in theirs],
        args.second: [p for p in products if p["id"] in theirs],
    }
    wanted = newcomers(events, theirs, args.users, args.seed)
    if not wanted:
        raise SystemExit(
            f"nobody bought {ACTED_MIN} things in both halves: is {args.category!r} a value of "
            f"{args.field}?"
        )
    if not args.measure_only:
        make(args, halves, events, theirs, set(wanted))
    found = {"alone": measured(args, wanted)}
    rebuild(args, [args.first])
    await_lent(args, next(iter(wanted)))
    found["with history_from"] = measured(args, wanted)
    rebuild(args, [])
    answer = told(found, wanted, args.seed)
    show(answer)
    print(json.dumps(answer))


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cross_domain", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8600")
    parser.add_argument("--home", type=Path, required=True, help="Of the running local stack.")
    parser.add_argument("--products", type=Path, required=True)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True, help="Index configuration of both.")
    parser.add_argument("--schedule", type=Path, help="Training configuration.")
    parser.add_argument("--field", default="categories", help="Of a product, a list.")
    parser.add_argument("--category", required=True, help="Whose products are the second half.")
    parser.add_argument("--first", default="crossfirst")
    parser.add_argument("--second", default="crosssecond")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--measure-only", action="store_true", help="Both indices are there.")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def read(path: Path) -> list[dict[str, Any]]:
    """Lines of JSON, also .gz."""
    packed = path.read_bytes()
    text = gzip.decompress(packed) if path.suffix == ".gz" else packed
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def newcomers(events: Lines, theirs: set[str], count: int, seed: int) -> dict[str, list[str]]:
    """People with purchases in both halves, and what they bought in the second one."""
    bought: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for event in events:
        if event["action_name"] == "purchase" and event.get("user_id"):
            item = item_of(event)
            bought[event["user_id"]][item in theirs].append(item)
    both = sorted(u for u, halves in bought.items() if min(map(len, halves)) >= ACTED_MIN)
    random.Random(seed).shuffle(both)  # noqa: S311 - no secret
    return {user: list(dict.fromkeys(bought[user][1])) for user in both[:count]}


def make(
    args: argparse.Namespace,
    halves: Mapping[str, Lines],
    events: Lines,
    theirs: set[str],
    new: set[str],
) -> None:
    """Both indices with their catalogues and events; the second one is trained."""
    for index, products in halves.items():
        hitweave(args, "create", index, "--config", str(args.config))
        with written(products) as file:
            hitweave(args, "catalogue", index, file.name)
        second = index == args.second
        own = [
            {**event, "application": index}
            for event in events
            if (item_of(event) in theirs) == second and not (second and event.get("user_id") in new)
        ]
        with written(own) as file:
            hitweave(args, "events", file.name)
    schedule = ["--config", str(args.schedule)] if args.schedule else []
    hitweave(args, "train", args.second, *schedule)


def rebuild(args: argparse.Namespace, lenders: Sequence[str]) -> None:
    """The second index anew, borrowing from these."""
    config = yaml.safe_load(args.config.read_text()) or {}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({**config, "history_from": list(lenders)}, file)
        file.flush()
        hitweave(args, "create", args.second, "--rebuild", "--config", file.name)


def written(rows: Iterable[Mapping[str, Any]]) -> Any:
    """A file of lines, gone when it is closed."""
    file = tempfile.NamedTemporaryFile("w", suffix=".ndjson")  # noqa: SIM115 - the caller closes it
    file.writelines(json.dumps(row) + "\n" for row in rows)
    file.flush()
    return file


def hitweave(args: argparse.Namespace, *command: str) -> None:
    """One command on the stack; its own progress shows."""
    line = [sys.executable, "-m", "compose.local.cli", "--home", str(args.home), *command]
    subprocess.run(line, check=True, stdout=sys.stderr)


def measured(
    args: argparse.Namespace, wanted: Mapping[str, Sequence[str]]
) -> dict[str, metrics.PerQuery]:
    """What each strategy recommends to the newcomers, against what they did."""
    qrels = {user: dict.fromkeys(items, 1.0) for user, items in wanted.items()}
    client = requests.Session()
    found = {}
    for strategy in STRATEGIES:
        run: dict[str, Sequence[str]] = {}
        for user in track(wanted, description=strategy, console=Console(stderr=True)):
            sent = {"index": args.second, "user_id": user, "strategy": strategy, "size": SIZE}
            said = client.post(f"{args.url}/recommend", json=sent, timeout=30)
            said.raise_for_status()
            if said.json()["degraded"]:
                raise SystemExit(f"{strategy} for {user}: degraded, {said.json()['degraded']}")
            run[user] = [item["id"] for item in said.json()["items"]]
        found[strategy] = metrics.per_query(run, qrels, METRICS)
    return found


def await_lent(args: argparse.Namespace, user: str) -> None:
    """Wait until every process of the sidecar reads the new configuration: a newcomer without a
    history here gets likenesses of what was done in the first half, or else nothing.
    """
    sent = {"index": args.second, "user_id": user, "strategy": "content", "size": SIZE}
    client, in_a_row, until = requests.Session(), 0, time.monotonic() + LENT_SECONDS_MAX
    while in_a_row < ANSWERS_IN_A_ROW:
        if time.monotonic() > until:
            raise SystemExit(f"{args.first} lends {user} nothing in {args.second}")
        said = client.post(f"{args.url}/recommend", json=sent, timeout=30)
        said.raise_for_status()
        in_a_row = in_a_row + 1 if said.json()["items"] else 0
        time.sleep(0.1)


def told(
    found: Mapping[str, Mapping[str, metrics.PerQuery]],
    wanted: Mapping[str, Sequence[str]],
    seed: int,
) -> dict[str, Any]:
    """Means of both arms, and whether the difference in nDCG@10 is beyond noise."""
    rows: dict[str, Any] = {}
    for strategy in STRATEGIES:
        own = {arm: found[arm][strategy] for arm in found}
        alone, lent = (own[arm]["ndcg@10"] for arm in ("alone", "with history_from"))
        against = compare.paired(lent, alone, seed)
        rows[strategy] = {arm: metrics.means(values) for arm, values in own.items()} | {
            "difference": round(against.mean_difference, 4),
            "p": round(against.p_value, 4),
        }
    return {"people": len(wanted), "strategies": rows}


def show(answer: Mapping[str, Any]) -> None:
    """The table."""
    table = Table("strategy", "history", *METRICS, "nDCG@10 gained (p)")
    for strategy, row in answer["strategies"].items():
        for arm in ("alone", "with history_from"):
            gained = f"{row['difference']:+.4f} ({row['p']:.4f})" if arm != "alone" else ""
            table.add_row(strategy, arm, *(f"{row[arm][m]:.4f}" for m in METRICS), gained)
    console.print(f"{answer['people']} people")
    console.print(table)


if __name__ == "__main__":
    main()
