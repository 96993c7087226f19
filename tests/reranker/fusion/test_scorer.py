"""The scorer: prior plus residual, any length of list and history, the same from many threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import InvalidArtifact
from reranker.fusion import artifact, baseline
from reranker.fusion.scorer import Scorer
from reranker.retrieval.candidates import Candidates
from reranker.signals import build, definition, drift
from tests.reranker.fusion.artifacts import close, write
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
