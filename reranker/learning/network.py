"""The attention fusion network, readable top to bottom; torch, so nothing that serves imports it.

For each candidate: tokens for query, item, shopper and each family of signals; attention over the
tokens says how much each counts (kept for explanation); a transformer over the list lets the
candidates see each other; heads for click, cart and purchase. All heads start at zero, so an
untrained network adds nothing to the prior.

Shapes: B lists, n candidates, h history items, W width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reranker.fusion import line
from reranker.fusion.line import WELL_KNOWN_ITEMS

HEADS = ("click", "cart", "purchase")
# As a logit, nothing beside any other, in half precision too.
MASKED = -3e4


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the network. `families` lists the signal columns of each family token."""

    families: tuple[tuple[int, ...], ...]
    signals: int
    dims: int
    rows: int
    history_features: int
    text_width: int = 96
    width: int = 64
    gate_width: int = 16
    layers: int = 2
    attention_heads: int = 4
    dropout: float = 0.1
    # Columns of log counts: the shopper's items, and purchases of the very item.
    shopper_items: int = line.ITEMS
    own_purchases: int = line.BOUGHT

    @property
    def tokens(self) -> int:
        """Tokens of one candidate: query, item, shopper, then the families."""
        return 3 + len(self.families)


@dataclass
class Lists:
    """A batch of lists; masks are True where there is something."""

    signals: Tensor  # [B, n, signals]
    query_vector: Tensor  # [B, dims]
    item_vectors: Tensor  # [B, n, dims]
    item_rows: Tensor  # [B, n, rows]
    history_vectors: Tensor  # [B, h, dims]
    history_rows: Tensor  # [B, h, rows]
    history_features: Tensor  # [B, h, history_features]
    item_mask: Tensor  # [B, n] bool
    history_mask: Tensor  # [B, h] bool

    def tensors(self) -> tuple[Tensor, ...]:
        """The fields in the order `FusionNetwork.forward` takes them."""
        return (
            self.signals,
            self.query_vector,
            self.item_vectors,
            self.item_rows,
            self.history_vectors,
            self.history_rows,
            self.history_features,
            self.item_mask,
            self.history_mask,
        )


