"""Trees as they are served: the scores of LightGBM and of onnxruntime, whatever the trees."""

import lightgbm
import numpy as np
import onnx
import pytest

from indexer.errors import InvalidArtifact
from reranker.fusion import tree_arrays
from reranker.fusion.forest import LEAVES_MAX, Forest
from reranker.fusion.graph import opened
from reranker.learning import mixture
from reranker.signals import definition

SIGNALS = len(definition.SIGNALS)


def grown(leaves: int, rounds: int, *, least: int = 5, seed: int = 3) -> lightgbm.Booster:
    random = np.random.default_rng(seed)
    rows = random.normal(size=(2_000, SIGNALS))
    wanted = rows[:, 0] * rows[:, 5] + np.abs(rows[:, 7]) + random.normal(size=len(rows)) / 4
    with_settings = {"num_leaves": leaves, "min_data_in_leaf": least, "seed": seed}
    return lightgbm.train(
        {**with_settings, "num_threads": 1, "verbose": -1}, lightgbm.Dataset(rows, wanted), rounds
    )


def graph(booster: lightgbm.Booster) -> bytes:
    return mixture.graph(booster.model_to_string().encode(), 1.0)


@pytest.mark.parametrize("count", [0, 1, 7, 100, 512, 1_300])
@pytest.mark.parametrize(
    ("leaves", "rounds", "least"),
    [(2, 1, 5), (31, 40, 5), (LEAVES_MAX, 10, 1), (31, 3, 1_900)],  # the last one never splits
)
def test_scores_are_those_of_lightgbm_and_onnxruntime(
    leaves: int, rounds: int, least: int, count: int
) -> None:
    booster = grown(leaves, rounds, least=least)
    content = graph(booster)
    rows = np.random.default_rng(count).normal(size=(count, SIGNALS)).astype(np.float32)
    found = Forest(content, "trees").scores(rows)
    assert found.shape == (count,)
    by_runtime = opened(content, "trees").run(None, {tree_arrays.SIGNALS: rows})[0].ravel()
    np.testing.assert_allclose(found, by_runtime, atol=1e-5)
    if count:
        np.testing.assert_allclose(found, booster.predict(rows), atol=1e-5)


def test_a_value_on_the_threshold_goes_where_it_goes_in_the_runtime() -> None:
    content = graph(grown(31, 20))
    arrays = tree_arrays.flattened(content)
    rows = np.zeros((200, SIGNALS), dtype=np.float32)
    splits = np.flatnonzero(arrays["yes"] != np.arange(len(arrays["yes"])))[:200]
    rows[np.arange(200), arrays["signals"][splits]] = arrays["thresholds"][splits]
    by_runtime = opened(content, "trees").run(None, {tree_arrays.SIGNALS: rows})[0].ravel()
    np.testing.assert_allclose(Forest(content, "trees").scores(rows), by_runtime, atol=1e-5)


def test_trees_with_more_leaves_than_a_set_has_bits_are_refused() -> None:
    with pytest.raises(InvalidArtifact, match="my trees have 33 leaves: 32 can be served"):
        Forest(graph(grown(33, 2, least=1)), "my trees")


@pytest.mark.parametrize(
    ("name", "value"),
    [("nodes_truenodeids", 0), ("nodes_featureids", SIGNALS), ("nodes_treeids", 99)],
)
def test_trees_that_cannot_be_walked_are_refused(name: str, value: int) -> None:
    model = onnx.load_from_string(graph(grown(31, 5)))
    (ensemble,) = (it for it in model.graph.node if it.op_type == "TreeEnsembleRegressor")
    (told,) = (it for it in ensemble.attribute if it.name == name)
    told.ints[0] = value
    with pytest.raises(InvalidArtifact, match="my trees"):
        Forest(model.SerializeToString(), "my trees")
