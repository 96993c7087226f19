"""`onnx:<folder>`: a model as ONNX with its tokenizer, run by onnxruntime; no torch.

A folder holds tokenizer.json and model.onnx, model_int8.onnx or both, as `hitweave export-encoder`
writes them (recipe.json too) or as they lie on the hub. On CUDA the full model runs, on the
processor the int8 one where there is one: their vectors were compared when they were exported and
may stand in one index. An int8 model takes one text at a time: it scales by the largest activation
of all it is given, so neighbours would change a text's vector.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from indexer.embedding.model_folder import Declared, content_revision, read_declared, resolve
from indexer.embedding.recipe import Recipe
from indexer.embedding.sessions import CPU, open_session, providers
from indexer.embedding.specification import Specification
from indexer.embedding.vectors import check_vectors, unit_rows
from indexer.errors import EncoderUnavailable
from indexer.settings import Settings

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

FULL_MODEL, INT8_MODEL = "model.onnx", "model_int8.onnx"
TOKENIZER_FILE, RECIPE_FILE = "tokenizer.json", "recipe.json"
_FULL = (FULL_MODEL, "onnx/model.onnx")
_INT8 = (INT8_MODEL, "model_quantized.onnx", "onnx/model_int8.onnx", "onnx/model_quantized.onnx")
_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids"})


class OnnxEncoder:
    """Token states by onnxruntime, pooled in numpy; any number of threads at once."""

    def __init__(
        self, recipe: Recipe, session: "InferenceSession", tokenizer: "Tokenizer", batch_texts: int
    ) -> None:
        self.recipe = recipe
        self.dims = recipe.dims
        self._session = session
        self._tokenizer = tokenizer
        self._tokenizer.enable_truncation(recipe.max_tokens)
        self._tokenizer.no_padding()
        self._batch_texts = batch_texts
        self._names = [one.name for one in session.get_inputs()]
        self._states = _states_output(session).name

    @property
    def provider(self) -> str:
        """What runs the model, in onnxruntime's words."""
        return str(self._session.get_providers()[0])

    def encode(self, texts: Sequence[str], *, role: str) -> NDArray[np.float32]:
        """Vectors [texts, dims] float32 of length 1, in the order of the texts."""
        rows = np.empty((len(texts), self.dims), dtype=np.float32)
        ids = [one.ids for one in self._tokenizer.encode_batch(self.recipe.prepare(texts, role))]
        order = sorted(range(len(ids)), key=lambda number: -len(ids[number]))
        for start in range(0, len(order), self._batch_texts):
            batch = order[start : start + self._batch_texts]
            rows[batch] = self._forward([ids[number] for number in batch])
        return check_vectors(unit_rows(rows), count=len(texts), dims=self.dims)

    def _forward(self, ids: list[list[int]]) -> NDArray[np.float32]:
        inputs = model_inputs(ids)
        feed = {name: inputs[name] for name in self._names}
        (states,) = self._session.run([self._states], feed)
        return pool(states, inputs["attention_mask"], self.recipe.pooling)[:, : self.dims]


def model_inputs(ids: list[list[int]]) -> dict[str, NDArray[np.int64]]:
    """Arrays [texts, tokens], padded on the right; what is padded is masked out."""
    tokens = max([1, *map(len, ids)])
    padded = np.zeros((len(ids), tokens), dtype=np.int64)
    mask = np.zeros((len(ids), tokens), dtype=np.int64)
    for row, one in enumerate(ids):
        padded[row, : len(one)] = one
        mask[row, : len(one)] = 1
    positions = np.broadcast_to(np.arange(tokens), padded.shape)
    return {
        "input_ids": padded,
        "attention_mask": mask,
        "token_type_ids": np.zeros_like(padded),
        "position_ids": np.ascontiguousarray(positions),
    }


def pool(states: NDArray[Any], mask: NDArray[np.int64], pooling: str) -> NDArray[np.float32]:
    """One vector [texts, hidden] from token states [texts, tokens, hidden], padded on the right."""
    found: NDArray[np.float32]
    if pooling == "cls":
        found = states[:, 0].astype(np.float32)
    elif pooling == "last":
        last = np.maximum(mask.sum(axis=1), 1) - 1
        found = states[np.arange(len(states)), last].astype(np.float32)
    else:
        weights = mask.astype(np.float32)
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1.0)
        found = np.matmul(weights[:, None], states.astype(np.float32, copy=False))[:, 0]
    return found


