"""`python -m tests.bench.killing`: parts of the stack are killed (-9) amid events; all are counted.

Events with known counts go to `POST /events` in small batches. Whenever so many of them are
acknowledged, a worker, Valkey or the sidecar is killed with all its processes; the supervisor
starts it again. A batch that was not acknowledged is sent again with the same event ids. When all
is folded, the journal, the items' counts and the shoppers' profiles must hold each event once, and
sending everything again must change nothing. Exit code 1 where one of these does not hold.
"""

import argparse
import http.client
import itertools
import json
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import psutil
import redis
from elasticsearch import Elasticsearch
from rich.console import Console
from rich.table import Table

from compose.local import stack as local_stack
from compose.local.home import Addresses, Home
from indexer.behaviour import popularity, shopper_profile, state, store
from indexer.behaviour.event import pseudonym
from indexer.behaviour.popularity import CART, PURCHASE, VIEW
from tests.flows import behaviour

HITWEAVE = Path(sys.executable).with_name("hitweave")
PARTS = ("worker-behaviour", "valkey", "sidecar")
ACTIONS = (("click", VIEW), ("add_to_cart", CART), ("purchase", PURCHASE))
ITEMS, SHOPPERS = 300, 400
AGAIN_SECONDS, POLL_SECONDS, SEND_SECONDS = 0.2, 0.1, 15.0
FOLDED_SECONDS_MAX = 600.0
Event = dict[str, Any]
Counts = Counter[tuple[str, int]]
console = Console()


def events(index: str, count: int) -> list[Event]:
    """Deeds of known shoppers with known items over four weeks, in no order of time."""
    chance = random.Random(11)  # noqa: S311 - repeatable, not secret
    return [
        {
            "event_id": f"{index}-{number}",
            "application": index,
            "action_name": ACTIONS[chance.randrange(len(ACTIONS))][0],
            "timestamp": f"2011-10-{chance.randrange(1, 29):02d}T10:{number % 60:02d}:00.000Z",
            "user_id": f"u{chance.randrange(SHOPPERS)}",
            "session_id": f"v{number // 7}",
            "event_attributes": {"object": {"object_id": f"i{chance.randrange(ITEMS)}"}},
        }
        for number in range(count)
    ]


def told(sent: Sequence[Event]) -> tuple[Counts, Counts]:
    """How often each item, and each shopper, had each kind of deed."""
    kind_of = dict(ACTIONS)
    kinds = [kind_of[it["action_name"]] for it in sent]
    items = [it["event_attributes"]["object"]["object_id"] for it in sent]
    users = [it["user_id"] for it in sent]
    return Counter(zip(items, kinds, strict=True)), Counter(zip(users, kinds, strict=True))


