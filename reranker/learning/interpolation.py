"""How much of what a network learned is kept; torch.

Behaviour drifts: what fits the days before the cut best is often not what holds after it. Going
back part of the way towards the start is the cheapest cure that is known (WiSE-FT: Wortsman et al.
2022, Robust Fine-Tuning of Zero-Shot Models, arXiv 2109.01903). The start is the linear ranker, so
the share chosen says how much the network is worth beyond it.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reranker.learning.network import FusionNetwork

SHARES = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
LISTS_MIN = 50  # of fewer a standard error says little
STANDARD_ERRORS = 2.0  # about the 5 % level, as at the gate
Array = NDArray[np.floating]


def best_share(
    start: Array,
    end: Array,
    values: Callable[[Array], Array],
    shares: Sequence[float] = SHARES,
) -> float:
    """The one of `shares` (falling, to 0) of the way from scores `start` to `end` [rows] with the
    highest mean of `values` [lists]; of equal ones the largest.

    0 where even that one is not ahead of the start by `STANDARD_ERRORS` of the paired difference,
    or there are fewer than `LISTS_MIN` lists: of models that cannot be told apart the simplest
    (Breiman et al. 1984, Classification and Regression Trees, section 3.4.3, who ask for one; of
    the same shop's data one let a network through in one training of three, which then did harm).
    """
    found = {share: values(start + share * (end - start)) for share in shares}
    best = max(shares, key=lambda share: float(found[share].mean()))
    gained = found[best] - found[0.0]
    noise = gained.std() / np.sqrt(len(gained))
    ahead = gained.mean() > STANDARD_ERRORS * noise
    return best if len(gained) >= LISTS_MIN and ahead else 0.0


def start_of(network: FusionNetwork, direct: NDArray[np.float32]) -> FusionNetwork:
    """A copy that says no more than the linear ranker `direct` [heads, signals]."""
    copy = copied(network)
    go_back(copy, direct, 0.0)
    return copy


def go_back(network: FusionNetwork, direct: NDArray[np.float32], share: float) -> None:
    """Keep `share` of what the outputs have beyond the linear ranker `direct`: exact, in place."""
    with torch.no_grad():
        network.heads.weight.mul_(share)
        network.heads.bias.mul_(share)
        begun = torch.from_numpy(direct).to(network.direct.weight.device)
        network.direct.weight.copy_(begun + share * (network.direct.weight - begun))


def go_back_to(network: FusionNetwork, start: FusionNetwork, share: float) -> None:
    """Keep `share` of the way that each weight went from `start`, in place."""
    with torch.no_grad():
        begun: dict[str, Tensor] = dict(start.named_parameters())
        for name, weight in network.named_parameters():
            weight.copy_(begun[name] + share * (weight - begun[name]))


def copied(network: FusionNetwork) -> FusionNetwork:
    """The same network again."""
    copy = FusionNetwork(network.config).to(network.direct.weight.device)
    copy.load_state_dict(network.state_dict())
    return copy
