"""Curves of a run: TensorBoard by default, Weights & Biases only where asked and installed."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from indexer.errors import InvalidSettings
from indexer.settings import Settings
from reranker.learning import tracking
from reranker.learning.equipment import Equipment
from tests.reranker.learning import one_fit


def test_tensorboard_is_the_default() -> None:
    assert Settings.model_fields["tracking"].default == "tensorboard"


def test_event_files_hold_losses_learning_rate_and_held_out_mrr(tmp_path: Path) -> None:
    tracker = tracking.open_tracker("tensorboard", tmp_path / "run", "goods/v1", {})
    assert not (tmp_path / "run").exists()  # nothing before the first number
    fitted = one_fit.fitted(one_fit.SCHEDULE, equipment=Equipment(tracker=tracker))
    tracker.close()
    read = EventAccumulator(str(tmp_path / "run")).Reload()
    names = set(read.Tags()["scalars"])
    assert {"fit/loss", "fit/learning_rate", "fit/epoch_loss", "fit/held_out_mrr"} <= names
    told = [event.value for event in read.Scalars("fit/held_out_mrr")]
    assert told == pytest.approx(fitted.held_out)
    rates = [event.value for event in read.Scalars("fit/learning_rate")]
    assert max(rates) <= 5e-3 + 1e-9
    assert rates[-1] < 0.1 * max(rates)


@pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="wandb is installed")
@pytest.mark.parametrize("asked", ["wandb", "both"])
def test_what_is_asked_for_and_not_there_is_said_with_its_package(asked: Any) -> None:
    with pytest.raises(InvalidSettings, match="pip install wandb"):
        tracking.check(asked)


def test_weights_and_biases_gets_the_numbers_with_their_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    run = SimpleNamespace(
        define_metric=lambda *a, **k: None, log=told.append, finish=lambda: told.append("end")
    )
    begun: dict[str, Any] = {}
    module = SimpleNamespace(init=lambda **said: begun.update(said) or run)
    monkeypatch.setitem(sys.modules, "wandb", module)
    tracker = tracking.WeightsAndBiases("goods/v1", tmp_path / "w", {"epochs": 2})
    assert not begun
    tracker.scalar("member_0/loss", 0.5, 10)
    tracker.close()
    assert begun["project"] == "hitweave"
    assert begun["config"] == {"epochs": 2}
    assert told == [{"member_0/loss": 0.5, "step": 10}, "end"]


def test_no_tracker_is_imported_unless_it_is_used() -> None:
    code = (
        "import sys\n"
        "from reranker.learning import tracking, launch\n"
        "from pathlib import Path\n"
        "tracking.open_tracker('off', Path('/nowhere'), 'n', {}).scalar('a', 1.0, 1)\n"
        "assert not {'wandb', 'tensorboard', 'optuna'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