def open_onnx(specification: Specification, settings: Settings) -> OnnxEncoder:
    """The encoder in a folder; raises EncoderUnavailable for what is missing in it."""
    folder = Path(specification.name).expanduser().resolve()
    on_cpu = providers(settings.device)[0] == CPU
    file = model_file(folder, prefer_int8=on_cpu)
    session = _open(file, settings)
    recipe = _recipe(specification, folder, _states_output(session).shape[-1])
    return OnnxEncoder(recipe, session, _tokenizer(folder), _batch_texts(file, settings))


def open_file(file: Path, recipe: Recipe, settings: Settings) -> OnnxEncoder:
    """One ONNX file, beside its tokenizer, run as `recipe` says."""
    session = _open(file, settings)
    return OnnxEncoder(recipe, session, _tokenizer(file.parent), _batch_texts(file, settings))


def _batch_texts(file: Path, settings: Settings) -> int:
    is_int8 = any(file.name == Path(name).name for name in _INT8)
    return 1 if is_int8 else settings.encoder_batch


def _open(file: Path, settings: Settings) -> "InferenceSession":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # forked workers share the cores
    session = open_session(file, providers(settings.device), settings.encoder_threads)
    unknown = {one.name for one in session.get_inputs()} - _INPUTS
    if unknown:
        raise EncoderUnavailable(
            f"{file} asks for the inputs {', '.join(sorted(unknown))}, which a text has not: "
            "export the model with hitweave export-encoder"
        )
    return session


def model_file(folder: Path, *, prefer_int8: bool) -> Path:
    """The model of a folder that suits; raises EncoderUnavailable where there is none."""
    names = (*_INT8, *_FULL) if prefer_int8 else (*_FULL, *_INT8)
    for name in names:
        if (folder / name).is_file():
            return folder / name
    state = "holds no" if folder.is_dir() else "is not there: it should hold"
    raise EncoderUnavailable(
        f"encoder onnx:{folder}: the folder {state} {FULL_MODEL} or {INT8_MODEL}; make one with "
        "hitweave export-encoder MODEL FOLDER"
    )


def _tokenizer(folder: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    file = folder / TOKENIZER_FILE
    if not file.is_file():
        raise EncoderUnavailable(
            f"encoder onnx:{folder}: {TOKENIZER_FILE} is missing; copy it from the model's own "
            "folder, it belongs beside the ONNX file"
        )
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # noqa: BLE001 - the Rust library raises nothing narrower
        raise EncoderUnavailable(f"{file} is not a tokenizer ({error}): copy it again") from None


def _states_output(session: "InferenceSession") -> Any:
    """The output [texts, tokens, hidden] of a graph; some also give pooled vectors."""
    for output in session.get_outputs():
        if len(output.shape) == 3 and isinstance(output.shape[-1], int):
            return output
    raise EncoderUnavailable(
        "the ONNX model gives no token states [texts, tokens, hidden]: export it with hitweave "
        "export-encoder"
    )


def _recipe(specification: Specification, folder: Path, hidden_dims: int) -> Recipe:
    written = _written_recipe(folder)
    if written is None:
        declared, revision, limit = read_declared(folder), content_revision(folder), None
    else:
        declared = Declared(
            pooling=written.pooling,  # type: ignore[arg-type]
            query_prompt=written.query_prompt,
            passage_prompt=written.passage_prompt,
            max_tokens=written.max_tokens,
        )
        revision, limit = written.revision, written.max_tokens
        hidden_dims = written.dims
    return resolve(
        specification,
        declared,
        encoder=f"onnx:{folder}",
        revision=revision,
        hidden_dims=hidden_dims,
        tokens_limit=limit,
    )


def _written_recipe(folder: Path) -> Recipe | None:
    file = folder / RECIPE_FILE
    if not file.is_file():
        return None
    try:
        return Recipe.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise EncoderUnavailable(
            f"{file} is not a recipe ({error.error_count()} faults): export the model again"
        ) from None
