"""The watch: one search in so many, enough lists before it speaks, what it says in both places."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY

from reranker.fusion import artifact
from reranker.fusion.scorer import Scorer
from reranker.serving import drift_watch
from reranker.serving.drift_watch import DriftWatch, Told
from reranker.serving.scoring import Fused
from reranker.signals import build, definition, drift
from tests.reranker.fusion.artifacts import write
from tests.reranker.signals.situations import situation

IDS = list("abcde")


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> Fused:
    """A scored list, by a model that was trained on lists of prices around this one's."""
    found = situation(IDS)
    inputs = build.assemble(found)
    lists = np.concatenate([inputs["signals"]] * 300)
    reference = drift.reference(lists, 300)
    folder = write(tmp_path_factory.mktemp("models"), reference=reference)
    return Fused(
        np.zeros(len(IDS), np.float32),
        inputs=inputs,
        situation=found,
        scorer=Scorer(artifact.load(folder)),
    )


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift_watch, "LISTS_MIN", 30)


def watch(told: list[tuple[str, Told]], every: int = 1) -> DriftWatch:
    """One whose thread never looks by itself."""
    return DriftWatch(
        sample_every=every,
        threshold=0.25,
        tell=lambda index, it: told.append((index, it)),
        look_seconds=1e6,
    )


def served(watched: DriftWatch, fused: Fused, times: int) -> None:
    for _ in range(times):
        watched.sample("shop", fused)
        watched.look()


def dearer(fused: Fused) -> Fused:
    assert fused.inputs is not None
    signals = fused.inputs["signals"].copy()
    signals[:, definition.INDEX["price"]] += 3.0
    return replace(fused, inputs={**fused.inputs, "signals": signals})


@pytest.mark.usefixtures("few")
def test_it_is_silent_before_it_has_seen_enough(fused: Fused) -> None:
    told: list[tuple[str, Told]] = []
    watched = watch(told)
    served(watched, fused, 29)
    assert not told
    served(watched, fused, 1)
    assert told == [("shop", Told("v1", 30, {}))]
    watched.close()


@pytest.mark.usefixtures("few")
def test_a_shift_is_told_and_exported(fused: Fused) -> None:
    told: list[tuple[str, Told]] = []
    watched = watch(told)
    served(watched, dearer(fused), 40)
    assert list(told[-1][1].moved) == ["price"]
    labels = {"index": "shop", "signal": "price"}
    moved = REGISTRY.get_sample_value("hitweave_signal_drift", labels)
    assert moved == pytest.approx(told[-1][1].moved["price"])
    missing = {
        name: REGISTRY.get_sample_value(
            "hitweave_signal_missing_share", {"index": "shop", "signal": name}
        )
        for name in ("bm25", "knn_rank", "click_rate")
    }
    assert missing == {"bm25": 0.0, "knn_rank": pytest.approx(2 / 5), "click_rate": 1.0}
    watched.close()


@pytest.mark.usefixtures("few")
def test_another_model_is_watched_afresh(fused: Fused, tmp_path: Path) -> None:
    told: list[tuple[str, Told]] = []
    watched = watch(told)
    served(watched, dearer(fused), 30)
    assert fused.scorer is not None
    reference = fused.scorer.artifact.manifest.reference
    newer = Scorer(artifact.load(write(tmp_path, version="v2", reference=reference)))
    told.clear()
    served(watched, replace(fused, scorer=newer), 29)
    assert not told
    served(watched, replace(fused, scorer=newer), 1)
    assert told == [("shop", Told("v2", 30, {}))]
    watched.close()


@pytest.mark.parametrize(("every", "lists"), [(1, 30), (3, 10), (0, 0)])
def test_one_search_in_so_many_is_sampled(
    fused: Fused, monkeypatch: pytest.MonkeyPatch, every: int, lists: int
) -> None:
    monkeypatch.setattr(drift_watch, "LISTS_MIN", 1)
    told: list[tuple[str, Told]] = []
    watched = watch(told, every)
    served(watched, fused, 30)
    assert (told[-1][1].lists if told else 0) == lists
    watched.close()


def test_a_list_that_no_model_scored_is_not_sampled(fused: Fused) -> None:
    told: list[tuple[str, Told]] = []
    watched = watch(told)
    served(watched, replace(fused, scorer=None), 5)
    assert watched._thread is None
    watched.close()


@pytest.mark.usefixtures("few")
def test_a_model_without_a_reference_is_no_alarm(fused: Fused, tmp_path: Path) -> None:
    told: list[tuple[str, Told]] = []
    watched = watch(told)
    older = Scorer(artifact.load(write(tmp_path)))
    served(watched, replace(fused, scorer=older), 40)
    assert not told
    watched.close()
