"""The network and the trees as one ranker: how much of each, and that both serve as measured."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from indexer.errors import InvalidArtifact
from reranker.fusion import artifact, attribution
from reranker.fusion.artifact import Artifact
from reranker.fusion.forest import Forest
from reranker.fusion.scorer import Scorer
from reranker.learning import baselines, export, fit, interpolation, linear, measure, mixture
from reranker.learning.dataset import ListSet
from reranker.learning.mixture import Mixture
from reranker.learning.schedule import Schedule
from reranker.signals import definition
from tests.reranker.fusion.artifacts import manifest
from tests.reranker.learning.lists import DIMS, WIDTH, list_set, vectors
from tests.reranker.signals.situations import item_table

SMALL = Schedule(width=16, layers=1, attention_heads=2, batch_lists=8)
WEIGHTS = np.array([0.2, 0.3, 0.5], dtype=np.float32)
TRAIN, HELD_OUT = list_set(120, 1), list_set(60, 2)
Array = np.ndarray


@pytest.fixture(scope="module")
def network() -> fit.FusionNetwork:
    made = fit.new_network(TRAIN, vectors(), SMALL, 0, linear.start(TRAIN))
    trained = fit.heads_of(TRAIN, SMALL.head_weights)
    fit.fit(made, TRAIN, vectors(), SMALL, epochs=2, learning_rate=1e-2, seed=0, trained=trained)
    return made


@pytest.fixture(scope="module")
def trees() -> bytes:
    found = baselines.fit(TRAIN, HELD_OUT, None, seed=3, threads=1).trees
    assert found is not None
    return found[1]


def centred(values: Array, lists: ListSet) -> Array:
    return np.concatenate([values[a:b] - values[a:b].mean() for a, b in pairwise(lists.start)])


def by_lightgbm(model: bytes, lists: ListSet) -> Array:
    booster = lightgbm.Booster(model_str=model.decode())
    return np.asarray(booster.predict(lists.signals.astype(np.float32)))


def loaded(folder: Path, networks: list[fit.FusionNetwork], trees: bytes | None) -> Artifact:
    graph = export.to_onnx(networks, int8=False)
    table = item_table(["a", "b"], WIDTH)
    beside = {} if trees is None else {artifact.TREES: trees, artifact.MEASURED_TREES: trees}
    artifact.write(folder, artifact.Parts(graph, table, graph, table, beside), manifest(dims=DIMS))
    return artifact.load(folder)


def one_list(lists: ListSet, number: int) -> dict[str, Array]:
    """The model's input of one list, by a shopper without a history."""
    there, rows = vectors(), slice(*lists.start[number : number + 2])
    items, table = lists.item[rows], lists.table[number]
    return {
        "signals": lists.signals[rows].astype(np.float32),
        "query_vector": there.queries[lists.query[number]].numpy(),
        "item_vectors": there.text[items].numpy(),
        "item_rows": there.taste[table][items].numpy(),
        "history_vectors": np.zeros((0, DIMS), np.float32),
        "history_rows": np.zeros((0, WIDTH), np.float32),
        "history_features": np.zeros((0, lists.history_features.shape[2]), np.float32),
    }


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_networks_of_a_mixture_say_their_share_with_the_whole_prior(
    network: fit.FusionNetwork, share: float
) -> None:
    (made,) = mixture.networks([network], Mixture(share, b"", b""))
    before, after = (fit.score([it], HELD_OUT, vectors(), WEIGHTS) for it in (network, made))
    np.testing.assert_allclose(
        centred(after, HELD_OUT), (1.0 - share) * centred(before, HELD_OUT), atol=2e-3
    )
    assert made is not network


def test_without_a_mixture_the_networks_are_as_they_were(network: fit.FusionNetwork) -> None:
    (made,) = mixture.networks([network], None)
    own = network.state_dict()
    assert all((value == own[name]).all() for name, value in made.state_dict().items())


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_the_graph_of_the_trees_gives_their_share(trees: bytes, share: float) -> None:
    graph = Forest(mixture.graph(trees, share), "trees")
    found = graph.scores(HELD_OUT.signals.astype(np.float32))
    own = by_lightgbm(trees, HELD_OUT)
    assert np.ptp(own) > 0.1
    np.testing.assert_allclose(found, share * own, atol=1e-5)


