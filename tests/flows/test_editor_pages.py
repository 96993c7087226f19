"""The pages that edit rules and experiments, in a real browser."""

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.conftest import Stack
from tests.flows import commands
from tests.flows.editor import everywhere
from tests.flows.test_search import raw

PATIENCE_MS = 60_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def index(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    name, folder = f"t{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("page")
    commands.created(name, "--config", commands.config(folder, "encoder: hashed:64\n"))
    lamps = [{"id": f"lamp-{n}", "title": f"desk lamp {'and shade ' * n}"} for n in range(6)]
    commands.sent(name, commands.feed(folder, *lamps))
    return name


@pytest.fixture
def browse(stack: Stack, index: str) -> Iterator[Callable[[str], Page]]:
    """Opens a page of the index; a fault in its script fails the test."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed: no page can be opened")
    faults: list[str] = []
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.set_default_timeout(PATIENCE_MS)
        opened.on("pageerror", lambda error: faults.append(str(error)))

        def browse(route: str) -> Page:
            opened.goto(f"{stack.sidecar_url}/{index}/{route}")
            return opened

        yield browse
        browser.close()
    assert faults == []


def add(page: Page, name: str, definition: Any) -> None:
    """Name a new definition and write it."""
    page.fill("#new", name)
    page.click("#add")
    expect(page.locator("#editing")).to_have_text(name)
    page.fill("#text", json.dumps(definition))
    page.click("#save")


def found(stack: Stack, index: str) -> list[str]:
    body: dict[str, Any] = {"query": {"match": {"title": "desk lamp"}}}
    body["ext"] = {"hitweave": {"record": False}}
    status, _, answer = raw(stack, "POST", f"/{index}/_search", body)
    assert status == 200, answer
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def test_a_rule_is_made_previewed_and_published_on_the_page(
    stack: Stack, index: str, browse: Callable[[str], Page]
) -> None:
    before, page = found(stack, index), browse("_rules")
    pinned = before[-1]
    then = {"pin": [{"id": pinned, "position": 1}], "hide": [before[0]]}
    add(page, "desk", {"when": {"query": {"words": "lamp"}}, "then": then})
    expect(page.locator("#said")).to_have_text("desk is saved as a draft")
    expect(page.locator("#rules li .state")).to_have_text("draft")

    page.fill("[name=q]", "desk lamp")
    page.click("#try button")
    expect(page.locator("#applied")).to_have_text("rules: desk")
    expect(page.locator("#hits li").first).to_contain_text(f"({pinned})")
    expect(page.locator("#hits li")).to_have_count(len(before) - 1)
    assert found(stack, index) == before

    page.click("#publish")
    expect(page.locator("#said")).to_have_text("the drafts are live")
    expect(page.locator("#rules li .state")).to_have_text("live")
    everywhere(lambda: found(stack, index)[0] == pinned)
    assert before[0] not in found(stack, index)


def test_what_is_wrong_with_a_rule_is_said_on_the_page(browse: Callable[[str], Page]) -> None:
    page = browse("_rules")
    add(page, "wrong", {"then": {"pin": [{"id": "lamp-1", "position": 0}]}})
    expect(page.locator("#said")).to_contain_text("then.pin.0.position")


def test_an_experiment_is_made_started_and_reported_on_the_page(
    stack: Stack, index: str, browse: Callable[[str], Page]
) -> None:
    page = browse("_experiments")
    page.click("#save")
    expect(page.locator("#said")).to_have_text("choose an experiment first")
    arms = [{"name": "control"}, {"name": "words", "mode": "bm25"}]
    add(page, "order", {"arms": arms, "named_only": True})
    expect(page.locator("#said")).to_have_text("saved as a draft")
    page.click("#start")
    expect(page.locator("#said")).to_have_text("it runs")
    expect(page.locator("#editing")).to_have_text("order (running)")
    expect(page.locator("#experiments li .state")).to_contain_text("running since")
    page.click("#report")
    expect(page.frame_locator("#shown").locator("h1")).to_contain_text("order on")
    page.click("#stop")
    expect(page.locator("#said")).to_have_text("it is stopped")
    stopped = raw(stack, "GET", f"/{index}/_experiments/order")[2]["stopped_at"]
    expect(page.locator("#experiments li .state")).to_have_text(f"stopped since {stopped}")
    page.click("#experiments li button")
    expect(page.locator("#editing")).to_have_text("order (stopped)")
    page.click("#delete")
    expect(page.locator("#said")).to_have_text("it is gone")
    expect(page.locator("#experiments li")).to_have_count(0)
