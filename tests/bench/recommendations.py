"""`python -m tests.bench.recommendations`: what shoppers do next, against what is recommended.

On a running stack that was given the events of --before and trained on them. Every strategy of
`POST /recommend` and the baselines, fitted to the same file, name ten items for each known user;
the events of --after say which of them were right. One table, one JSON object.
"""

import argparse
import gzip
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import requests
from rich.console import Console
from rich.progress import track
from rich.table import Table

from reranker.evaluation import compare, metrics
from reranker.recommend.wish import STRATEGIES
from tests.bench.next_items import History, Recommend, next_items

SIZE = 10
METRICS = ("precision@10", "recall@10", "ndcg@10", "hit@10")
console = Console()


def main() -> None:
    """Measure, print."""
    args = arguments()
    history = History(list(read(args.before)), repeats=not args.unseen, seed=args.seed)
    wanted = next_items(read(args.after), first_visit=args.first_visit)
    users = sorted(user for user in wanted if user in history.own)
    random.Random(args.seed).shuffle(users)  # noqa: S311 - no secret
    users = users[: args.users]
    qrels = {user: dict.fromkeys(wanted[user], 1.0) for user in users}
    systems = {name: asking(args, name) for name in STRATEGIES} | history.systems()
    found = {
        name: metrics.per_query(run_of(name, recommend, users), qrels, METRICS)
        for name, recommend in systems.items()
    }
    answer = told(found, args)
    show(answer)
    print(json.dumps(answer))


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.recommendations", description=__doc__
    )
    parser.add_argument("--url", default="http://127.0.0.1:8600")
    parser.add_argument("--index", required=True)
    parser.add_argument("--before", type=Path, required=True, help="Events that were imported.")
    parser.add_argument("--after", type=Path, required=True, help="Events that came then.")
    parser.add_argument("--first-visit", action="store_true", help="Only the next session counts.")
    parser.add_argument("--unseen", action="store_true", help="Known items must not come again.")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--against", default=METRICS[0], choices=METRICS, help="Paired tests of.")
    return parser.parse_args()


def read(path: Path) -> Iterator[Mapping[str, Any]]:
    """Events of NDJSON, also .gz."""
    packed = path.read_bytes()
    text = gzip.decompress(packed) if path.suffix == ".gz" else packed
    yield from (json.loads(line) for line in text.splitlines() if line.strip())


def asking(args: argparse.Namespace, strategy: str) -> Recommend:
    """The strategy through the sidecar; raises where an answer is degraded."""
    client = requests.Session()

    def recommend(user: str, size: int) -> Sequence[str]:
        sent = {"index": args.index, "user_id": user, "strategy": strategy, "size": size}
        said = client.post(f"{args.url}/recommend", json={**sent, "repeats": not args.unseen})
        said.raise_for_status()
        answer = said.json()
        if answer["degraded"]:
            raise SystemExit(f"{strategy} for {user}: degraded, {answer['degraded']}")
        return [item["id"] for item in answer["items"]]

    return recommend


def run_of(name: str, recommend: Recommend, users: Sequence[str]) -> dict[str, Sequence[str]]:
    """What is recommended to each."""
    shown = track(users, description=name, console=Console(stderr=True), transient=True)
    return {user: recommend(user, SIZE) for user in shown}


def told(found: Mapping[str, metrics.PerQuery], args: argparse.Namespace) -> dict[str, Any]:
    """Means of every system, and what the hybrid has over each beyond noise."""
    own = found["hybrid"][args.against]
    rows = {}
    for name, values in found.items():
        rows[name] = metrics.means(values)
        if name != "hybrid":
            against = compare.paired(own, values[args.against], args.seed)
            rows[name] |= {"hybrid_minus": round(against.mean_difference, 4)}
            rows[name] |= {"p": round(against.p_value, 4)}
    return {"users": int(np.size(own)), "against": args.against, "systems": rows}


def show(answer: Mapping[str, Any]) -> None:
    """The table."""
    table = Table("system", *METRICS, f"hybrid minus it, {answer['against']}", "p")
    for name, row in answer["systems"].items():
        values = [f"{row[metric]:.4f}" for metric in METRICS]
        more = [f"{row['hybrid_minus']:+.4f}", f"{row['p']:.4f}"] if "p" in row else ["", ""]
        table.add_row(name, *values, *more)
    console.print(f"{answer['users']} users")
    console.print(table)


if __name__ == "__main__":
    main()