def test_an_artifact_serves_the_mean_of_both(
    network: fit.FusionNetwork, trees: bytes, tmp_path: Path
) -> None:
    mixed = Mixture(0.5, trees, trees)
    alone = Scorer(loaded(tmp_path / "alone", [network], None))
    both = Scorer(
        loaded(tmp_path / "both", mixture.networks([network], mixed), mixture.graph(trees, 0.5))
    )
    own = by_lightgbm(trees, HELD_OUT)
    for number, (first, end) in enumerate(pairwise(HELD_OUT.start[:6])):
        given = one_list(HELD_OUT, number)
        expected = mixture.mean(alone.score(given).scores, own[first:end], 0.5)
        found = both.score(given)
        np.testing.assert_allclose(
            found.scores - found.scores.mean(), expected - expected.mean(), atol=2e-3
        )
        np.testing.assert_allclose(both.residual(given), found.residual, atol=1e-6)
        np.testing.assert_allclose(found.scores, found.prior + found.residual, atol=1e-6)


def test_an_explanation_adds_up_with_trees(
    network: fit.FusionNetwork, trees: bytes, tmp_path: Path
) -> None:
    scorer = Scorer(loaded(tmp_path / "a", [network], mixture.graph(trees, 1.0)))
    given = one_list(HELD_OUT, 0)
    residual = scorer.score(given).residual
    found = attribution.attribute(given, residual, scorer.residual)
    assert found is not None
    np.testing.assert_allclose(found.base + found.parts.sum(axis=1), residual, atol=1e-4)
    decides = found.players.index("own_purchases")
    assert np.abs(found.parts[:, decides]).mean() > np.abs(found.parts).mean()


def test_the_measured_trees_go_with_the_measured_network(
    network: fit.FusionNetwork, trees: bytes, tmp_path: Path
) -> None:
    loaded(tmp_path / "a", [network], mixture.graph(trees, 0.5))
    other = mixture.graph(trees, 0.25)
    graph, table = export.to_onnx([network], int8=False), item_table(["a", "b"], WIDTH)
    beside = {artifact.TREES: mixture.graph(trees, 0.5), artifact.MEASURED_TREES: other}
    made = artifact.Parts(graph, table, graph, table, beside)
    artifact.write(tmp_path / "b", made, manifest(dims=DIMS))
    assert artifact.load(tmp_path / "b", measured=True).trees == other
    assert artifact.load(tmp_path / "b").trees == beside[artifact.TREES]


@pytest.mark.parametrize("content", [b"no graph", None])
def test_trees_that_cannot_be_trees_are_refused(
    network: fit.FusionNetwork, tmp_path: Path, content: bytes | None
) -> None:
    good = loaded(tmp_path / "a", [network], None)
    with pytest.raises(InvalidArtifact, match="trees"):
        Scorer(replace(good, trees=good.model if content is None else content))


def test_errors_that_cancel_are_worth_a_mean() -> None:
    lists = list_set(200, 4)
    random = np.random.default_rng(0)
    right = 2.0 * lists.signals[:, definition.INDEX["own_purchases"]].astype(np.float32)
    one, other = (right + random.normal(size=len(right)) for _ in range(2))
    found = mixture.chosen(one, other, lists, (b"measured", b"served"))
    assert found is not None
    assert (found.measured, found.served) == (b"measured", b"served")
    reached = [
        measure.reciprocal(mixture.mean(one, other, share), lists).mean()
        for share in (0.0, found.share, 1.0)
    ]
    assert reached[1] > max(reached[0], reached[2])


def test_a_part_of_the_network_always_stays() -> None:
    lists = list_set(80, 4)
    right = lists.signals[:, definition.INDEX["own_purchases"]].astype(np.float32)
    noise = np.random.default_rng(0).normal(size=len(right))
    found = mixture.chosen(noise, 40.0 * right, lists, (b"", b""))
    assert found is not None
    assert found.share == max(mixture.SHARES) < 1.0


def test_trees_that_are_behind_do_not_serve() -> None:
    lists = list_set(80, 4)
    right = lists.signals[:, definition.INDEX["own_purchases"]].astype(np.float32)
    noise = 30.0 * np.random.default_rng(0).normal(size=len(right))
    assert mixture.chosen(right, noise, lists, (b"", b"")) is None


def test_trees_that_cannot_be_told_from_the_network_have_their_usual_share() -> None:
    lists = list_set(80, 4)
    right = lists.signals[:, definition.INDEX["own_purchases"]].astype(np.float32)
    found = mixture.chosen(right, 2.0 * right, lists, (b"", b""))
    assert found is not None
    assert found.share == mixture.USUAL_SHARE


def test_few_lists_give_the_trees_nothing() -> None:
    lists = list_set(interpolation.LISTS_MIN - 1, 4)
    right = lists.signals[:, definition.INDEX["own_purchases"]].astype(np.float32)
    assert mixture.chosen(np.zeros_like(right), right, lists, (b"", b"")) is None