class FusionNetwork(nn.Module):
    """Residual scores of three heads, and the attention over tokens."""

    signal_mean: Tensor
    signal_scale: Tensor
    text_basis: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.register_buffer("signal_mean", torch.zeros(config.signals))
        self.register_buffer("signal_scale", torch.ones(config.signals))
        # Fixed: the main directions of the goods' text vectors. Training turns all vectors once.
        self.register_buffer("text_basis", torch.zeros(config.dims, config.text_width))
        self.text = nn.Linear(config.text_width, width)
        self.taste = nn.Linear(config.rows, width, bias=False)
        self.touched = nn.Linear(config.history_features, width)
        self.nobody = nn.Parameter(torch.zeros(1, 1, width))
        self.family = nn.ModuleList(nn.Linear(len(c), width) for c in config.families)
        self.token_norm = nn.LayerNorm(width)
        self.token_gate = nn.Sequential(
            nn.Linear(width, config.gate_width), nn.Tanh(), nn.Linear(config.gate_width, 1)
        )
        self.token_value = nn.Linear(width, width)
        self.token_kind = nn.Parameter(torch.randn(config.tokens, width) * 0.1)
        self.wide = nn.Sequential(
            nn.Linear(config.signals, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.blocks = nn.ModuleList(
            ListBlock(width, config.attention_heads, config.dropout) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        # Lines for shoppers of whom nothing is known, for known ones, and for what they bought.
        self.direct = nn.Linear(line.LINES * config.signals, len(HEADS), bias=False)
        nn.init.zeros_(self.direct.weight)
        self.heads = nn.Linear(width, len(HEADS))
        nn.init.zeros_(self.heads.weight)
        nn.init.zeros_(self.heads.bias)

    def forward(
        self,
        signals: Tensor,
        query_vector: Tensor,
        item_vectors: Tensor,
        item_rows: Tensor,
        history_vectors: Tensor,
        history_rows: Tensor,
        history_features: Tensor,
        item_mask: Tensor,
        history_mask: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Heads [B, n, 3] and attention over tokens [B, n, tokens]."""
        scaled = (signals - self.signal_mean) / self.signal_scale  # [B, n, signals]
        item = self.item(item_vectors, item_rows)
        query = self.read(query_vector)[:, None].expand_as(item)  # [B, n, W]
        past = self.past(history_vectors, history_rows, history_features)
        shopper = self.shopper(item, past, history_mask)
        own = torch.stack([query, item, shopper], dim=2)
        tokens = torch.cat([own, self.families(scaled)], dim=2)  # [B, n, T, W]
        tokens = self.token_norm(tokens + self.token_kind)
        attention = torch.softmax(self.token_gate(tokens).squeeze(-1), dim=-1)  # [B, n, T]
        fused = self.token_value((attention[..., None] * tokens).sum(dim=2))  # [B, n, W]
        state = fused + self.wide(scaled)
        for block in self.blocks:
            state = block(state, item_mask)
        # The norm forgets how much of a thing there is; the signals say it once more.
        stranger, known, bought = self.shares(signals)
        parts = [scaled * stranger, scaled * known, signals / self.signal_scale * bought]
        again = torch.cat(parts, dim=-1)
        return self.heads(self.norm(state)) + self.direct(again), attention

    def shares(self, signals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """How much each line counts [B, n, 1], as `line.shares` says."""
        items, bought = self.config.shopper_items, self.config.own_purchases
        count = torch.exp(signals[..., items : items + 1]) - 1.0
        known = torch.clamp(count / WELL_KNOWN_ITEMS, 0.0, 1.0)
        return 1.0 - known, known, (signals[..., bought : bought + 1] > 0.0).to(signals.dtype)

    def item(self, vectors: Tensor, rows: Tensor) -> Tensor:
        """What an item is, by its text and by who buys it [..., W]."""
        token: Tensor = self.read(vectors) + self.taste(rows)
        return token

    def read(self, vectors: Tensor) -> Tensor:
        """Text vectors [..., dims], or turned ones [..., text_width], as tokens [..., W]."""
        if vectors.shape[-1] == self.config.dims:
            vectors = vectors @ self.text_basis
        token: Tensor = self.text(vectors)
        return token

    def families(self, scaled: Tensor) -> Tensor:
        """A token for each family of signals [B, n, families, W]."""
        columns = zip(self.family, self.config.families, strict=True)
        return torch.stack([layer(scaled[..., list(c)]) for layer, c in columns], dim=2)

    def shopper(self, item: Tensor, past: Tensor, history_mask: Tensor) -> Tensor:
        """Target attention: what the history says when looked at from each item [B, n, W]."""
        keys = self.keys(past)
        return self.looks(item, keys, history_mask) @ keys

    def past(self, vectors: Tensor, rows: Tensor, features: Tensor) -> Tensor:
        """Tokens of the history items [B, h, W]."""
        tokens: Tensor = self.item(vectors, rows) + self.touched(features)
        return tokens

    def keys(self, past: Tensor) -> Tensor:
        """What an item looks at: nobody in particular, then the history items [B, 1 + h, W]."""
        return torch.cat([self.nobody.expand_as(past[:, :1]), past], dim=1)

    def looks(self, item: Tensor, keys: Tensor, history_mask: Tensor) -> Tensor:
        """How much each item looks at each key [B, n, 1 + h]; sums to 1 an item."""
        mask = torch.cat([torch.ones_like(history_mask[:, :1]), history_mask], dim=1)
        logits = item @ keys.transpose(1, 2) / self.config.width**0.5  # [B, n, 1 + h]
        weights: Tensor = torch.softmax(logits.masked_fill(~mask[:, None], MASKED), dim=-1)
        return weights

    def history_attention(
        self,
        item_vectors: Tensor,
        item_rows: Tensor,
        history_vectors: Tensor,
        history_rows: Tensor,
        history_features: Tensor,
        history_mask: Tensor,
    ) -> Tensor:
        """The weights that `forward` looks at the history with, for explanations [B, n, 1 + h]."""
        item = self.item(item_vectors, item_rows)
        past = self.past(history_vectors, history_rows, history_features)
        return self.looks(item, self.keys(past), history_mask)


class ListBlock(nn.Module):
    """A pre-norm transformer block over the candidates of a list; no positions."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.norm_1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_2 = nn.LayerNorm(width)
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, state: Tensor, mask: Tensor) -> Tensor:
        """State [B, n, W] after candidates attended to those of the mask [B, n]."""
        (batch, count, _), each = state.shape, self.width // self.heads
        qkv = self.qkv(self.norm_1(state)).view(batch, count, 3 * self.heads, each).transpose(1, 2)
        query, key, value = qkv.split(self.heads, dim=1)  # [B, heads, n, W / heads]
        logits = query @ key.transpose(-2, -1) / each**0.5
        weights = torch.softmax(logits.masked_fill(~mask[:, None, None], MASKED), dim=-1)
        mixed = (weights @ value).transpose(1, 2).reshape(batch, count, self.width)
        state = state + self.dropout(self.out(mixed))
        fed: Tensor = self.dropout(self.feed(self.norm_2(state)))
        return state + fed
