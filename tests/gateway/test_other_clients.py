"""Clients of other languages, unchanged, with one check each at node and gateway."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Stack
from tests.gateway.conftest import Shop

CLIENTS = Path(__file__).with_name("clients")
TARGETS = pytest.mark.parametrize("target", ["node", "gateway"])


def _run(*command: str, folder: Path, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


def _need(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed: this client cannot run")


def _url(stack: Stack, target: str) -> str:
    return stack.es_url if target == "node" else stack.sidecar_url


def _installed(name: str, parent: Path) -> Path:
    _need("node", "npm")
    folder = parent / "check"
    shutil.copytree(CLIENTS / name, folder)
    _run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", folder=folder)
    return folder


@pytest.fixture(scope="session")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Elastic's JavaScript client with its check, installed by npm."""
    return _installed("javascript", tmp_path_factory.mktemp("javascript"))


@pytest.fixture(scope="session")
def searchkit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Searchkit, which storefronts are made of, with its check, installed by npm."""
    return _installed("searchkit", tmp_path_factory.mktemp("searchkit"))


@pytest.fixture(scope="session")
def java(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Class path of the Java client and its check, built by Maven."""
    _need("java", "javac", "mvn")
    folder = tmp_path_factory.mktemp("java") / "check"
    shutil.copytree(CLIENTS / "java", folder, ignore=shutil.ignore_patterns("target"))
    copied = ("dependency:copy-dependencies", "-DincludeScope=runtime")
    _run("mvn", "--quiet", "--batch-mode", "compile", *copied, folder=folder)
    return f"{folder}/target/classes:{folder}/target/dependency/*"


@TARGETS
def test_the_javascript_client_sees_no_difference(
    target: str, stack: Stack, shop: Shop, javascript: Path
) -> None:
    said = _run("node", "check.js", _url(stack, target), shop.index, folder=javascript)
    assert said.strip().endswith("same")


@TARGETS
def test_the_java_client_sees_no_difference(
    target: str, stack: Stack, shop: Shop, java: str, tmp_path: Path
) -> None:
    said = _run("java", "-cp", java, "Check", _url(stack, target), shop.index, folder=tmp_path)
    assert said.strip().endswith("same")


def test_searchkit_shows_the_same_but_for_the_order(
    stack: Stack, shop: Shop, searchkit: Path
) -> None:
    ask = ("node", "check.js")
    wanted = _run(*ask, stack.es_url, shop.index, folder=searchkit)
    said = _run(*ask, stack.sidecar_url, shop.index, folder=searchkit, RANKED="1")
    assert json.loads(said) == json.loads(wanted)
