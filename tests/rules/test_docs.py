"""README and its pages are held to the code: settings, signals, commands, files, targets, links."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
README = PAGES["README.md"]


def section(title: str) -> str:
    """The text below one heading of README, up to the next heading of its level or above."""
    found = re.search(
        rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", README, re.MULTILINE | re.DOTALL
    )
    assert found, f"README has no section {title!r}"
    return found.group(2)


def anchors(page: str) -> set[str]:
    """What a link may name within a page: its headings, as a browser's address has them."""
    titles = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).casefold().replace(" ", "-") for title in titles}


def first_cells(table: str) -> list[str]:
    """The code spans in the first column of a Markdown table."""
    return re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)


def test_every_setting_stands_in_its_page_and_no_other() -> None:
    from indexer.settings import Settings
    from reranker.settings import Settings as ServingSettings

    fields = {f"HITWEAVE_{name.upper()}" for name in Settings.model_fields}
    fields |= {f"HITWEAVE_{name.upper()}" for name in ServingSettings.model_fields}
    assert set(first_cells(PAGES["docs/settings.md"])) == fields


def test_every_signal_stands_in_its_page_and_no_other() -> None:
    from reranker.signals.definition import SIGNALS

    listed = first_cells(PAGES["docs/signals.md"])
    assert listed == [signal.name for signal in SIGNALS]


def test_every_field_of_a_product_and_every_action_that_counts_stands_in_readme() -> None:
    from indexer.behaviour.ubi import ITEM_ACTIONS
    from indexer.catalogue.product import Product

    told = set(re.findall(r"`([a-z_]+)`", section("Your own shop")))
    assert {*Product.model_fields, *ITEM_ACTIONS, "view"} <= told


def test_every_command_stands_in_readme_and_no_other() -> None:
    modules = {
        path.stem.replace("_", "-")
        for path in (ROOT / "compose/local/commands").glob("*.py")
        if path.stem != "__init__"
    }
    listed = {cell.split()[1] for cell in first_cells(section("Commands"))}
    assert listed == modules


def test_every_make_target_stands_in_readme() -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    missing = [target for target in targets if f"`make {target}" not in README]
    assert not missing


def test_every_path_that_a_page_names_exists() -> None:
    pattern = r"`((?:indexer|reranker|compose|plugin|tests|docs)/[\w./-]*)`"
    named = {path for page in PAGES.values() for path in re.findall(pattern, page)}
    assert len(named) > 20
    missing = sorted(path for path in named if not (ROOT / path).exists())
    assert not missing


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_a_page_leads_somewhere(name: str) -> None:
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[name]):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        path = ((ROOT / name).parent / file).resolve() if file else ROOT / name
        page = PAGES.get(path.relative_to(ROOT).as_posix(), "")
        if not path.exists() or (anchor and anchor not in anchors(page)):
            wrong.append(target)
    assert not wrong


def test_every_page_can_be_reached_from_readme() -> None:
    linked = {it.partition("#")[0] for it in re.findall(r"\]\((docs/[^)\s]+)\)", README)}
    assert set(PAGES) - {"README.md"} <= linked


@pytest.mark.parametrize("command", ["up", "create", "catalogue", "events", "train", "evaluate"])
def test_help_of_a_command_needs_no_server(command: str) -> None:
    from tests.conftest import HITWEAVE

    done = subprocess.run([str(HITWEAVE), command, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout
