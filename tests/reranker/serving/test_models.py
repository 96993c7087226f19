"""Models are swapped whole: a new one takes over, a broken one never does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import InvalidArtifact
from reranker.serving import models
from reranker.serving.models import Loaded, Models


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Artifacts that need no network: any folder opens but those called broken."""
    seen: list[str] = []

    def open_(folder: Path, version: str) -> Loaded:
        seen.append(version)
        if version.startswith("broken"):
            raise InvalidArtifact(f"{folder} was altered")
        return Loaded(version, None, None, "recipe")  # type: ignore[arg-type]

    monkeypatch.setattr(models, "_open", open_)
    return seen


def point(folder: Path, version: str) -> None:
    (folder / "shop").mkdir(parents=True, exist_ok=True)
    new = folder / "shop" / f".{version}"
    new.write_text(version)
    new.replace(folder / "shop" / "current")


def test_without_a_registry_nothing_serves(tmp_path: Path) -> None:
    watched = Models(tmp_path / "none", poll_seconds=60)
    watched.look()
    assert watched.serving("shop", "recipe") is None
    assert not watched.should_serve("shop")


def test_a_promoted_model_takes_over_once(tmp_path: Path, opened: list[str]) -> None:
    watched = Models(tmp_path, poll_seconds=60)
    point(tmp_path, "v1")
    watched.look()
    watched.look()
    assert (watched.version("shop"), opened) == ("v1", ["v1"])
    point(tmp_path, "v2")
    watched.look()
    assert (watched.version("shop"), opened) == ("v2", ["v1", "v2"])


def test_a_broken_model_leaves_the_old_one_serving(tmp_path: Path, opened: list[str]) -> None:
    watched = Models(tmp_path, poll_seconds=60)
    point(tmp_path, "v1")
    watched.look()
    point(tmp_path, "broken")
    watched.look()
    assert watched.version("shop") == "v1"
    assert watched.serving("shop", "recipe") is not None


def test_a_first_model_that_is_broken_is_known_to_be(tmp_path: Path, opened: list[str]) -> None:
    watched = Models(tmp_path, poll_seconds=60)
    point(tmp_path, "broken")
    watched.look()
    assert watched.version("shop") is None
    assert watched.should_serve("shop")


def test_while_the_first_model_is_being_loaded_the_prior_is_no_degradation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, during = Models(tmp_path, poll_seconds=60), []

    def open_(folder: Path, version: str) -> Loaded:
        during.append(watched.found("shop", "recipe"))
        return Loaded(version, None, None, "recipe")  # type: ignore[arg-type]

    monkeypatch.setattr(models, "_open", open_)
    point(tmp_path, "v1")
    watched.look()
    assert during == [(None, False)]
    loaded, promoted = watched.found("shop", "recipe")
    assert loaded is not None
    assert promoted


def test_rolling_back_to_none_serves_the_prior(tmp_path: Path, opened: list[str]) -> None:
    watched = Models(tmp_path, poll_seconds=60)
    point(tmp_path, "v1")
    watched.look()
    (tmp_path / "shop" / "current").unlink()
    watched.look()
    assert watched.version("shop") is None


def test_it_tells_of_every_index_that_is_served(tmp_path: Path, opened: list[str]) -> None:
    told: list[Mapping[str, Any]] = []
    watched = Models(tmp_path, poll_seconds=60, indices=lambda: ["other", "shop"], tell=told.append)
    point(tmp_path, "v1")
    watched.look()
    assert told == [{"other": "none", "shop": "v1"}]


def test_a_model_of_other_vectors_does_not_serve(tmp_path: Path, opened: list[str]) -> None:
    watched = Models(tmp_path, poll_seconds=60)
    point(tmp_path, "v1")
    watched.look()
    assert watched.serving("shop", "recipe") is not None
    assert watched.serving("shop", "another recipe") is None
    assert watched.should_serve("shop")


def test_a_version_that_some_searches_ask_for_serves_beside(
    tmp_path: Path, opened: list[str]
) -> None:
    wanted = {("shop", "v1"), ("shop", "broken")}
    watched = Models(tmp_path, poll_seconds=60, beside=lambda: wanted)
    point(tmp_path, "v2")
    watched.look()
    watched.look()
    assert sorted(opened) == ["broken", "v1", "v2"]
    found = watched.version_of("shop", "recipe", "v1")
    assert found is not None
    assert (found.version, watched.version("shop")) == ("v1", "v2")
    assert watched.version_of("shop", "another recipe", "v1") is None
    assert watched.version_of("shop", "recipe", "broken") is None
    wanted.clear()
    watched.look()
    assert watched.version_of("shop", "recipe", "v1") is None
