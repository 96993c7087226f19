"""Baselines beside a model: found, verified, and read by the names of the signals."""

from pathlib import Path

import numpy as np
import orjson
import pytest

from compose.local.commands.evaluate import baseline_names
from indexer.errors import AskedWrongly, InvalidArtifact
from reranker.evaluation import baselines
from reranker.fusion import artifact
from reranker.fusion.artifact import Parts
from reranker.fusion.registry import Registry
from reranker.signals import definition
from tests.reranker.fusion.artifacts import manifest, parts

LINE = orjson.dumps({"weights": {"knn": 2.0, "bm25_share": 1.0}})


def promoted(folder: Path, optional: dict[str, bytes], **changes: object) -> Registry:
    registry, made = Registry(folder, "shop"), parts()
    whole = Parts(made.model, made.table, made.measured_model, made.measured_table, optional)
    artifact.write(registry.path("v1"), whole, manifest("v1", **changes))
    registry.promote("v1")
    return registry


def test_they_are_found_beside_the_model_that_serves(tmp_path: Path) -> None:
    promoted(tmp_path, {artifact.LINEAR: LINE})
    found = baselines.serving(tmp_path, "shop")
    assert found is not None
    assert (found.version, list(found.rankers)) == ("v1", ["linear"])
    signals = np.zeros((2, len(definition.SIGNALS)), dtype=np.float32)
    signals[0, definition.INDEX["knn"]] = 0.5
    signals[1, definition.INDEX["bm25_share"]] = 0.25
    assert found.rankers["linear"](signals).tolist() == [1.0, 0.25]


@pytest.mark.parametrize("index", ["shop", "another"])
def test_where_there_are_none_there_are_none(tmp_path: Path, index: str) -> None:
    promoted(tmp_path, {})
    assert baselines.serving(tmp_path, index) is None


def test_only_those_asked_for_are_opened(tmp_path: Path) -> None:
    promoted(tmp_path, {artifact.LINEAR: LINE})
    assert baselines.serving(tmp_path, "shop", ("lambdamart",)) is None


def test_a_damaged_baseline_is_no_baseline_and_the_model_serves_on(tmp_path: Path) -> None:
    registry = promoted(tmp_path, {artifact.LINEAR: LINE})
    (registry.path("v1") / artifact.LINEAR).write_bytes(b"{}")
    assert artifact.load(registry.path("v1")).manifest.version == "v1"
    with pytest.raises(InvalidArtifact, match="altered"):
        artifact.optional(registry.path("v1"), artifact.read_manifest(registry.path("v1")))
    assert baselines.serving(tmp_path, "shop") is None


@pytest.mark.parametrize(
    ("text", "names"),
    [("none", ()), ("linear", ("linear",)), (" linear, lambdamart", ("linear", "lambdamart"))],
)
def test_baselines_are_named_with_commas(text: str, names: tuple[str, ...]) -> None:
    assert baseline_names(text) == names


@pytest.mark.parametrize("text", ["", "svm", "linear,none"])
def test_an_unknown_baseline_is_refused(text: str) -> None:
    with pytest.raises(AskedWrongly, match="lambdamart"):
        baseline_names(text)
