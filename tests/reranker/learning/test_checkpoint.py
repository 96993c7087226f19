"""An interrupted run goes on where it was, and only that very run does."""

import signal
import subprocess
import sys
from pathlib import Path

import torch

from indexer.catalogue.generation import Generation
from indexer.catalogue.mapping import IndexConfig
from indexer.embedding.encoder import open_encoder
from reranker.learning import checkpoint
from reranker.learning.checkpoint import Checkpoints
from reranker.learning.equipment import Equipment, Workshop
from reranker.learning.material import before
from reranker.learning.schedule import Schedule
from tests.reranker.learning import one_fit, shop


def start(folder: Path, *more: str) -> int:
    command = [sys.executable, "-m", "tests.reranker.learning.one_fit", str(folder), *more]
    return subprocess.run(command, timeout=300).returncode


def generation(index: str = "goods") -> Generation:
    return Generation(index, f"{index}-000001", IndexConfig(), open_encoder("hashed:12").recipe)


def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(tmp_path: Path) -> None:
    """Killed in its first epoch and, taken up, in its second; an epoch has 301 lists."""
    whole = one_fit.fitted(one_fit.SCHEDULE)
    for lists in ("290", "560"):
        assert start(tmp_path, lists) == -signal.SIGKILL
        assert not (tmp_path / "weights-0.pt").exists()
        assert (tmp_path / "work" / "fit.pt").exists()
    done: list[int] = []
    equipment = Equipment(checkpoints=Checkpoints(tmp_path / "work"))
    resumed = one_fit.fitted(one_fit.SCHEDULE, done.append, equipment)
    assert 301 < done[0] < 560
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, rtol=0, atol=0)
    assert resumed.losses == whole.losses
    assert resumed.held_out == whole.held_out


def test_a_run_that_is_taken_up_does_not_begin_again(tmp_path: Path) -> None:
    equipment = Equipment(checkpoints=Checkpoints(tmp_path))
    whole = one_fit.fitted(one_fit.SCHEDULE, equipment=equipment)
    steps: list[int] = []
    again = one_fit.fitted(one_fit.SCHEDULE, steps.append, equipment)
    assert steps == [3 * 301]  # all of it was done before
    assert again.held_out == whole.held_out


def test_a_checkpoint_of_other_lists_is_not_taken_up(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    one_fit.fitted(one_fit.SCHEDULE, equipment=Equipment(checkpoints=checkpoints))
    state = checkpoints.load("fit")
    assert state is not None
    checkpoints.save("fit", {**state, "lists": 300})
    steps: list[int] = []
    one_fit.fitted(one_fit.SCHEDULE, steps.append, Equipment(checkpoints=checkpoints))
    assert steps[0] == 0


def test_a_damaged_checkpoint_is_as_none(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save("fit", {"lists": 3})
    assert checkpoints.load("fit") == {"lists": 3}
    file = tmp_path / "fit.pt"
    file.write_bytes(file.read_bytes()[:100])
    assert checkpoints.load("fit") is None


def test_schedule_data_window_and_index_each_make_another_digest() -> None:
    read, plain = shop.material(), Schedule()
    earlier = before(read, read.events[-1].timestamp - shop.DAY)
    found = [
        checkpoint.digest(generation(), read, plain),
        checkpoint.digest(generation(), read, plain.model_copy(update={"dropout": 0.2})),
        checkpoint.digest(generation(), earlier, plain),
        checkpoint.digest(generation("others"), read, plain),
    ]
    assert len(set(found)) == len(found)
    assert checkpoint.digest(generation(), shop.material(), Schedule()) == found[0]


def test_a_finished_run_leaves_its_curves_and_no_checkpoint(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, "tensorboard")
    equipment = workshop.equip("goods", generation(), shop.material(), Schedule(), "v1")
    assert equipment.checkpoints is not None
    equipment.checkpoints.save("member_0", {"lists": 3})
    assert list((tmp_path / "work" / "goods").glob("*/member_0.pt"))
    equipment.finished({"mrr": 0.5})
    assert not list((tmp_path / "work" / "goods").iterdir())
    assert list((tmp_path / "runs" / "goods" / "v1").glob("events.out.tfevents.*"))
