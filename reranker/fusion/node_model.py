"""The model that the plugin evaluates inside the node, where no sidecar is; pure.

It is the served network, before any rounding to int8, with the trees beside it, for a shopper of
whom nothing is known and a search text that nobody asked before: those signals stand at their
defaults, which are what a list without them has in the sidecar too. What is known of the items
(catalogue, popularity, vectors) is that of the moment of the export, item by item; the plugin adds
what the list itself tells. So `Scorer` over `assemble` of such a situation gives the same scores.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour import popularity
from indexer.behaviour.popularity import PURCHASE
from indexer.catalogue import card
from indexer.errors import InvalidArtifact
from reranker.fusion import artifact, node_file, tree_arrays
from reranker.fusion.artifact import Artifact
from reranker.fusion.baseline import PriorWeights
from reranker.fusion.weights import Weights, unpacked
from reranker.retrieval.candidates import Candidates
from reranker.signals import build, definition, drift
from reranker.signals.behaviour import DAY_7, DAY_30, DAY_120
from reranker.signals.item_table import ItemTable
from reranker.signals.situation import Situation

Array = NDArray[np.float32]
# What an item has whatever list it is in; all else the plugin computes or leaves at its default.
OWN = (
    *("title_words", "price", "available", "catalogue_popularity", "days_updated", "card"),
    *("purchases_1d", "purchases_7d", "purchases_30d", "purchases_120d", "purchases"),
    *("views_30d", "carts_30d", "buyers", "loyalty", "trend_7d", "trend_30d"),
    *("days_since_sale", "days_known"),
)
PAGE = 4096
_KEPT = (
    *("nobody", "family", "token_norm", "token_gate", "token_value", "token_kind"),
    *("wide", "blocks", "norm", "signal_mean", "signal_scale"),
)
_TOKENS_BEFORE_FAMILIES = 3


def stock(
    ids: Sequence[str],
    cards: NDArray[Any],
    present: NDArray[np.bool_],
    counts: Sequence[bytes | None],
    *,
    dims: int,
    now: float,
    table: ItemTable | None,
) -> Situation:
    """All items as one list, and last an item of which nothing is known.

    `cards` [items] are records, `counts` packed `popularity`; windows count back from `now`.
    """
    unknown, absent = card.unpack_many([None], dims)
    nowhere = np.full(len(ids) + 1, np.nan, dtype=np.float32)
    return Situation(
        candidates=Candidates([*ids, ""], nowhere, nowhere, nowhere, nowhere),
        query_vector=None,
        cards=np.concatenate([cards, unknown]),
        cards_present=np.concatenate([present, absent]),
        popularity=popularity.unpack_many([*counts, None], now),
        now=now,
        item_table=table,
    )


def packed(loaded: Artifact, items: Situation, *, concrete: str, made_at: str) -> bytes:
    """The plugin's file of an artifact and of the items of `stock`; raises InvalidArtifact.

    It ranks hits of the index `concrete`, and of any generation of the manifest's index.
    """
    manifest = loaded.manifest
    content = artifact.optional(loaded.folder, manifest).get(artifact.NETWORK)
    heads = manifest.config.get("attention_heads")
    if content is None or heads is None:
        raise InvalidArtifact(
            f"{loaded.folder} does not hold the weights of its network: train again, then export"
        )
    networks = unpacked(content)
    arrays = {**_of_signals(loaded, items), **_of_items(items, networks)}
    weight = np.array(list(manifest.head_weights.values()), dtype=np.float32)
    for number, network in enumerate(networks):
        arrays |= {f"{number}/{name}": it for name, it in _of_network(network, weight)}
    if loaded.trees is not None:
        trees = tree_arrays.flattened(loaded.trees)
        arrays |= {f"trees.{name}": it for name, it in trees.items()}
    facts = {
        "index": manifest.index,
        "concrete": concrete,
        "version": manifest.version,
        "made_at": made_at,
        "items": len(items.items) - 1,
        "dims": manifest.dims,
        "members": len(networks),
        "attention_heads": int(heads),
        "signals": definition.NAMES,
        "own": OWN,
        "families": [definition.columns(name) for name in _families(manifest.tokens)],
    }
    return node_file.packed(facts, arrays)


def _families(tokens: Sequence[str]) -> list[definition.Family]:
    named = tokens[_TOKENS_BEFORE_FAMILIES:]
    return [name for name in definition.FAMILIES if name in named]


def _of_signals(loaded: Artifact, items: Situation) -> dict[str, NDArray[Any]]:
    """Ranges, the row [signals] of a list of nothing known, and what the network is shown."""
    held = drift.constants(loaded.manifest.reference)
    shown = np.array([held.get(name, np.nan) for name in definition.NAMES], dtype=np.float32)
    nothing = stock(
        [],
        items.cards[:0],
        items.cards_present[:0],
        [],
        dims=items.vectors.shape[1],
        now=items.now,
        table=items.item_table,
    )
    prior = PriorWeights.read(loaded.manifest.prior_weights)
    return {
        "low": np.array([it.low for it in definition.SIGNALS], dtype=np.float32),
        "high": np.array([it.high for it in definition.SIGNALS], dtype=np.float32),
        "default": np.array([it.default for it in definition.SIGNALS], dtype=np.float32),
        "base": build.assemble(nothing)["signals"][0],
        "held": shown,
        "prior": np.array([prior.keyword, prior.cosine, prior.covered], dtype=np.float32),
    }


def _of_items(items: Situation, networks: Sequence[Weights]) -> dict[str, NDArray[Any]]:
    """Columns of all items by their keys, and last those of an unknown one [items + 1, ...]."""
    keys = np.array([key(name) for name in items.candidates.ids[:-1]], dtype=np.int64)
    order = np.argsort(keys)
    rows = np.append(order, len(keys))
    columns = build.columns(items)
    bought = items.popularity.decayed[:, PURCHASE]
    ranked = [items.cards["popularity"], *(bought[:, day] for day in (DAY_7, DAY_30, DAY_120))]
    return {
        "keys": keys[order],
        "own": np.stack([columns[name] for name in OWN], axis=1)[rows],
        "ranked": np.stack(ranked, axis=1).astype(np.float32)[rows],
        "words": items.cards["title_words"][rows],
        "scale": items.cards["scale"][rows],
        "vectors": items.cards["vector"][rows],
        "tokens": np.concatenate([*_tokens(items, networks)])[rows],
    }


def key(item_id: str) -> int:
    """Eight bytes of an id's SHA-256, which Java has; no clash within a shop is to be expected."""
    return int.from_bytes(hashlib.sha256(item_id.encode()).digest()[:8], "big", signed=True)


