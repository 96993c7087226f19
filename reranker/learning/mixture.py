"""The network and LambdaMART's trees as one ranker, where both are no worse than the better one.

They err on different lists, so their mean is better than either (Li et al. 2019, Combining Decision
Trees and Neural Networks for Learning-to-Rank in Personal Search, doi 10.1145/3292500.3330676).
The mean is written as a sum, which is how an artifact serves: the network with its share of what it
says and less of the prior, and trees whose leaves are their share.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from reranker.fusion.graph import SIGNALS
from reranker.learning import interpolation, linear
from reranker.learning.dataset import NEVER_VARIED
from reranker.learning.network import FusionNetwork

SHARES = (0.0, 0.25, 0.5, 0.75)
EVEN = 0.5
OPSET = 15
Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Mixture:
    """The trees' share, and their models as LightGBM writes them: the measured and the served."""

    share: float
    measured: bytes
    served: bytes


def best_share(network: Array, trees: Array, values: Callable[[Array], Array]) -> float:
    """The trees' share of the scores of both [rows], judged by `values` [lists].

    Of shares that are not behind the best by more than one standard error of the paired difference
    the most even one: what cannot be told apart on these lists is safest in equal parts. 0 where
    there are fewer than `interpolation.LISTS_MIN` lists.
    """
    found = {share: values(mean(network, trees, share)) for share in SHARES}
    best = max(found.values(), key=lambda it: float(it.mean()))
    if len(best) < interpolation.LISTS_MIN:
        return 0.0
    good = [share for share in SHARES if not linear.behind(found[share], best)]
    return min(good, key=lambda share: abs(share - EVEN))


def mean(network: Array, trees: Array, share: float) -> Array:
    """Scores of both as one [rows]."""
    return (1.0 - share) * network + share * trees


def networks(members: Sequence[FusionNetwork], mixture: Mixture | None) -> list[FusionNetwork]:
    """Copies whose residual, with the whole prior, makes up the networks' share of the mean."""
    copies = [interpolation.copied(network) for network in members]
    share = 0.0 if mixture is None else mixture.share
    for network in copies if share else []:
        with torch.no_grad():
            network.heads.weight.mul_(1.0 - share)
            network.heads.bias.mul_(1.0 - share)
            less = torch.from_numpy(share * _prior(network)).to(network.direct.weight.device)
            network.direct.weight.mul_(1.0 - share).sub_(less)
    return copies


def _prior(network: FusionNetwork) -> NDArray[np.float32]:
    """The prior over standardised signals, for strangers and for known shoppers [2 * signals]."""
    scale = network.signal_scale.cpu().numpy()
    weights = np.where(scale < NEVER_VARIED, linear.prior_weights() * scale, 0.0)
    return np.tile(weights.astype(np.float32), 2)


def graph(model: bytes, share: float) -> bytes:
    """The ONNX graph of a LightGBM model, its leaves times `share`: signals in, scores out."""
    import lightgbm
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    booster = lightgbm.Booster(model_str=model.decode())
    given = [(SIGNALS, FloatTensorType([None, booster.num_feature()]))]
    made = convert_lightgbm(booster, initial_types=given, target_opset=OPSET)
    for node in made.graph.node:
        for attribute in node.attribute:
            if attribute.name == "target_weights":
                scaled = np.array(attribute.floats, dtype=np.float32) * np.float32(share)
                attribute.floats[:] = scaled.tolist()
    content: bytes = made.SerializeToString()
    return content
