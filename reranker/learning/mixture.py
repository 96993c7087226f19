"""The network and LambdaMART's trees as one ranker.

Where they err on different lists, a mean of both is better than either (Li et al. 2019, Combining
Decision Trees and Neural Networks for Learning-to-Rank in Personal Search, doi
10.1145/3292500.3330676). Never are trees all of it: they see signals alone, not what a query, an
item and a shopper are. The mean is written as a sum, which is how an artifact serves: the network
with its share of what it says and less of the prior, and trees whose leaves are their share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from reranker.fusion.tree_arrays import SIGNALS
from reranker.learning import interpolation, linear, measure
from reranker.learning.dataset import NEVER_VARIED, ListSet
from reranker.learning.network import FusionNetwork

OPSET = 15
SHARES = (0.8, 0.6, 0.4, 0.2, 0.0)  # of the trees
# Where the held-out lists do not care: of forecasts that cannot be told apart an equal mean is hard
# to beat (Clemen 1989, Combining forecasts, doi 10.1016/0169-2070(89)90012-5).
USUAL_SHARE = 0.5
Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Mixture:
    """The trees' share, and their models as LightGBM writes them: the measured and the served."""

    share: float
    measured: bytes
    served: bytes


def chosen(
    network: Array, trees: Array, held_out: ListSet, models: tuple[bytes, bytes]
) -> Mixture | None:
    """The mixture of the scores of both [rows] of the held-out lists; None where it has no trees.

    The share is the best on these lists where that is ahead of the network alone beyond noise; else
    `USUAL_SHARE` where that is not behind it beyond noise. `models` are the trees as measured and
    as served.
    """
    values = measure.Yardstick(held_out).values
    share = interpolation.best_share(network, trees, values, SHARES)
    if not share and len(held_out) >= interpolation.LISTS_MIN:
        usual = values(mean(network, trees, USUAL_SHARE))
        share = 0.0 if linear.behind(usual, values(network)) else USUAL_SHARE
    return Mixture(share, *models) if share else None


def mean(network: Array, trees: Array, share: float) -> Array:
    """Scores of both as one [rows]."""
    return (1.0 - share) * network + share * trees


def networks(members: Sequence[FusionNetwork], mixture: Mixture | None) -> list[FusionNetwork]:
    """Copies whose residual, with the whole prior, makes up the networks' share of the mean."""
    copies = [interpolation.copied(network) for network in members]
    share = 0.0 if mixture is None else mixture.share
    for network in copies:
        with torch.no_grad():
            network.heads.weight.mul_(1.0 - share)
            network.heads.bias.mul_(1.0 - share)
            less = torch.from_numpy(share * _prior(network)).to(network.direct.weight.device)
            network.direct.weight.mul_(1.0 - share).sub_(less)
    return copies


def _prior(network: FusionNetwork) -> NDArray[np.float32]:
    """The prior over standardised signals, as lines [LINES * signals]."""
    scale = network.signal_scale.cpu().numpy()
    weights = np.where(scale < NEVER_VARIED, linear.prior_weights() * scale, 0.0)
    return linear.prior_lines(weights.astype(np.float32))


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
