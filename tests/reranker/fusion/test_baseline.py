"""The prior: what an untrained shop is served with; its parts, its weights, its stand-ins."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import InvalidArtifact
from reranker.fusion import baseline
from reranker.fusion.baseline import PriorWeights
from reranker.retrieval.candidates import Candidates
from reranker.signals import definition

NAN = np.nan
WEIGHTS = st.builds(PriorWeights, *(st.floats(0, 10) for _ in range(3)), st.floats(0, 3))


def row(**values: float) -> np.ndarray:
    signals = np.zeros(len(definition.SIGNALS), dtype=np.float32)
    for name, value in values.items():
        signals[definition.INDEX[name]] = value
    return signals


def candidates(bm25: list[float], knn: list[float]) -> Candidates:
    def ranks(scores: list[float]) -> Any:
        known = sorted((s for s in scores if np.isfinite(s)), reverse=True)
        return np.array([known.index(s) + 1 if np.isfinite(s) else NAN for s in scores], np.float32)

    ids = [f"i{number}" for number in range(len(bm25))]
    as_array = [np.array(scores, dtype=np.float32) for scores in (bm25, knn)]
    return Candidates(ids, as_array[0], ranks(bm25), as_array[1], ranks(knn))


@given(WEIGHTS, st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_the_parts_add_up_to_the_prior_under_any_weights(
    weights: PriorWeights, seed: int, n: int
) -> None:
    signals = np.random.default_rng(seed).random((n, len(definition.SIGNALS))).astype(np.float32)
    parts = baseline.prior_parts(signals, weights)
    assert set(parts) <= set(definition.NAMES)
    np.testing.assert_allclose(sum(parts.values()), baseline.prior(signals, weights), rtol=1e-5)


def test_a_title_that_has_all_the_words_beats_one_that_has_half() -> None:
    whole = row(bm25_share=0.8, knn=0.5, query_covered=1.0)
    half = row(bm25_share=0.8, knn=0.5, query_covered=0.5)
    first, second = baseline.prior(np.stack([whole, half]))
    assert first > second


def test_an_exact_keyword_match_beats_a_near_vector() -> None:
    model_number = row(bm25_share=1.0, knn=0.35, query_covered=1.0)
    alike = row(bm25_share=0.0, knn=0.8)
    first, second = baseline.prior(np.stack([model_number, alike]))
    assert first > second


@pytest.mark.parametrize(
    ("query", "unspaced"),
    [
        ("无线耳机", True),
        ("小米14 手机", True),
        ("ワイヤレスイヤホン", True),
        ("wireless earphones", False),
        ("iPhone 15 Pro Max 壳", False),
        ("무선 이어폰", False),
        ("", False),
    ],
)
def test_half_a_match_is_doubted_where_words_are_not_parted(query: str, unspaced: bool) -> None:
    weights = baseline.untrained_weights(query)
    whole, half = (row(bm25_share=0.8, query_covered=share, card=1.0) for share in (1.0, 0.5))
    parts = baseline.prior_parts(np.stack([whole, half]), weights)
    keyword, covered = parts["bm25_share"], parts["query_covered"]
    assert keyword[1] == pytest.approx(keyword[0] / (4 if unspaced else 1))
    assert covered[1] == pytest.approx(covered[0] / (4 if unspaced else 2))


def test_a_title_that_is_not_known_is_not_doubted() -> None:
    weights = baseline.untrained_weights("无线耳机")
    parts = baseline.prior_parts(row(bm25_share=0.8), weights)
    assert parts["bm25_share"] == pytest.approx(weights.keyword * 0.8)


def test_weights_are_read_as_they_were_written() -> None:
    assert PriorWeights.read(PriorWeights(1.0, 2.0, 3.0).as_dict()) == PriorWeights(1.0, 2.0, 3.0)


def test_a_model_names_the_parts_that_versions_before_know() -> None:
    assert set(PriorWeights().as_dict()) == {"keyword", "cosine", "covered"}


def test_a_part_of_a_newer_version_makes_an_artifact_that_is_refused() -> None:
    with pytest.raises(InvalidArtifact, match="newer version"):
        PriorWeights.read({"keyword": 4.0, "cosine": 4.0, "unheard_of": 1.0})


def test_a_part_that_an_older_artifact_does_not_name_weighs_nothing() -> None:
    assert PriorWeights.read({"keyword": 4.0, "cosine": 4.0}) == PriorWeights(4.0, 4.0, 0.0)


def test_legs_alone_take_what_the_vectors_did_not_find_for_the_last_they_found() -> None:
    found = baseline.prior_of_legs(candidates([4.0, 2.0, NAN], [NAN, 0.6, 0.4]))
    weights = PriorWeights()
    expected = [
        weights.keyword + weights.cosine * 0.4,
        weights.keyword * 0.5 + weights.cosine * 0.6,
        weights.cosine * 0.4,
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("bm25", "knn"), [([], []), ([NAN, NAN], [0.4, 0.9]), ([3.0, 1.0], [NAN, NAN])]
)
def test_one_leg_alone_keeps_its_own_order(bm25: list[float], knn: list[float]) -> None:
    found = baseline.prior_of_legs(candidates(bm25, knn))
    assert np.isfinite(found).all()
    known = np.array(knn if np.isnan(bm25).all() else bm25)
    assert (np.argsort(-found) == np.argsort(-known)).all()
