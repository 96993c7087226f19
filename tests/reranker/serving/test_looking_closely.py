"""Which candidates the network looks at closely, and where the others go."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reranker.fusion import artifact
from reranker.fusion.scorer import Scorer
from reranker.serving import scoring
from reranker.signals import build
from tests.reranker.fusion.artifacts import linear_network, write_networks
from tests.reranker.signals.situations import purchase, situation

IDS = ["a", "b", "c", "d", "e"]


@pytest.fixture
def scorer(tmp_path: Path) -> Scorer:
    network = linear_network()
    torch.nn.init.normal_(network.heads.weight)
    return Scorer(artifact.load(write_networks(tmp_path / "a", [network], keep=True)))


def inputs_of(scorer: Scorer) -> build.ModelInput:
    found = situation(IDS, [purchase("a", 3), purchase("z", 9)], user="u")
    return build.assemble(replace(found, item_table=scorer.item_table))


def test_the_network_looks_at_the_best_by_its_line_and_the_others_follow_in_that_order(
    scorer: Scorer,
) -> None:
    inputs, both = inputs_of(scorer), np.linspace(0.03, 0.01, 8).astype(np.float32)
    rows = np.array([6, 1, 3, 7, 0])  # of a longer list
    first = scorer.first(inputs)
    assert first is not None
    falling = rows[np.argsort(-first)]
    by_line, seen, shown = scoring._closely(scorer, 2, both, rows, inputs)
    assert seen.tolist() == falling[:2].tolist()
    best = np.argsort(-first)[:2]
    np.testing.assert_array_equal(shown["signals"], inputs["signals"][best])
    np.testing.assert_array_equal(shown["item_vectors"], inputs["item_vectors"][best])
    np.testing.assert_array_equal(shown["item_rows"], inputs["item_rows"][best])
    assert shown["history_vectors"] is inputs["history_vectors"]
    placed = scoring._placed(by_line, seen, np.array([-5.0, -4.0], dtype=np.float32))
    among = [row for row in np.argsort(-placed).tolist() if row in rows]
    assert among == [falling[1], falling[0], *falling[2:]]


def test_a_list_that_is_short_enough_is_looked_at_whole(scorer: Scorer) -> None:
    inputs, both, rows = inputs_of(scorer), np.ones(5, dtype=np.float32), np.arange(5)
    found = scoring._closely(scorer, 5, both, rows, inputs)
    assert (found[0] is both, found[1] is rows, found[2] is inputs) == (True, True, True)
