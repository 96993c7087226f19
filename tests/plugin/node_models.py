"""A model file of a made-up shop, and lists of it with the scores of the sidecar's own scorer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from indexer.behaviour import popularity, state
from indexer.catalogue import card
from indexer.identity import hashes
from reranker.fusion import artifact, node_model
from reranker.fusion.artifact import Artifact, Parts
from reranker.learning import export, warm_start
from reranker.learning.network import FusionNetwork
from reranker.retrieval.candidates import Candidates
from reranker.signals import definition, drift
from reranker.signals.item_table import ItemTable
from reranker.signals.situation import Situation
from tests.reranker.artifacts import HEADS, small_config
from tests.reranker.fusion.artifacts import manifest
from tests.reranker.signals.situations import DAY, NOW, folded, purchase

DIMS, ROWS, ITEMS = 24, 6, 240
WORDS = (
    *("red", "Glass", "lamps", "LAMP", "boxes", "box", "berries", "glasses", "Straße", "STRASSE"),
    *(
        "蓝牙耳机",
        "ランプ",
        "ΛΌΓΟΣ",
        "λόγος",
        "İstanbul",
        "ışık",
        "naïve",
        "x2",
        "½",
        "a_b",
        "card-s",
    ),
    *("for", "of", "ﬁne", "\u1e9e", "ŉ", "bus", "wishes", "buzzes", "dress", "kisses", "s", "ies"),
)


@dataclass(frozen=True, eq=False)
class Shop:
    """Items with their packed records, and a model of theirs."""

    ids: list[str]
    cards: np.ndarray
    present: np.ndarray
    counts: list[bytes | None]
    loaded: Artifact

    def file(self) -> bytes:
        """What the plugin reads."""
        items = node_model.stock(
            self.ids,
            self.cards,
            self.present,
            self.counts,
            dims=DIMS,
            now=NOW,
            table=self.loaded.item_table,
        )
        return node_model.packed(self.loaded, items, concrete="shop-000007", made_at="now")

    def situation(self, asked: dict[str, Any]) -> Situation:
        """A list as the sidecar sees it for a shopper and a search of which nothing is known."""
        ids = [one["id"] for one in asked["candidates"]]
        known = {name: row for row, name in enumerate(self.ids)}
        rows = [known.get(name, len(self.ids)) for name in ids]
        unknown, absent = card.unpack_many([None], DIMS)
        given = asked["vector"]
        vector = None if given is None else np.array(given, dtype=np.float32)
        return Situation(
            candidates=_candidates(asked["candidates"]),
            query_vector=None if vector is None else vector / np.linalg.norm(vector),
            cards=np.concatenate([self.cards, unknown])[rows],
            cards_present=np.concatenate([self.present, absent])[rows],
            popularity=popularity.unpack_many([[*self.counts, None][row] for row in rows], NOW),
            now=NOW,
            query=asked["query"],
            item_table=self.loaded.item_table,
        )


def shop(folder: Path, seed: int = 0, members: int = 2) -> Shop:
    """A shop whose model is written to `folder`."""
    random = np.random.default_rng(seed)
    ids = [f"item-{number}é" for number in range(ITEMS)]
    blobs = [_card(random) if number % 9 else None for number in range(ITEMS)]
    cards, present = card.unpack_many(blobs, DIMS)
    bought = [
        purchase(ids[int(random.integers(60))], float(random.exponential(40)), f"u{number % 17}")
        for number in range(300)
    ]
    values = folded(bought)
    counts = [values.get(state.popularity_key(name)) for name in ids]
    return Shop(ids, cards, present, counts, _artifact(folder, ids, seed, members))


def lists(made: Shop, count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Lists of any length, of known and unknown items, with and without words and vectors."""
    random = np.random.default_rng(seed)
    for number in range(count):
        length = int(random.choice([1, 2, 3, 17, 60, 110]))
        names = [*random.permutation(made.ids)[:length], "nowhere-1", "nowhere-2"][: length + 2]
        words = random.choice(WORDS, int(random.integers(0, 5)))
        yield {
            "query": " ".join(words),
            "vector": None if number % 7 == 0 else random.normal(size=DIMS).tolist(),
            "window": int(random.choice([10, 100])),
            "candidates": [*_found(random, names)],
        }


def _found(random: np.random.Generator, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Both legs, each in its own order; every item is in one of them at least."""
    by_words = np.sort(random.gamma(2.0, 3.0, len(names)))[::-1]
    by_vectors = random.uniform(-0.2, 0.9, len(names))
    vector_ranks = np.argsort(np.argsort(-by_vectors)) + 1
    leg = random.integers(0, 3, len(names))
    for at, name in enumerate(names):
        one: dict[str, Any] = {"id": str(name)}
        if leg[at] != 1:
            one |= {"bm25": round(float(by_words[at]), 1), "bm25_rank": at + 1}
        if leg[at] != 0:
            one |= {"knn": float(by_vectors[at]), "knn_rank": int(vector_ranks[at])}
        yield one


def _candidates(given: Sequence[dict[str, Any]]) -> Candidates:
    def column(name: str) -> np.ndarray:
        return np.array([one.get(name, np.nan) for one in given], dtype=np.float32)

    named = ("bm25", "bm25_rank", "knn", "knn_rank")
    return Candidates([one["id"] for one in given], *(column(name) for name in named))


def _card(random: np.random.Generator) -> bytes:
    title = " ".join(random.choice(WORDS, int(random.integers(0, 30))))
    return card.pack(
        title=title,
        vector=random.normal(size=DIMS).astype(np.float32),
        price=None if random.random() < 0.2 else float(random.exponential(30)),
        popularity=None if random.random() < 0.5 else float(random.integers(0, 9)),
        updated_at_seconds=NOW - float(random.uniform(-5, 400)) * DAY,
        available=bool(random.random() < 0.8),
    )


def _artifact(folder: Path, ids: Sequence[str], seed: int, members: int) -> Artifact:
    networks = [_network(seed + number) for number in range(members)]
    random = np.random.default_rng(seed)
    known = np.sort(hashes(ids[::2]))
    table = ItemTable(
        known,
        random.normal(size=(len(known), ROWS)).astype(np.float32),
        random.normal(size=(DIMS, ROWS)).astype(np.float32),
    )
    graph = export.to_onnx(networks, int8=False)
    signals = definition.fill(random.uniform(0, 1, (len(definition.SIGNALS), 40)).astype("f4"))
    signals[:, definition.INDEX["title_words"]] = 1.5
    signals[:, definition.INDEX["own_days"]] = 2.0
    artifact.write(
        folder / "v1",
        Parts(graph, table, graph, table, {artifact.NETWORK: warm_start.packed(networks)}),
        manifest(
            dims=DIMS,
            reference=drift.reference(signals, 4),
            config={"attention_heads": HEADS},
            prior_weights={"keyword": 2.0, "cosine": 3.0, "covered": 0.5},
        ),
    )
    return artifact.load(folder / "v1")


def _network(seed: int) -> FusionNetwork:
    torch.manual_seed(seed)
    network = FusionNetwork(small_config(DIMS, rows=ROWS, text_width=12, layers=2))
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    network.signal_mean.copy_(torch.rand(len(definition.SIGNALS)))
    network.signal_scale.copy_(torch.rand(len(definition.SIGNALS)) + 0.5)
    network.text_basis.copy_(torch.randn(DIMS, 12))
    return network.eval()
