"""The page that edits rules, in a real browser: a rule is written, looked at and published."""

import json
import shutil
import uuid
from collections.abc import Iterator
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
def page(stack: Stack, index: str) -> Iterator[Page]:
    """The page of the index's rules; a fault in its script fails the test."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed: the page cannot be opened")
    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.set_default_timeout(PATIENCE_MS)
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.goto(f"{stack.sidecar_url}/{index}/_rules")
        yield opened
        browser.close()
    assert faults == []


def found(stack: Stack, index: str) -> list[str]:
    body: dict[str, Any] = {"query": {"match": {"title": "desk lamp"}}}
    body["ext"] = {"hitweave": {"record": False}}
    status, _, answer = raw(stack, "POST", f"/{index}/_search", body)
    assert status == 200, answer
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def test_a_rule_is_made_previewed_and_published_on_the_page(
    stack: Stack, index: str, page: Page
) -> None:
    expect.set_options(timeout=PATIENCE_MS)
    before = found(stack, index)
    pinned = before[-1]
    page.fill("#new", "desk")
    page.click("#add")
    expect(page.locator("#editing")).to_have_text("desk")
    then = {"pin": [{"id": pinned, "position": 1}], "hide": [before[0]]}
    page.fill("#text", json.dumps({"when": {"query": {"words": "lamp"}}, "then": then}))
    page.click("#save")
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


def test_what_is_wrong_with_a_rule_is_said_on_the_page(page: Page) -> None:
    page.fill("#new", "wrong")
    page.click("#add")
    page.fill("#text", '{"then": {"pin": [{"id": "lamp-1", "position": 0}]}}')
    page.click("#save")
    expect(page.locator("#said")).to_contain_text("then.pin.0.position", timeout=PATIENCE_MS)
