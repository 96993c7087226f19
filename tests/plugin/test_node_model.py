"""The model inside the node scores as the sidecar's scorer does where nobody is known."""

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from compose.local import compiler, distribution, ground, java_runtime
from compose.local.home import Home
from indexer.errors import InvalidArtifact
from reranker.fusion import artifact, baseline, node_file, node_model
from reranker.fusion.scorer import Scorer
from reranker.learning import mixture
from reranker.serving import order, scoring
from reranker.signals import build, definition
from tests.plugin import node_models
from tests.plugin.node_models import Shop

PLUGIN = Path(__file__).parents[2] / "plugin" / "src"
Run = Callable[[bytes, Sequence[dict[str, Any]]], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return node_models.shop(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Scores lists with the plugin's own classes, on the Java and the jars of the node."""
    folder = tmp_path_factory.mktemp("java")
    home = Home(folder / "home")
    home.folder.mkdir()
    place = ground.prepare(home)
    java = java_runtime.choose(place)
    jars = sorted((distribution.unpacked(place.distributions, java).folder / "lib").glob("*.jar"))
    sources = [*(PLUGIN / "main").rglob("*.java"), *(PLUGIN / "test").rglob("ScoreLists.java")]
    compiler.compile_java("the plugin", sources, jars, java, folder / "classes")
    path = ":".join(map(str, [folder / "classes", *jars]))

    def running(
        content: bytes, asked: Sequence[dict[str, Any]]
    ) -> subprocess.CompletedProcess[str]:
        file = folder / "a.model"
        file.write_bytes(content)
        return subprocess.run(
            [str(java.program), "-cp", path, "hitweave.fusion.model.ScoreLists", file, folder],
            input="".join(json.dumps(one) + "\n" for one in asked),
            capture_output=True,
            text=True,
            check=False,
        )

    return running


def test_the_node_scores_as_the_sidecar_does_for_nobody(shop: Shop, run: Run) -> None:
    asked = [*node_models.lists(shop, 80)]
    done = run(shop.file(), asked)
    assert done.returncode == 0, done.stderr
    scorer, lines = Scorer(shop.loaded), done.stdout.splitlines()
    residuals = []
    for one, line in zip(asked, lines[::2], strict=True):
        expected = scorer.score(build.assemble(shop.situation(one)))
        residuals.append(np.ptp(expected.residual))
        found = np.array(line.split(), dtype=np.float64)
        np.testing.assert_allclose(found, expected.scores, atol=1e-4, rtol=1e-5)
    assert np.median(residuals) > 0.3  # the network has a say in the order


@pytest.fixture(scope="module")
def with_trees(shop: Shop) -> Shop:
    """The same shop with trees beside the network, which tell its goods apart."""
    rows = [build.assemble(shop.situation(one))["signals"] for one in node_models.lists(shop, 40)]
    signals = np.concatenate(rows)
    wanted = np.random.default_rng(3).normal(size=len(signals)) + signals[:, 0] * signals[:, 9]
    data = lightgbm.Dataset(signals, wanted)
    booster = lightgbm.train({"seed": 3, "num_threads": 1, "verbose": -1}, data, 30)
    graph = mixture.graph(booster.model_to_string().encode(), 0.5)
    return replace(shop, loaded=replace(shop.loaded, trees=graph))


def test_trees_count_in_the_node_as_in_the_sidecar(shop: Shop, with_trees: Shop, run: Run) -> None:
    asked = [*node_models.lists(shop, 60, seed=4)]
    done = run(with_trees.file(), asked)
    assert done.returncode == 0, done.stderr
    scorer, without = Scorer(with_trees.loaded), Scorer(shop.loaded)
    equal, by_trees = [], []
    for one, line in zip(asked, done.stdout.splitlines()[::2], strict=True):
        made = build.assemble(shop.situation(one))
        expected = scorer.score(made).scores
        by_trees.append(np.ptp(expected - without.score(made).scores))
        found = np.array(line.split(), dtype=np.float64)
        equal += np.isclose(found, expected, atol=1e-4, rtol=1e-5).tolist()
    assert np.median(by_trees) > 0.1
    # A signal that lies on a threshold but for its last digit may fall to the other side.
    assert np.mean(equal) > 0.995


def test_trees_that_do_not_end_are_refused(with_trees: Shop, run: Run) -> None:
    facts, arrays = node_file.read(with_trees.file())
    back = {**arrays, "trees.no": np.zeros_like(arrays["trees.no"])}
    short = {**arrays, "trees.yes": arrays["trees.yes"][:-1]}
    for broken in (back, short):
        done = run(node_file.packed(facts, broken), [])
        assert "BrokenModel" in done.stderr


def test_the_nodes_order_is_the_sidecars(shop: Shop, run: Run) -> None:
    asked = [*node_models.lists(shop, 40, seed=2)]
    lines = run(shop.file(), asked).stdout.splitlines()[1::2]
    scorer, cut = Scorer(shop.loaded), 0
    for one, line in zip(asked, lines, strict=True):
        whole = shop.situation(one)
        candidates, window = whole.candidates, one["window"]
        rows = np.arange(len(candidates))
        if len(candidates) > window:
            rows = np.argsort(-baseline.rrf(candidates), kind="stable")[:window]
            cut += 1
        seen = {**one, "candidates": [one["candidates"][row] for row in rows]}
        scores = scorer.score(build.assemble(shop.situation(seen))).scores
        available = (whole.cards["available"] != 0) | ~whole.cards_present
        ordered = order.by_score(scoring.placed(candidates, rows, scores), available=available)
        assert line.split() == [candidates.ids[row] for row in ordered.rows]
    assert cut > 5


def test_what_the_node_cannot_know_is_the_same_for_all_items(shop: Shop) -> None:
    asked = next(it for it in node_models.lists(shop, 9) if len(it["candidates"]) > 50)
    columns = build.columns(shop.situation(asked))
    families = ("search", "personal", "together", "context")
    for name in (it.name for it in definition.SIGNALS if it.family in families):
        filled = np.where(np.isnan(columns[name]), 0, columns[name])
        assert np.ptp(filled) == 0, name


@pytest.mark.parametrize("where", [4, 12, 50, 5000, -1])
def test_an_altered_file_is_refused_by_both(shop: Shop, run: Run, where: int) -> None:
    content = bytearray(shop.file())
    content[where] ^= 1
    with pytest.raises(InvalidArtifact):
        node_file.read(bytes(content))
    done = run(bytes(content), [])
    assert done.returncode != 0
    assert "BrokenModel" in done.stderr


def test_half_a_file_is_refused(shop: Shop, run: Run) -> None:
    for length in (0, 20, 60, 4000):
        done = run(shop.file()[:length], [])
        assert "BrokenModel" in done.stderr, length


def test_a_file_whose_parts_do_not_fit_is_refused(shop: Shop, run: Run) -> None:
    facts, arrays = node_file.read(shop.file())
    for name in ("0/query.weight", "own", "keys", "1/blocks.1.feed.2.bias"):
        broken = {**arrays, name: arrays[name][:-1]}
        done = run(node_file.packed(facts, broken), [])
        assert "BrokenModel" in done.stderr, name


def test_the_file_gives_back_what_was_packed(shop: Shop) -> None:
    facts, arrays = node_file.read(shop.file())
    assert facts["items"] == len(shop.ids) == len(arrays["keys"])
    assert facts["version"] == shop.loaded.manifest.version
    assert [*arrays["keys"]] == sorted(map(node_model.key, shop.ids))
    assert all(array.ctypes.data is not None for array in arrays.values())


def test_a_model_without_its_weights_is_not_exported(tmp_path: Path) -> None:
    made = node_models.shop(tmp_path)
    (tmp_path / "v1" / artifact.MANIFEST).write_text(
        made.loaded.manifest.model_copy(update={"config": {}}).model_dump_json()
    )
    without = Shop(made.ids, made.cards, made.present, made.counts, artifact.load(tmp_path / "v1"))
    with pytest.raises(InvalidArtifact, match="train again"):
        without.file()
