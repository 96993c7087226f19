"""Training over two processes is training: equal weights at both, those of one process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reranker.learning.distributed import Ranks
from tests.reranker.learning import one_fit


def test_two_processes_agree_with_each_other_and_with_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node=2", "-m", "tests.reranker.learning.one_fit", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"weights-{r}.pt", weights_only=True) for r in (0, 1))
    plain = one_fit.SCHEDULE.model_copy(update={"dropout": 0.0})
    alone = one_fit.fitted(plain)
    assert first["losses"] == second["losses"]
    # Adam makes steps of one size of small gradients too, so other sums of them drift apart.
    np.testing.assert_allclose(first["losses"][:1], alone.losses[:1], rtol=1e-5)
    np.testing.assert_allclose(first["losses"], alone.losses, rtol=5e-3)
    best = int(np.argmax(first["held_out"]))
    assert best == len(first["held_out"]) - 1  # the follower keeps no best epoch: both are the last
    assert first["held_out"] == pytest.approx(alone.held_out, abs=0.01)
    for name in alone.network.state_dict():
        torch.testing.assert_close(first["weights"][name], second["weights"][name], rtol=0, atol=0)
    assert first["losses"][-1] < 0.8 * first["losses"][0]
    assert first["held_out"][-1] > first["held_out"][0]


@given(st.integers(1, 40), st.integers(1, 8))
def test_the_parts_of_a_batch_are_the_batch_and_weigh_as_it_does(lists: int, size: int) -> None:
    values = np.random.default_rng(lists).normal(size=lists)
    parts = [Ranks(rank, size).part(np.arange(lists)) for rank in range(size)]
    counted = np.concatenate([own for own, weight in parts if weight])
    assert sorted(counted.tolist()) == list(range(lists))
    averaged = np.mean([weight * values[own].mean() for own, weight in parts])
    np.testing.assert_allclose(averaged, values.mean(), rtol=1e-9, atol=1e-12)


def test_one_process_needs_no_group() -> None:
    alone = Ranks()
    assert alone.leads
    assert alone.share("told") == "told"
    assert alone.gather(3) == [3]
    module = torch.nn.Linear(2, 2)
    assert alone.joined(module) is module