@dataclass
class Post:
    """Sends batches from a few threads until each is acknowledged."""

    url: str
    acknowledged: int = 0
    again: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def all(self, sent: Sequence[Event], batch: int, threads: int) -> None:
        """Send them; returns when every batch was acknowledged."""
        starts = range(0, len(sent), batch)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda start: self._until_taken(sent[start : start + batch]), starts))

    def _until_taken(self, batch: Sequence[Event]) -> None:
        body = json.dumps(list(batch)).encode()
        while not self._is_taken(body, len(batch)):
            with self._lock:
                self.again += 1
            time.sleep(AGAIN_SECONDS)
        with self._lock:
            self.acknowledged += len(batch)

    def _is_taken(self, body: bytes, count: int) -> bool:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=SEND_SECONDS)
        try:
            connection.request("POST", "/events", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if answer.status >= 500 or answer.status == 429:
            return False
        if answer.status != 202 or json.loads(said) != {"accepted": count, "rejected": []}:
            raise SystemExit(f"/events answered {answer.status}: {said[:300]!r}")
        return True


def kill(home: Home, part: str) -> None:
    """End a part of the stack with all its processes, the hard way, once it is there."""
    while True:
        report = local_stack.last_report(home).get("parts", {}).get(part, {})
        with suppress(psutil.NoSuchProcess, TypeError):
            parent = psutil.Process(report.get("pid"))
            if report.get("state") == "ready" and report.get("pid"):
                for one in (parent, *parent.children(recursive=True)):
                    with suppress(psutil.NoSuchProcess):
                        one.kill()
                return
        time.sleep(POLL_SECONDS)


def killings(count: int, total: int, seed: int) -> Iterator[tuple[int, str]]:
    """After how many acknowledged events which part is killed, each about as often."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    parts = list(itertools.islice(itertools.cycle(PARTS), count))
    chance.shuffle(parts)
    return zip(sorted(chance.randrange(total) for _ in range(count)), parts, strict=True)


def amid_killings(
    home: Home, post: Post, sent: Sequence[Event], kills: int, seed: int, batch: int = 20
) -> list[str]:
    """Send events while parts are killed; those that were, in order."""
    done: list[str] = []

    def killer() -> None:
        for after, part in killings(kills, len(sent), seed):
            while post.acknowledged < after:
                time.sleep(POLL_SECONDS / 10)
            kill(home, part)
            done.append(part)

    thread = threading.Thread(target=killer)
    thread.start()
    post.all(sent, batch, threads=4)
    thread.join()
    return done


@dataclass(frozen=True)
class Stores:
    """Where what became of events is looked up; connections that outlive a killed server."""

    home: Home
    es: Elasticsearch
    valkey: redis.Redis
    index: str

    def wait_until_folded(self) -> float:
        """Seconds until every part is ready and nothing waits in the stream."""
        started = time.monotonic()
        while time.monotonic() < started + FOLDED_SECONDS_MAX:
            with suppress(redis.RedisError):
                ready = local_stack.status(self.home)["ready"]
                if ready and not self.valkey.xlen(store.key(self.index, "arrived")):
                    return time.monotonic() - started
            time.sleep(POLL_SECONDS)
        raise SystemExit(f"events were not folded within {FOLDED_SECONDS_MAX:g} s")

    def faults(self, sent: Sequence[Event]) -> dict[str, int]:
        """By place, how many counts are not what was sent; 0: each event is there once."""
        items, shoppers = told(sent)
        seen = sum(
            int(self.valkey.scard(name))
            for name in self.valkey.scan_iter(f"hw:{self.index}:seen:*", count=10_000)
        )
        return {
            "events journalled": behaviour.journalled(self.es, self.index)["ubi_events"],
            "events folded": seen,
            "items' counts that differ": _differing(items, self._item_totals(items)),
            "shoppers' counts that differ": _differing(shoppers, self._shopper_totals(shoppers)),
            "requests set aside": int(self.valkey.xlen(store.key(self.index, "set-aside"))),
        }

    def _item_totals(self, wanted: Counts) -> Counts:
        ids = sorted({name for name, _ in wanted})
        blobs = store.read(self.valkey, self.index, [state.popularity_key(it) for it in ids])
        totals = popularity.unpack_many(blobs, time.time()).total
        return _counts(ids, totals.tolist())

    def _shopper_totals(self, wanted: Counts) -> Counts:
        key = str(self.home.pseudonym_key())
        ids = sorted({name for name, _ in wanted})
        names = [state.shopper_key(pseudonym(key, it)) for it in ids]
        blobs = store.read(self.valkey, self.index, names)
        totals = [shopper_profile.decode(it).header["events"].tolist() for it in blobs]
        return _counts(ids, totals)


def _counts(ids: Sequence[str], totals: Sequence[Sequence[float]]) -> Counts:
    rows = zip(ids, totals, strict=True)
    return Counter({(it, kind): int(row[kind]) for it, row in rows for _, kind in ACTIONS})


def _differing(wanted: Counts, found: Counts) -> int:
    return sum(wanted[place] != found[place] for place in {*wanted, *found})


def main() -> None:
    """Send, kill, count, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.killing", description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--kills", type=int, default=18)
    parser.add_argument("--batch", type=int, default=20, help="events of one request")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--ports", default="9461,8661,6461", help="of node, sidecar, Valkey")
    args = parser.parse_args()
    with TemporaryDirectory(prefix="killing-") as folder:
        home = Home(Path(folder) / "home")
        hitweave = _commands(home)
        ports = zip(("--es-port", "--port", "--valkey-port"), args.ports.split(","), strict=True)
        try:
            hitweave("up", "--detach", *itertools.chain(*ports))
            held = _measured(home, hitweave, args)
        finally:
            hitweave("down")
    sys.exit(0 if held else 1)


def _commands(home: Home) -> Callable[..., None]:
    def run(*words: str) -> None:
        subprocess.run([str(HITWEAVE), "--home", str(home.folder), *words], check=True)

    return run


def _measured(home: Home, hitweave: Callable[..., None], args: argparse.Namespace) -> bool:
    index = f"killing-{uuid.uuid4().hex[:6]}"
    config = home.folder / "index.yaml"
    config.write_text("encoder: hashed:64\n")
    hitweave("create", index, "--config", str(config))
    addresses = home.addresses()
    assert isinstance(addresses, Addresses)
    sent, post = events(index, args.events), Post(addresses.sidecar_url)
    started = time.monotonic()
    with (
        Elasticsearch(addresses.elasticsearch_url, request_timeout=60) as es,
        redis.Redis.from_url(addresses.valkey_url) as valkey,
    ):
        killed = amid_killings(home, post, sent, args.kills, args.seed, args.batch)
        streamed = time.monotonic() - started
        stores = Stores(home, es, valkey, index)
        waited = stores.wait_until_folded()
        found = stores.faults(sent)
        before = behaviour.state(valkey, index)
        Post(addresses.sidecar_url).all(sent, args.batch, threads=4)
        stores.wait_until_folded()
        changed = _changed(before, behaviour.state(valkey, index))
        again = stores.faults(sent)
    rows = {
        "events sent": len(sent),
        **{f"killed: {part}": killed.count(part) for part in PARTS},
        "requests sent again": post.again,
        "seconds of the stream": round(streamed),
        "seconds until folded": round(waited),
        **found,
        "keys of the state that a replay changes": changed,
        "events journalled after the replay": again["events journalled"],
    }
    _show(rows)
    right = dict.fromkeys(found, 0) | {
        "events journalled": len(sent),
        "events folded": len(sent),
    }
    return changed == 0 and found == again == right


def _changed(before: dict[bytes, object], after: dict[bytes, object]) -> int:
    return sum(before.get(name) != after.get(name) for name in {*before, *after})


def _show(rows: dict[str, int]) -> None:
    made = Table(title="events amid kill -9", title_justify="left", show_header=False)
    made.add_column("what")
    made.add_column("count", justify="right")
    for name, count in rows.items():
        made.add_row(name, f"{count:,}")
    console.print(made)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
