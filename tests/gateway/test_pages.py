"""Pages of a ranked search repeat nothing and skip nothing, whatever happens between them."""

import itertools
import json
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import Stack
from tests.flows import commands
from tests.flows.worker_process import wait_until
from tests.gateway.exchange import Exchange
from tests.gateway.shop import COLOURS, KINDS, LAMPS, MATERIALS, products

PAGE = 10
DEPTH = 300
AT_ONCE = 4
DELETED = {f"lamp-{number}" for number in range(7, LAMPS, 33)}
TEXTS = [
    "lamp",
    *(f"{colour} lamp" for colour in COLOURS),
    *(f"{material} lamp" for material in MATERIALS),
    *(f"{kind} lamp" for kind in KINDS),
    *(" ".join((*look, "lamp")) for look in itertools.product(COLOURS, MATERIALS, KINDS)),
    *(f"lamp {colour} {kind}" for colour, kind in itertools.product(COLOURS, KINDS)),
    *(f"lamp {number}" for number in range(7)),
]


class Wire(threading.local):
    """A thread's own connection to the sidecar."""

    def __init__(self, url: str) -> None:
        self.exchange = Exchange(url)


class Walk:
    """One shopper leafing through one search, with a query id of his own or without one."""

    def __init__(self, index: str, wire: Wire, text: str, query_id: str | None) -> None:
        self.index, self.wire, self.text = index, wire, text
        self.query_id = query_id
        self.user = f"u-{uuid.uuid4().hex}"
        self.pages: list[list[str]] = []
        self.totals: set[int] = set()

    @property
    def seen(self) -> list[str]:
        """All that was shown, in order."""
        return [name for page in self.pages for name in page]

    def turn(self, start: int) -> None:
        """Read the page that begins at `start`; click on every tenth."""
        found = self.ask(start, PAGE, documents=self.query_id is not None)
        self.pages.append([hit["_id"] for hit in found["hits"]])
        self.totals.add(found["total"]["value"])
        if start % (10 * PAGE) == 0:
            self.click()

    def kept(self, *, documents: bool = True) -> list[str]:
        """The whole order that pages are pieces of, behind its first."""
        return [hit["_id"] for hit in self.ask(1, 999, documents=documents)["hits"]]

    def ask(self, start: int, size: int, *, documents: bool) -> Any:
        """Hits and total of so many from `start` on; without documents the ids alone."""
        ubi = {"user_id": self.user} | ({"query_id": self.query_id} if self.query_id else {})
        body = {
            "query": {"match": {"title": self.text}},
            "from": start,
            "size": size,
            "_source": ["title"] if documents else False,
            "ext": {"ubi": ubi, "hitweave": {"mode": "fused", "record": False}},
        }
        answer = self.wire.exchange.search(self.index, body)
        assert answer.status == 200, answer.body
        assert answer.json()["hitweave"]["degraded"] is None
        return answer.json()["hits"]

    def click(self) -> None:
        """Click what was shown last, which a new order would show earlier."""
        event = {
            "application": self.index,
            "action_name": "click",
            "user_id": self.user,
            "session_id": self.user,
            "user_query": self.text,
            "event_attributes": {"object": {"object_id": self.pages[-1][-1]}},
        }
        answer = self.wire.exchange.ask("POST", "/events", json.dumps(event).encode())
        assert answer.status == 202, answer.body


def change(stack: Stack, index: str, folder: Path) -> None:
    """Products that match better than all others come in, others change or go."""
    lines: list[dict[str, Any]] = [
        {"id": f"new-{number}", "title": f"lamp lamp {text}"} for number, text in enumerate(TEXTS)
    ]
    lines += [{"id": f"lamp-{n}", "title": f"plain lamp {n}", "price": 1} for n in range(0, 60, 3)]
    lines += [{"id": name, "deleted": True} for name in DELETED]
    file = folder / "changed.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    stack.run("catalogue", index, str(file))