def _tokens(items: Situation, networks: Sequence[Weights]) -> Iterator[Array]:
    """What each network reads an item as, `FusionNetwork.item` [page, networks * width]."""
    for first in range(0, len(items.items), PAGE):
        vectors = items.vectors[first : first + PAGE]
        read = []
        for network in networks:
            text = vectors @ network["text_basis"] @ network["text.weight"].T + network["text.bias"]
            if items.item_table is not None:
                found = items.item_table.lookup(items.items[first : first + PAGE], vectors)
                text = text + found @ network["taste.weight"].T
            read.append(text)
        yield np.concatenate(read, axis=1).astype(np.float32)


def _of_network(network: Weights, heads: Array) -> Iterator[tuple[str, Array]]:
    """The weights that a list without a history needs; products of constants are worked out."""
    for name, value in network.items():
        if name.partition(".")[0] in _KEPT:
            yield name, np.asarray(value, dtype=np.float32)
    of_strangers = network["direct.weight"][:, : len(definition.NAMES)]
    found: Mapping[str, Array] = {
        "query.weight": network["text.weight"] @ network["text_basis"].T,
        "query.bias": network["text.bias"],
        "head.weight": heads @ network["heads.weight"],
        "head.bias": np.atleast_1d(heads @ network["heads.bias"]),
        "direct.weight": heads @ of_strangers,
    }
    yield from ((name, value.astype(np.float32)) for name, value in found.items())
