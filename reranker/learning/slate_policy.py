"""A policy over slates: what it adds to the score of each candidate; torch, nothing serves it.

Candidates are known by their signals, standardised within the list as the adaptive layer has them.
What is added is bounded, and zero before any training: an untrained policy shows what it would be
shown without it. As a policy, a slate is drawn without repeats by the scores over `TEMPERATURE`.
"""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from indexer.behaviour.adaptive import SPREAD_FLOOR, SPREAD_MIN
from reranker.learning.export import OPSET

BOUND = 3.0  # log odds, as of the adaptive layer
TEMPERATURE = 0.5
HIDDEN = 32
HEAD = "policy"


class SlatePolicy(nn.Module):
    """Signals [B, n, signals] to what is added [B, n]."""

    def __init__(self, signals: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.inner = nn.Linear(signals, hidden)
        self.outer = nn.Linear(hidden, 1, bias=False)
        nn.init.zeros_(self.outer.weight)

    def forward(self, signals: Tensor) -> Tensor:
        """What is added, at most BOUND either way."""
        mean = signals.mean(dim=1, keepdim=True)
        spread = (signals - mean).square().mean(dim=1, keepdim=True).sqrt()
        scaled = torch.where(spread > SPREAD_MIN, (signals - mean) / (spread + SPREAD_FLOOR), 0.0)
        found: Tensor = self.outer(torch.relu(self.inner(scaled))).squeeze(-1)
        return BOUND * torch.tanh(found / BOUND)


class _AsModel(nn.Module):
    """The policy with the outputs of a model: one head, all attention on one token."""

    def __init__(self, policy: SlatePolicy) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, signals: Tensor) -> tuple[Tensor, Tensor]:
        added = self.policy(signals).unsqueeze(-1)
        return added, torch.ones_like(added)


def to_onnx(policy: SlatePolicy) -> bytes:
    """The graph that serves: `signals` in, `heads` [lists, items, 1] and `attention` out."""
    sizes = {name: {0: "lists", 1: "items"} for name in ("signals", "heads", "attention")}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        path = Path(folder) / "policy.onnx"
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            _AsModel(policy).eval(),
            (torch.randn(1, 5, policy.inner.in_features),),
            path,
            input_names=["signals"],
            output_names=["heads", "attention"],
            dynamic_axes=sizes,
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()


def added(policy: SlatePolicy, signals: NDArray[np.float32]) -> NDArray[np.float64]:
    """What it adds to lists of signals [B, n, signals], as numbers [B, n]."""
    with torch.no_grad():
        found: NDArray[np.float64] = policy(torch.from_numpy(signals)).numpy().astype(np.float64)
        return found