def replace_a_process(stack: Stack) -> None:
    """Kill one of the sidecar's processes the hard way, and await the one in its place."""
    status: Any = stack.run_json("status")
    master = psutil.Process(status["parts"]["sidecar"]["pid"])
    before = set(master.children())
    killed = next(iter(before))
    killed.kill()
    wait_until(
        lambda: len(now := set(master.children()) - {killed}) == len(before) and now != before,
        seconds=60,
    )


@pytest.fixture(scope="module")
def index(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A shop of lamps that changes and is left by some of its goods."""
    name = f"t{uuid.uuid4().hex[:12]}"
    folder = tmp_path_factory.mktemp("pages")
    commands.created(name, "--config", commands.config(folder, "encoder: hashed:64\n"))
    commands.sent(name, commands.feed(folder, *products()))
    return name


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(AT_ONCE) as opened:
        yield opened


@pytest.fixture(scope="module")
def walks(
    stack: Stack, index: str, pool: ThreadPoolExecutor, tmp_path_factory: pytest.TempPathFactory
) -> list[Walk]:
    """Every search leafed through, several at once, while the shop goes on living."""
    folder, wire = tmp_path_factory.mktemp("changes"), Wire(stack.sidecar_url)
    made = [Walk(index, wire, text, name) for text in TEXTS for name in (None, uuid.uuid4().hex)]
    aside = ThreadPoolExecutor(1)
    under_way: list[Future[None]] = []
    for start in range(0, DEPTH, PAGE):
        if start == 8 * PAGE:
            under_way.append(aside.submit(change, stack, index, folder))
        if start == 18 * PAGE:
            under_way.append(aside.submit(replace_a_process, stack))
        [*pool.map(Walk.turn, made, itertools.repeat(start))]
    for one in under_way:
        one.result()
    return made


def test_no_page_repeats_anything(walks: list[Walk]) -> None:
    assert len({(walk.text, walk.query_id is None) for walk in walks}) == 200
    for walk in walks:
        assert len(walk.seen) == len(set(walk.seen)), (walk.text, walk.query_id)


def test_no_page_skips_anything(walks: list[Walk], pool: ThreadPoolExecutor) -> None:
    lamps = {f"lamp-{number}" for number in range(LAMPS)}
    for walk, kept in zip(walks, pool.map(Walk.kept, walks), strict=True):
        assert DELETED.isdisjoint(kept)
        there = [name for name in [walk.seen[0], *kept] if name not in DELETED]
        seen = [name for name in walk.seen if name not in DELETED]
        assert seen == there[: len(seen)], (walk.text, walk.query_id)
        assert len(DELETED.union(walk.seen)) >= DEPTH, (walk.text, walk.query_id)
        assert lamps - DELETED <= set(there), (walk.text, walk.query_id)


def test_pages_of_ids_alone_show_nothing_deleted_either(
    walks: list[Walk], pool: ThreadPoolExecutor
) -> None:
    bare = pool.map(lambda walk: walk.kept(documents=False), walks)
    for walk, ids, kept in zip(walks, bare, pool.map(Walk.kept, walks), strict=True):
        assert DELETED.isdisjoint(ids), (walk.text, walk.query_id)
        assert ids == kept, (walk.text, walk.query_id)


def test_every_page_tells_the_same_total(walks: list[Walk]) -> None:
    for walk in walks:
        assert len(walk.totals) == 1, (walk.text, walk.query_id)
        assert min(walk.totals) >= LAMPS


def test_what_happened_in_between_would_have_changed_the_order(
    walks: list[Walk], pool: ThreadPoolExecutor
) -> None:
    again = [Walk(walk.index, walk.wire, walk.text, uuid.uuid4().hex) for walk in walks]
    [*pool.map(Walk.turn, again, itertools.repeat(0))]
    for walk, anew in zip(walks, again, strict=True):
        assert anew.pages[0] != walk.pages[0], (walk.text, walk.query_id)
    shown = {name for walk in walks for page in walk.pages[:8] for name in page}
    assert shown & DELETED
