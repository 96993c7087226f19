"""`python -m tests.bench.clicking`: from a click to the changed ranking, amid other traffic.

On a running stack whose index has a trained model. In each round a shopper whom nobody knows
searches and clicks the first hit: clicks anywhere would soon be taken for chance, and what they
teach would no longer count. Looked at is that hit's score, which nothing else changes meanwhile:
the other traffic searches and asks for recommendations in this index, but sends its events to
another one of the same stack.

- own: the shopper's very next search; it counts where the score is neither what it was before nor
  what a stranger sees in the same moment, so that it is the shopper's own deed that moved it
- others: from the beginning of POST /events until a stranger's search has another score for it
"""

import argparse
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from elasticsearch import Elasticsearch
from rich.console import Console
from rich.table import Table

HITWEAVE = Path(sys.executable).with_name("hitweave")
SHOWN = 10
POLL_SECONDS, GIVEN_UP_SECONDS = 0.01, 15.0
console = Console()


@dataclass(frozen=True)
class Shop:
    """Where searches and events go; one connection a caller."""

    url: str
    index: str
    session: requests.Session

    def search(self, words: str, user: str, *, record: bool = False) -> dict[str, Any]:
        """A search as a shop sends it."""
        body = {
            "query": {"match": {"title": words}},
            "size": SHOWN,
            "_source": False,
            "ext": {"ubi": {"user_id": user}, "hitweave": {"mode": "fused", "record": record}},
        }
        return self._asked(f"/{self.index}/_search", body)

    def recommend(self, user: str) -> dict[str, Any]:
        """Goods for a shopper."""
        return self._asked("/recommend", {"index": self.index, "user_id": user})

    def click(self, item: str, user: str, query_id: str | None, index: str) -> None:
        """One click of now."""
        sent = {
            "application": index,
            "action_name": "click",
            "user_id": user,
            "query_id": query_id,
            "event_id": uuid.uuid4().hex,
            "event_attributes": {"object": {"object_id": item}, "position": {"ordinal": 1}},
        }
        self._asked("/events", {name: it for name, it in sent.items() if it is not None})

    def _asked(self, path: str, body: Any) -> dict[str, Any]:
        answer = self.session.post(f"{self.url}{path}", json=body, timeout=60)
        answer.raise_for_status()
        said: dict[str, Any] = answer.json()
        return said


@dataclass(frozen=True)
class Round:
    """Milliseconds from the click to each; whether the first search after it was the shopper's."""

    acknowledged: float
    own: float
    others: float
    reflected: bool
    moved: bool  # whether others also saw another order


def scores(answer: dict[str, Any]) -> dict[str, float]:
    """Score by id, best first."""
    return {hit["_id"]: hit["_score"] for hit in answer["hits"]["hits"]}


def played(shop: Shop, words: str, number: int) -> Round | None:
    """One round; None where the search found too little to click."""
    user, stranger = f"clicker-{number}-{uuid.uuid4().hex[:6]}", f"stranger-{number}"
    shown = shop.search(words, user, record=True)
    before = scores(shown)
    if len(before) < SHOWN:
        return None
    item = next(iter(before))
    seen = scores(shop.search(words, stranger))
    started = time.perf_counter()
    shop.click(item, user, shown["ext"]["ubi"]["query_id"], shop.index)
    acknowledged = time.perf_counter() - started
    after = scores(shop.search(words, user)).get(item)
    own = time.perf_counter() - started
    theirs = scores(shop.search(words, stranger))
    reflected = after not in (before[item], seen[item], theirs.get(item))
    while theirs.get(item) == seen[item]:
        if time.perf_counter() - started > GIVEN_UP_SECONDS:
            raise SystemExit(f"{GIVEN_UP_SECONDS:g} s after a click others still see the old score")
        time.sleep(POLL_SECONDS)
        theirs = scores(shop.search(words, stranger))
    others = time.perf_counter() - started
    moved = [*theirs] != [*seen]
    return Round(acknowledged * 1e3, own * 1e3, others * 1e3, reflected, moved)


class Traffic:
    """So many requests a second by other shoppers, whatever they take; a context."""

    def __init__(self, deeds: Sequence[Callable[[], object]], per_second: float) -> None:
        self._deeds = itertools.cycle(deeds)
        self._pause = 1.0 / per_second
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._due = time.monotonic()
        self.sent, self.failed = 0, 0
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(8)]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=60)

    def _run(self) -> None:
        while True:
            with self._lock:
                self._due = max(self._due + self._pause, time.monotonic() - 1.0)
                due, deed = self._due, next(self._deeds)
            if self._ended.wait(max(0.0, due - time.monotonic())):
                return
            try:
                deed()
            except requests.RequestException:
                self.failed += 1
            self.sent += 1


