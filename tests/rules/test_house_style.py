"""Rules of the house that no linter knows."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("indexer", "reranker", "compose")
FORBIDDEN_NAMES = {"utils", "common", "helpers", "base", "misc", "manager", "core"}
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 80
REGISTRY_HOSTS = ("pypi" + ".org", "registry.npmjs" + ".org", "repo1.maven" + ".org")


def modules() -> Iterator[Path]:
    """Every Python file of the three packages."""
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def test_no_module_is_longer_than_it_may_be() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in modules()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MODULE_LINES_MAX
    }
    assert not long


def test_no_function_is_longer_than_it_may_be() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert not long


def test_no_module_hides_behind_a_name_that_says_nothing() -> None:
    assert not [str(path) for path in modules() if path.stem in FORBIDDEN_NAMES]


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in modules()
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent


def test_no_tracked_file_but_the_lock_names_a_registry_host() -> None:
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True
    ).stdout.split("\0")
    guilty = [
        name
        for name in tracked
        if name and name != "uv.lock" and (ROOT / name).is_file()
        for host in REGISTRY_HOSTS
        if host.encode() in (ROOT / name).read_bytes()
    ]
    assert not guilty
