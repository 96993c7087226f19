"""Pages of a ranked search repeat nothing and skip nothing, whatever happens between them."""

import json
import uuid
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import Stack
from tests.flows.worker_process import wait_until
from tests.gateway.conftest import Shop
from tests.gateway.exchange import Exchange
from tests.gateway.shop import COLOURS, KINDS, LAMPS, MATERIALS

PAGE = 10
DEPTH = LAMPS + 4 * PAGE  # every search finds every lamp, so that a gap is seen
TEXTS = [
    "lamp",
    *(f"{colour} lamp" for colour in COLOURS),
    *(f"{material} lamp" for material in MATERIALS),
    *(f"{kind} lamp" for kind in KINDS),
    *(f"{colour} {material} lamp" for colour in COLOURS[:2] for material in MATERIALS),
    "lamp 7",
]


class Walk:
    """One shopper leafing through one search, with a query id of his own or without one."""

    def __init__(self, shop: Shop, gateway: Exchange, text: str, query_id: str | None) -> None:
        self.shop, self.gateway, self.text = shop, gateway, text
        self.query_id = query_id
        self.user = f"u-{uuid.uuid4().hex}"
        self.pages: list[list[str]] = []
        self.totals: set[int] = set()

    @property
    def seen(self) -> list[str]:
        """All that was shown, in order."""
        return [name for page in self.pages for name in page]

    def turn(self, start: int) -> None:
        """Read the page that begins at `start`."""
        ubi = {"user_id": self.user} | ({"query_id": self.query_id} if self.query_id else {})
        body = {
            "query": {"match": {"title": self.text}},
            "from": start,
            "size": PAGE,
            "_source": False,
            "ext": {"ubi": ubi, "hitweave": {"mode": "fused", "record": False}},
        }
        answer = self.gateway.search(self.shop.index, body)
        assert answer.status == 200, answer.body
        found = answer.json()["hits"]
        self.pages.append([hit["_id"] for hit in found["hits"]])
        self.totals.add(found["total"]["value"])

    def click(self) -> None:
        """Click what was shown last, which a new order would show earlier."""
        event = {
            "application": self.shop.index,
            "action_name": "click",
            "user_id": self.user,
            "session_id": self.user,
            "user_query": self.text,
            "event_attributes": {"object": {"object_id": self.pages[-1][-1]}},
        }
        answer = self.gateway.ask("POST", "/events", json.dumps(event).encode())
        assert answer.status == 202, answer.body


def change(stack: Stack, index: str, folder: Path) -> None:
    """Products that match better than all others come in, others change their words and price."""
    lines: list[dict[str, Any]] = [
        {"id": f"new-{number}", "title": f"lamp lamp {text}"} for number, text in enumerate(TEXTS)
    ]
    lines += [{"id": f"lamp-{n}", "title": f"plain lamp {n}", "price": 1} for n in range(0, 60, 3)]
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
def walks(
    stack: Stack, shop: Shop, gateway: Exchange, tmp_path_factory: pytest.TempPathFactory
) -> list[Walk]:
    """Every search leafed through to its end, while the shop goes on living."""
    made = []
    for text in TEXTS:
        made += [Walk(shop, gateway, text, name) for name in (None, uuid.uuid4().hex)]
    for start in range(0, DEPTH, PAGE):
        for walk in made:
            walk.turn(start)
            if start % (10 * PAGE) == 0:
                walk.click()
        if start == 9 * PAGE:
            change(stack, shop.index, tmp_path_factory.mktemp("changes"))
        if start == 18 * PAGE:
            replace_a_process(stack)
    return made


def test_no_page_repeats_anything(walks: list[Walk]) -> None:
    assert len(walks) == 2 * 20
    for walk in walks:
        assert len(walk.seen) == len(set(walk.seen)), (walk.text, walk.query_id)


def test_no_page_skips_anything(walks: list[Walk]) -> None:
    lamps = {f"lamp-{number}" for number in range(LAMPS)}
    for walk in walks:
        assert not lamps - set(walk.seen), (walk.text, walk.query_id)
        full = len(walk.seen) // PAGE
        assert all(len(page) == PAGE for page in walk.pages[:full])


def test_every_page_tells_the_same_total(walks: list[Walk]) -> None:
    for walk in walks:
        assert len(walk.totals) == 1, (walk.text, walk.query_id)
        assert min(walk.totals) >= LAMPS


def test_what_happened_in_between_would_have_changed_the_order(
    walks: list[Walk], shop: Shop, gateway: Exchange
) -> None:
    changed = 0
    for walk in walks:
        again = Walk(shop, gateway, walk.text, uuid.uuid4().hex)
        again.turn(0)
        changed += again.pages[0] != walk.pages[0]
    assert changed == len(walks)
