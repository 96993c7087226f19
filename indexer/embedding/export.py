"""A transformers model turned into an ONNX folder, kept only if the vectors prove to agree.

Everything is written beside the wanted folder and moved there last: a failed export leaves
nothing behind that could be taken for a model. Needs torch and the onnx package.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexer import settings
from indexer.embedding.encoder import open_encoder
from indexer.embedding.onnx import (
    FULL_MODEL,
    INT8_MODEL,
    RECIPE_FILE,
    TOKENIZER_FILE,
    OnnxEncoder,
    open_file,
)
from indexer.embedding.transformer import INSTALL, TransformerEncoder
from indexer.errors import EncoderUnavailable, InvalidConfig, InvalidVector
from indexer.telemetry import quiet

COSINE_MIN_FULL = 0.999
COSINE_MIN_INT8 = 0.97
# One protobuf holds two gigabytes at the most; larger weights go into a file of their own.
INLINE_BYTES_MAX = 1_500_000_000
# Short, long, odd; one language after the other. All of them go through in one call, so that
# padding is part of the proof.
PROOF_TEXTS = (
    "wireless headphones",
    "Stainless steel water bottle, keeps drinks hot for 12 hours, 500 ml",
    "无线耳机",
    "男士跑步鞋 透气轻便 减震防滑",
    "écouteurs sans fil à réduction de bruit",
    "USB-C 65W (3-port)",
    "",
    "a soft woollen blanket for cold evenings on the sofa " * 60,
)


@dataclass(frozen=True)
class Exported:
    """What was written, and the least cosine to the vectors of the original."""

    folder: Path
    revision: str
    dims: int
    cosine: float
    cosine_int8: float | None


def export(
    specification: str, folder: Path, *, int8: bool, report: Callable[[str], None]
) -> Exported:
    """Write `specification` (transformers:…) to `folder`; each step is reported before it starts.

    Raises InvalidConfig where the folder is in use, EncoderUnavailable where the model cannot be
    opened or turned, InvalidVector where the vectors do not agree.
    """
    _check_free(folder)
    report("opening the model")
    original = open_encoder(specification)
    if not isinstance(original, TransformerEncoder):
        raise InvalidConfig(f"{specification!r} is no transformers model: nothing to export")
    folder.parent.mkdir(parents=True, exist_ok=True)
    written = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        exported = _write(original, written, int8=int8, report=report)
        if folder.exists():
            folder.rmdir()
        written.chmod(0o755)
        written.rename(folder)
    except BaseException:
        shutil.rmtree(written, ignore_errors=True)
        raise
    return Exported(folder, original.recipe.revision, original.dims, *exported)


def _check_free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidConfig(f"{folder} is not empty: name a new folder, or remove it first")


def _write(
    original: TransformerEncoder, folder: Path, *, int8: bool, report: Callable[[str], None]
) -> tuple[float, float | None]:
    _write_tokenizer(original, folder)
    (folder / RECIPE_FILE).write_text(original.recipe.model_dump_json(indent=2) + "\n")
    report("turning it into ONNX")
    _write_graph(original, folder / FULL_MODEL)
    report("comparing the vectors")
    cosine = _prove(original, folder / FULL_MODEL, COSINE_MIN_FULL)
    if not int8:
        return cosine, None
    report("quantising to int8")
    _write_int8(folder / FULL_MODEL, folder / INT8_MODEL)
    report("comparing the int8 vectors")
    return cosine, _prove(original, folder / INT8_MODEL, COSINE_MIN_INT8)


def _write_tokenizer(original: TransformerEncoder, folder: Path) -> None:
    if not original.tokenizer.is_fast:
        raise EncoderUnavailable(
            f"{original.recipe.encoder} has no tokenizer.json (no fast tokenizer), so it can only "
            "run through transformers"
        )
    original.tokenizer.backend_tokenizer.save(str(folder / TOKENIZER_FILE))


def _write_graph(original: TransformerEncoder, file: Path) -> None:
    import torch

    example = original.tokens(["two texts of", "not the same length"])
    names = list(example)
    axes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens")}
    size = sum(p.numel() * p.element_size() for p in original.model.parameters())
    with quiet(), _explained(original.recipe.encoder):
        torch.onnx.export(
            _states_module(original.model, names),
            tuple(example[name] for name in names),
            str(file),
            input_names=names,
            output_names=["token_states"],
            dynamic_shapes=(tuple(axes for _ in names),),
            dynamo=True,
            external_data=size > INLINE_BYTES_MAX,
            verbose=False,
        )


def _states_module(model: Any, names: list[str]) -> Any:
    import torch

    class TokenStates(torch.nn.Module):
        """The model from tensors to the one tensor that pooling needs."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: torch.Tensor) -> Any:
            return self.model(**dict(zip(names, inputs, strict=True))).last_hidden_state

    return TokenStates().eval()


def _write_int8(source: Path, file: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with quiet():
        quantize_dynamic(source, file, weight_type=QuantType.QInt8, per_channel=True)


def _prove(original: TransformerEncoder, file: Path, least: float) -> float:
    """The least cosine over the proof texts in both roles; raises InvalidVector below `least`."""
    loaded = open_file(file, original.recipe, settings.load())
    same = original.recipe.query_prompt == original.recipe.passage_prompt
    roles = ("query",) if same else ("query", "passage")
    cosine = min(_least_cosine(original, loaded, role) for role in roles)
    if cosine < least:
        raise InvalidVector(
            f"{file.name}: a vector has cosine {cosine:.4f} to the original's, {least} is due; "
            "nothing was kept. "
            + ("Export without --int8." if least == COSINE_MIN_INT8 else "Use transformers: here.")
        )
    return cosine


def _least_cosine(original: TransformerEncoder, loaded: OnnxEncoder, role: str) -> float:
    wanted = original.encode(PROOF_TEXTS, role=role)
    found = loaded.encode(PROOF_TEXTS, role=role)
    return float(np.einsum("td,td->t", wanted, found).min())


@contextlib.contextmanager
def _explained(encoder: str) -> Iterator[None]:
    """Say in one line what torch says in a hundred."""
    try:
        yield
    except ImportError as error:
        raise EncoderUnavailable(f"the export needs more packages ({error}): {INSTALL}") from None
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise EncoderUnavailable(
            f"torch cannot turn {encoder} into ONNX ({type(error).__name__}: {reason}): "
            "keep it as a transformers encoder"
        ) from error
