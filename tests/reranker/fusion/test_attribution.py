"""Parts add up to the residual, whatever the list and the time; who cannot matter has no part."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import permutations
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reranker.fusion import artifact, attribution
from reranker.fusion.attribution import ITEM, OTHERS, QUERY, SHOPPER
from reranker.fusion.scorer import Scorer
from reranker.signals import build, definition
from reranker.signals.build import ModelInput
from tests.reranker.fusion.artifacts import write
from tests.reranker.signals.situations import purchase, situation

LETTERS = "abcdefgh"
EVENTS = [purchase("a", 3, basket="x"), purchase("b", 3, basket="x"), purchase("z", 9)]
lists = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=8, unique=True)


@lru_cache(maxsize=1)
def scorer() -> Scorer:
    return Scorer(artifact.load(write(Path(mkdtemp()))))


def made(ids: list[str], user: str | None = "u") -> ModelInput:
    prices = {name: 1.0 + place for place, name in enumerate(LETTERS)}
    found = situation(ids, EVENTS, user=user, prices=prices)
    return build.assemble(replace(found, item_table=scorer().item_table))


def column(name: str) -> int:
    return definition.INDEX[name]


@settings(deadline=None, max_examples=20)
@given(lists, st.sampled_from(["u", None]), st.integers(0, 12), st.integers(0, 4))
def test_base_and_parts_add_up_to_the_residual(
    ids: list[str], user: str | None, apart: int, halves: int
) -> None:
    inputs = made(ids, user)
    residual = scorer().score(inputs).residual
    found = attribution.attribute(
        inputs, residual, scorer().residual, signals_apart=apart, halves=halves
    )
    assert found is not None
    np.testing.assert_allclose(found.base + found.parts.sum(axis=1), residual, rtol=1e-6, atol=1e-9)
    assert len(found.players) == found.parts.shape[1]
    assert (np.ptp(found.base) if found.players else 0.0) < 1e-5  # the same for the whole list


@settings(deadline=None, max_examples=15)
@given(lists, st.randoms(use_true_random=False))
def test_permuting_the_candidates_permutes_the_parts(ids: list[str], random: object) -> None:
    inputs = made(ids)
    rows = np.arange(len(ids))
    random.shuffle(rows)  # type: ignore[attr-defined]
    by_item = ("signals", "item_vectors", "item_rows")
    moved = {name: a[rows] if name in by_item else a for name, a in inputs.items()}
    one, other = (
        attribution.attribute(it, scorer().residual(it), scorer().residual)
        for it in (inputs, moved)
    )
    assert one is not None
    assert other is not None
    assert one.players == other.players
    np.testing.assert_allclose(one.parts[rows], other.parts, rtol=1e-3, atol=1e-4)


def test_what_is_equal_for_the_whole_list_does_not_play() -> None:
    players = attribution.playing(made(list("abc"), user=None))
    assert SHOPPER not in players
    assert {"candidates", "season_sine"}.isdisjoint(players)
    assert {"bm25", QUERY, ITEM} <= set(players)
    assert SHOPPER in attribution.playing(made(list("abc")))


def linear(inputs: ModelInput) -> np.ndarray:
    signals = inputs["signals"]
    return np.asarray(
        2.0 * signals[:, column("bm25")]
        + 3.0 * signals[:, column("price")] * signals[:, column("bm25_rank")],
        dtype=np.float32,
    )


def exactly(value: Callable[[ModelInput], np.ndarray], inputs: ModelInput) -> np.ndarray:
    """Shapley values of bm25, price and bm25_rank by all orders [n, 3]."""
    names = ("bm25", "price", "bm25_rank")
    parts = np.zeros((len(inputs["signals"]), 3))
    orders = list(permutations(range(3)))
    for order in orders:
        there = attribution.absent(inputs)
        for player in order:
            before = value(there).astype(np.float64)
            at = column(names[player])
            there["signals"][:, at] = inputs["signals"][:, at]
            parts[:, player] += value(there) - before
    return parts / len(orders)


def test_the_parts_of_a_known_function_are_its_shapley_values() -> None:
    inputs = made(list("abcdef"))
    found = attribution.attribute(inputs, linear(inputs), linear, signals_apart=3, halves=0)
    assert found is not None
    assert set(found.players) >= {"bm25", "price", "bm25_rank", OTHERS}
    wanted = exactly(linear, inputs)
    for place, name in enumerate(("bm25", "price", "bm25_rank")):
        got = found.parts[:, found.players.index(name)]
        np.testing.assert_allclose(got, wanted[:, place], rtol=1e-4, atol=1e-4)
    for name in (OTHERS, QUERY, ITEM, SHOPPER):
        assert not found.parts[:, found.players.index(name)].any()


@pytest.mark.parametrize("passes", [0, 1, 20])
def test_without_time_for_both_ends_there_is_no_attribution(passes: int) -> None:
    inputs, left = made(list("abc")), iter([True] * passes)
    residual = scorer().residual(inputs)
    found = attribution.attribute(
        inputs, residual, scorer().residual, in_time=lambda: next(left, False)
    )
    assert found is None


def test_time_that_runs_out_in_the_middle_costs_halves_not_the_sum() -> None:
    inputs = made(list("abc"))
    residual, asked = scorer().residual(inputs), [0]

    def until(limit: int) -> Callable[[], bool]:
        asked[0] = 0

        def in_time() -> bool:
            asked[0] += 1
            return asked[0] <= limit

        return in_time

    attribution.attribute(inputs, residual, scorer().residual, in_time=until(10_000))
    found = attribution.attribute(inputs, residual, scorer().residual, in_time=until(asked[0] - 5))
    assert found is not None
    assert found.halves == attribution.HALVES - 1
    np.testing.assert_allclose(found.base + found.parts.sum(axis=1), residual, rtol=1e-6)


def test_the_history_is_looked_at_item_by_item() -> None:
    inputs = made(list("abc"))
    looks = scorer().history_attention(inputs)
    assert looks is not None
    assert looks.shape == (3, 1 + len(inputs["history_vectors"]))
    np.testing.assert_allclose(looks.sum(axis=1), 1.0, rtol=1e-5)
    nobody = scorer().history_attention(made(list("abc"), user=None))
    assert nobody is not None
    np.testing.assert_allclose(nobody, 1.0)
