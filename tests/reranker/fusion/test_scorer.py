"""The scorer: prior plus residual, any length of list and history, the same from many threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.errors import InvalidArtifact
from reranker.fusion import artifact, baseline
from reranker.fusion.scorer import Scorer
from reranker.retrieval.candidates import Candidates
from reranker.signals import build, definition, drift
from tests.reranker.fusion.artifacts import (
    close,
    linear_network,
    network,
    write,
    write_networks,
)
from tests.reranker.signals.situations import purchase, situation

IDS = ["a", "b", "c", "d", "e"]
EVENTS = [purchase("a", 3), purchase("z", 9)]


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return Scorer(artifact.load(write(tmp_path_factory.mktemp("models"))))


def model_input(scorer: Scorer, ids: list[str], user: str | None = "u") -> build.ModelInput:
    found = situation(ids, EVENTS, user=user)
    return build.assemble(replace(found, item_table=scorer.item_table))


def test_a_score_is_prior_plus_residual(scorer: Scorer) -> None:
    made = model_input(scorer, IDS)
    scored = scorer.score(made)
    close(scored.prior, baseline.prior(made["signals"]))
    close(scored.scores, scored.prior + scored.residual)
    assert scored.residual.any()
    close(scored.attention.sum(axis=1), np.ones(5))
    assert scored.attention.shape[1] == len(scorer.artifact.manifest.tokens)


@pytest.mark.parametrize("user", ["u", None])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_lists_and_histories_of_any_length_are_scored(
    scorer: Scorer, count: int, user: str | None
) -> None:
    scored = scorer.score(model_input(scorer, IDS[:count], user))
    assert scored.scores.shape == (count,)
    assert np.isfinite(scored.scores).all()


def test_the_history_changes_the_scores(scorer: Scorer) -> None:
    one = model_input(scorer, IDS)
    other = {**one, "history_vectors": -one["history_vectors"]}
    assert not np.allclose(scorer.score(one).scores, scorer.score(other).scores)


def test_many_threads_get_what_one_gets(scorer: Scorer) -> None:
    made = model_input(scorer, IDS)
    expected = scorer.score(made).scores
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: scorer.score(made).scores, range(40)):
            np.testing.assert_array_equal(found, expected)


def test_a_model_that_onnxruntime_cannot_open_is_refused(tmp_path: Path) -> None:
    good = artifact.load(write(tmp_path))
    with pytest.raises(InvalidArtifact, match="onnxruntime"):
        Scorer(replace(good, model=b"no graph"))


def test_rrf_is_the_sum_of_reciprocal_ranks() -> None:
    nan = np.nan
    found = Candidates(
        ["a", "b", "c"],
        *(np.array(column, dtype=np.float32) for column in ([2, 1, nan], [1, 2, nan])),
        *(np.array(column, dtype=np.float32) for column in ([0.9, nan, 0.8], [3, nan, 1])),
    )
    close(baseline.rrf(found), [1 / 61 + 1 / 63, 1 / 62, 1 / 61])
    close(baseline.rrf(found, window=2), [1 / 61, 1 / 62, 1 / 61])


def test_the_priors_parts_add_up_to_it() -> None:
    signals = np.random.default_rng(0).random((4, len(definition.SIGNALS))).astype(np.float32)
    weights = baseline.PriorWeights(keyword=2.0, cosine=3.0)
    parts = baseline.prior_parts(signals, weights)
    close(sum(parts.values()), baseline.prior(signals, weights))


def test_what_never_varied_in_training_cannot_disturb_the_network(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(50, len(definition.SIGNALS)))
    held = [definition.INDEX[name] for name in ("click_rate", "exposure", "mobile")]
    rows[:, held] = [0.0, 2.0, 0.0]
    told = drift.reference(rows, 5)
    told["signals"]["season_sine"] = told["signals"]["mobile"]  # the calendar moves by itself
    assert drift.constants(told) == {"click_rate": 0.0, "exposure": 2.0, "mobile": 0.0}
    plain = Scorer(artifact.load(write(tmp_path)))
    holds = Scorer(artifact.load(write(tmp_path, "v2", reference=told)))
    made = model_input(plain, IDS)
    signals = made["signals"].copy()
    signals[:, held] = [-3.0, 7.0, 1.0]
    moved = {**made, "signals": signals}
    assert not np.allclose(plain.residual(moved), plain.residual(made), atol=1e-3)
    signals_then = made["signals"].copy()
    signals_then[:, held] = [0.0, 2.0, 0.0]
    close(holds.residual(moved), plain.residual({**made, "signals": signals_then}))
    assert signals[0, held].tolist() == [-3.0, 7.0, 1.0]  # the caller's list is as it was


@pytest.mark.parametrize("items", [0, 4, 40])
def test_a_network_that_is_a_line_scores_as_it_does_without_being_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, items: int
) -> None:
    networks = [linear_network(0), linear_network(1)]
    for number, bias in enumerate(([0.3, -1.0, 2.0], [1.0, 0.0, -0.5])):
        networks[number].heads.bias.data.copy_(torch.tensor(bias))
    rows = np.random.default_rng(0).normal(size=(50, len(definition.SIGNALS)))
    rows[:, definition.INDEX["exposure"]] = 2.0
    told = drift.reference(rows, 5)
    run = Scorer(
        artifact.load(write_networks(tmp_path / "a", networks, keep=False, reference=told))
    )
    line = Scorer(
        artifact.load(write_networks(tmp_path / "b", networks, keep=True, reference=told))
    )
    made = model_input(run, IDS)
    made["signals"][:, definition.INDEX["shopper_items"]] = np.log1p(items)
    made["signals"][::2, definition.INDEX["own_purchases"]] = np.log1p(2.0)
    made["signals"][1::2, definition.INDEX["own_purchases"]] = 0.0
    expected = run.score(made)
    assert np.ptp(expected.residual) > 1.0
    whole, runs = line._run, []
    monkeypatch.setattr(line, "_run", lambda *asked: runs.append(asked[1]) or whole(*asked))
    found = line.score(made)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(line.residual(made), found.residual)
    assert not runs
    close(found.attention, expected.attention)
    assert found.attention is found.attention  # looked at once
    assert runs == [("attention",)]


def test_a_network_that_says_more_than_a_line_is_run(tmp_path: Path) -> None:
    networks = [linear_network(0), network(1)]
    run = Scorer(artifact.load(write_networks(tmp_path / "a", networks, keep=False)))
    kept = Scorer(artifact.load(write_networks(tmp_path / "b", networks, keep=True)))
    made = model_input(run, IDS)
    np.testing.assert_array_equal(kept.score(made).scores, run.score(made).scores)


def test_the_line_that_a_network_starts_from_says_which_candidates_come_first(
    tmp_path: Path,
) -> None:
    whole = linear_network()
    only_line = Scorer(artifact.load(write_networks(tmp_path / "a", [whole], keep=True)))
    torch.nn.init.normal_(whole.heads.weight)
    more = Scorer(artifact.load(write_networks(tmp_path / "b", [whole], keep=True)))
    unknown = Scorer(artifact.load(write_networks(tmp_path / "c", [whole], keep=False)))
    made = model_input(more, IDS)
    first = more.first(made)
    assert first is not None
    np.testing.assert_allclose(first, only_line.score(made).scores, rtol=1e-6)
    assert np.ptp(first) > 1.0
    assert only_line.first(made) is None
    assert unknown.first(made) is None


def test_what_the_score_does_not_count_does_not_hinder_the_line(tmp_path: Path) -> None:
    made = linear_network()
    made.heads.weight.data[0] = 1.0  # clicks
    counted = {"click": 0.0, "cart": 0.0, "purchase": 1.0}
    folder = write_networks(tmp_path / "a", [made], keep=True, head_weights=counted)
    assert Scorer(artifact.load(folder))._line is not None
    other = write_networks(tmp_path / "b", [made], keep=True)
    assert Scorer(artifact.load(other))._line is None


def test_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    good = artifact.load(write(tmp_path))
    with pytest.raises(InvalidArtifact, match="weights"):
        Scorer(replace(good, network=b"no weights"))
