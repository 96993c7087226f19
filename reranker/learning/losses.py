"""Listwise losses over padded batches; torch.

Scores and labels are [B, n]; mask [B, n] is True where there is a candidate. Padding changes no
value, and a list without a positive label counts nothing. All return the mean over counted lists.
A label above one is a weighted one: it raises what its list counts, in proportion.
"""

from collections.abc import Callable

import torch
from torch import Tensor

PADDED = -1e9
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def softmax_cross_entropy(scores: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of the softmax over the list with the labels' shares.

    ListNet with top-one probabilities (Cao et al. 2007, Learning to Rank: From Pairwise Approach
    to Listwise Approach), labels normalised by their sum rather than by a softmax.
    """
    labels = labels * mask
    total = labels.clamp(max=1.0).sum(dim=1)
    log_share = torch.log_softmax(scores.masked_fill(~mask, PADDED), dim=1)
    per_list = -(labels * log_share.masked_fill(~mask, 0.0)).sum(dim=1) / total.clamp(min=1e-6)
    return _mean(per_list, total > 0)


def lambda_loss(scores: Tensor, labels: Tensor, mask: Tensor, sigma: float = 1.0) -> Tensor:
    """NDCG-Loss2++ of LambdaLoss (Wang et al. 2018, The LambdaLoss Framework), weight mu = 10."""
    mu = 10.0
    order = scores.masked_fill(~mask, PADDED).argsort(dim=1, descending=True)
    ranked, gains, there = (x.gather(1, order) for x in (scores, labels * mask, mask))
    ideal = _ideal_dcg(gains)
    gains = _gain(gains) * there / ideal.clamp(min=1e-6)[:, None]
    place = torch.arange(scores.shape[1], device=scores.device, dtype=scores.dtype)
    discount = torch.log2(place + 2)
    gain_gap = (gains[:, :, None] - gains[:, None, :]).abs()
    rho = (1 / discount[:, None] - 1 / discount[None, :]).abs()
    distance = (place[:, None] - place[None, :]).abs()
    near = 1 / torch.log2(distance.clamp(min=1) + 1) - 1 / torch.log2(distance + 2)
    delta = torch.where(distance > 0, near.abs(), torch.zeros_like(near))
    pairs = (gains[:, :, None] > gains[:, None, :]) & there[:, :, None] & there[:, None, :]
    difference = (ranked[:, :, None] - ranked[:, None, :]).clamp(-50, 50)
    log_odds = torch.nn.functional.logsigmoid(sigma * difference)
    weight = (rho + mu * delta) * gain_gap
    per_list = -(weight * log_odds * pairs).sum(dim=(1, 2))
    return _mean(per_list, ideal > 0)


def neural_ndcg(scores: Tensor, labels: Tensor, mask: Tensor, temperature: float = 1.0) -> Tensor:
    """Minus NeuralNDCG (Pobrotyn and Białobrzeski 2021), sorting relaxed by NeuralSort
    (Grover et al. 2019, Stochastic Optimization of Sorting Networks via Continuous Relaxations).
    """
    labels = labels * mask
    sorting = _neural_sort(scores, mask, temperature)  # [B, place, n]
    gains = _gain(labels) * mask
    place = torch.arange(scores.shape[1], device=scores.device, dtype=scores.dtype)
    gained = (sorting @ gains[:, :, None]).squeeze(-1) / torch.log2(place + 2)
    ideal = _ideal_dcg(labels)
    return _mean(-(gained * mask_places(mask)).sum(dim=1) / ideal.clamp(min=1e-6), ideal > 0)


def mask_places(mask: Tensor) -> Tensor:
    """The first k places of each list, k the number of its candidates [B, n]."""
    places = torch.arange(mask.shape[1], device=mask.device)
    return places[None, :] < mask.sum(dim=1, keepdim=True)


def _neural_sort(scores: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """Rows are relaxed one-hot: which candidate stands at each place [B, n, n]."""
    present = mask.to(scores.dtype)
    count = present.sum(dim=1)
    gaps = (scores[:, :, None] - scores[:, None, :]).abs() * present[:, None, :]
    spread = gaps.sum(dim=2)  # [B, n]
    place = torch.arange(scores.shape[1], device=scores.device, dtype=scores.dtype)
    scaling = count[:, None] - 1 - 2 * place[None, :]  # [B, place]
    logits = scaling[:, :, None] * scores[:, None, :] - spread[:, None, :]
    return torch.softmax((logits / temperature).masked_fill(~mask[:, None, :], PADDED), dim=2)


def _gain(labels: Tensor) -> Tensor:
    """2^label - 1 up to one; above it, the weight itself."""
    return torch.where(labels > 1, labels, torch.exp2(labels.clamp(max=1.0)) - 1)


def _ideal_dcg(labels: Tensor) -> Tensor:
    """DCG of the best order, as if no label were weighted [B]."""
    best = labels.clamp(max=1.0).sort(dim=1, descending=True).values
    place = torch.arange(labels.shape[1], device=labels.device, dtype=labels.dtype)
    return ((torch.exp2(best) - 1) / torch.log2(place + 2)).sum(dim=1)


def _mean(per_list: Tensor, counted: Tensor) -> Tensor:
    return (per_list * counted).sum() / counted.sum().clamp(min=1)


LOSSES: dict[str, Loss] = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "lambda_loss": lambda_loss,
    "neural_ndcg": neural_ndcg,
}