def traffic(shop: Shop, words: Sequence[str], users: Sequence[str], other: str) -> list[Any]:
    """What other shoppers do in turn: six searches, two recommendations, two events elsewhere."""
    chance = random.Random(5)  # noqa: S311 - repeatable, not secret
    own = threading.local()

    def caller() -> Shop:
        if not hasattr(own, "shop"):
            own.shop = Shop(shop.url, shop.index, requests.Session())
        found: Shop = own.shop
        return found

    def search() -> object:
        return caller().search(chance.choice(words), chance.choice(users))

    def recommend() -> object:
        return caller().recommend(chance.choice(users))

    def event() -> None:
        caller().click(f"i{chance.randrange(500)}", chance.choice(users), None, other)

    return [search, search, event, search, recommend, search, event, search, recommend, search]


def main() -> None:
    """Measure, print."""
    args = arguments()
    home = Path(args.home).resolve()
    addresses = json.loads((home / "stack.json").read_text("utf-8"))
    with Elasticsearch(addresses["elasticsearch_url"], request_timeout=60) as es:
        words = searches(es, args.index, args.seed)
    other = f"clicking-{uuid.uuid4().hex[:6]}"
    config = home / "clicking.yaml"
    config.write_text("encoder: hashed:64\n")
    subprocess.run(
        [str(HITWEAVE), "--home", str(home), "create", other, "--config", str(config)], check=True
    )
    shop = Shop(addresses["sidecar_url"], args.index, requests.Session())
    users = [f"other-{number}" for number in range(200)]
    load = os.getloadavg()[0]
    with Traffic(traffic(shop, words, users, other), args.rate) as beside:
        started = time.monotonic()
        rounds = several(shop, words, args.rounds)
        seconds = time.monotonic() - started
        rate = beside.sent / seconds
    report(rounds, rate, beside.failed, load)


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.clicking", description=__doc__)
    parser.add_argument("--home", default=os.environ.get("HITWEAVE_HOME", ".hitweave"))
    parser.add_argument("--index", default="bench", help="with a trained model")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20.0, help="other requests a second")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def searches(es: Elasticsearch, index: str, seed: int, count: int = 2000) -> list[str]:
    """Last words of titles, each once."""
    found = es.search(index=index, query={"match_all": {}}, size=count, source_includes=["title"])
    ends = dict.fromkeys(hit["_source"]["title"].split()[-1] for hit in found["hits"]["hits"])
    words = list(ends)
    random.Random(seed).shuffle(words)  # noqa: S311 - repeatable, not secret
    return words


def several(shop: Shop, words: Sequence[str], count: int) -> list[Round]:
    """Rounds over searches in turn; the first few warm up and are not counted."""
    found: list[Round] = []
    for number, text in enumerate(itertools.cycle(words)):
        one = played(shop, text, number)
        if one is not None:
            found.append(one)
        if len(found) == count + 5:
            return found[5:]
        if number > 50 + 50 * count:
            raise SystemExit(f"hardly any search finds {SHOWN} hits")
    return found


def report(rounds: Sequence[Round], rate: float, failed: int, load: float) -> None:
    """A table, and the same as one JSON object."""
    beside = f"{rate:.1f} other requests a second ({failed} failed), load {load:.1f}"
    title = f"{len(rounds)} clicks, {beside}"
    made = Table(title=title, title_justify="left")
    for name in ("milliseconds from POST /events to", "p50", "p95", "p99", "most"):
        made.add_column(name, justify="left" if name.startswith("milli") else "right")
    rows = {
        "its answer": [it.acknowledged for it in rounds],
        "the answer to the shopper's next search": [it.own for it in rounds],
        "a changed answer to a stranger's": [it.others for it in rounds],
    }
    found = {}
    for name, values in rows.items():
        cuts = statistics.quantiles(values, n=100, method="inclusive")
        found[name] = [round(it, 1) for it in (cuts[49], cuts[94], cuts[98], max(values))]
        made.add_row(name, *(f"{value:g}" for value in found[name]))
    console.print(made)
    reflected = sum(it.reflected for it in rounds)
    moved = sum(it.moved for it in rounds)
    console.print(f"reflected in the shopper's very next search: {reflected} of {len(rounds)}")
    console.print(f"strangers' first ten in another order: {moved} of {len(rounds)}")
    print(json.dumps({**found, "reflected": reflected, "moved": moved, "rounds": len(rounds)}))


if __name__ == "__main__":
    main()
