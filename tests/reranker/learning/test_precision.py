"""Mixed precision: off on a processor unless asked for, and it learns where it is."""

from typing import Any

import pytest
import torch

from reranker.learning import precision
from tests.reranker.learning import one_fit

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_a_processor_trains_in_single_precision() -> None:
    assert precision.shortened("auto", CPU) is None
    assert not precision.scaler(None, CPU).is_enabled()


@pytest.mark.parametrize(("able", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_trains_in_the_best_format_it_has(
    monkeypatch: pytest.MonkeyPatch, able: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: able)
    assert precision.shortened("auto", GPU) is dtype
    assert precision.shortened("float32", GPU) is None


def test_only_half_precision_has_its_loss_scaled() -> None:
    assert precision.scaler(torch.float16, CPU).is_enabled()
    assert not precision.scaler(torch.bfloat16, CPU).is_enabled()


@pytest.mark.parametrize("asked", ["bfloat16", "float16"])
def test_short_products_learn_what_whole_ones_learn(asked: Any) -> None:
    whole = one_fit.fitted(one_fit.SCHEDULE)
    short = one_fit.fitted(one_fit.SCHEDULE.model_copy(update={"precision": asked}))
    assert short.losses != whole.losses  # it was another format
    # Half precision leaves out its first steps, until the scale of the loss fits: from there it
    # goes another way, and every rounding of the processor's shows.
    assert short.losses[0] == pytest.approx(whole.losses[0], rel=0.2)
    assert all(it.losses[-1] < 0.5 * it.losses[0] for it in (short, whole))
    assert max(short.held_out) > max(whole.held_out) - 0.1
    assert all(p.dtype is torch.float32 for p in short.network.parameters())


def test_the_device_is_the_gpu_of_the_local_rank_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert precision.device("auto", 1) == torch.device("cuda", 1)
    assert precision.device("cpu", 1) == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert precision.device("auto", 1) == CPU
