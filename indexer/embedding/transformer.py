"""`transformers:<model id or folder>`: any Hugging Face text model that AutoModel opens, by torch.

torch and transformers are imported when a model is opened and not before. Remote code of a model
is never run. A text alone and the same text in a batch have the same vector, to rounding.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from indexer.embedding.model_folder import content_revision, read_declared, resolve
from indexer.embedding.recipe import Recipe
from indexer.embedding.specification import Specification
from indexer.embedding.vectors import check_vectors, unit_rows
from indexer.errors import EncoderUnavailable
from indexer.settings import Settings

if TYPE_CHECKING:
    import torch

INSTALL = "run pip install 'hitweave[worker]'"
_FILES = ["*.json", "*.txt", "*.model", "*.safetensors", "1_Pooling/*"]
# These count positions from the padding token's number on, so as many fewer are to be had.
_POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet")
_WEIGHTS = ("*.safetensors", "*.bin")


class TransformerEncoder:
    """A transformer, its tokenizer, and one forward pass at a time."""

    def __init__(
        self, recipe: Recipe, model: Any, tokenizer: Any, *, device: str, batch_texts: int
    ) -> None:
        self.recipe = recipe
        self.dims = recipe.dims
        self.model = model
        self.tokenizer = tokenizer
        self._device = device
        self._batch_texts = batch_texts
        # A fast tokenizer keeps its cut and padding in itself, so two threads may not share it.
        self._one_at_a_time = threading.Lock()

    def encode(self, texts: Sequence[str], *, role: str) -> NDArray[np.float32]:
        """Vectors [texts, dims] float32 of length 1, in the order of the texts."""
        rows = np.empty((len(texts), self.dims), dtype=np.float32)
        prepared = self.recipe.prepare(texts, role)
        with self._one_at_a_time:
            for batch in self._batches(prepared):
                rows[batch] = self._forward([prepared[number] for number in batch])
        return check_vectors(unit_rows(rows), count=len(texts), dims=self.dims)

    def tokens(self, prepared: list[str]) -> Any:
        """Padded tensors `input_ids`, `attention_mask`, … [texts, tokens] for the model."""
        return self.tokenizer(
            prepared,
            padding=True,
            truncation=True,
            max_length=self.recipe.max_tokens,
            return_tensors="pt",
        )

    def _batches(self, prepared: list[str]) -> Iterator[list[int]]:
        """Numbers of the texts, those of like length together, the longest first."""
        order = sorted(range(len(prepared)), key=lambda number: -len(prepared[number]))
        for start in range(0, len(order), self._batch_texts):
            yield order[start : start + self._batch_texts]

    def _forward(self, prepared: list[str]) -> NDArray[np.float32]:
        import torch

        inputs = self.tokens(prepared).to(self._device)
        with torch.inference_mode():
            states = self.model(**inputs).last_hidden_state
            pooled = _pool(states, inputs["attention_mask"], self.recipe.pooling)
            found: NDArray[np.float32] = pooled[:, : self.dims].float().cpu().numpy()
        return found


def _pool(states: "torch.Tensor", mask: "torch.Tensor", pooling: str) -> "torch.Tensor":
    """One vector [texts, hidden] from token states [texts, tokens, hidden], padded on the right."""
    if pooling == "cls":
        return states[:, 0].float()
    if pooling == "last":
        last = mask.sum(dim=1).clamp(min=1) - 1
        return states[range(len(states)), last].float()
    weights = mask.unsqueeze(-1).float()
    return (states.float() * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)


def open_transformer(specification: Specification, settings: Settings) -> TransformerEncoder:
    """A model from its folder, or from the hub by way of the local cache.

    Raises EncoderUnavailable where torch, the model or the device is absent.
    """
    torch, transformers = _import()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # forked workers share the cores
    torch.set_num_threads(settings.encoder_threads)
    device = _device(settings.device, torch.cuda.is_available())
    folder, encoder, revision = _locate(specification)
    tokenizer, model = _load(transformers, folder)
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    _need_padding(tokenizer)
    recipe = resolve(
        specification,
        read_declared(folder),
        encoder=encoder,
        revision=revision,
        hidden_dims=model.config.hidden_size,
        tokens_limit=_tokens_limit(tokenizer, model.config),
    )
    model = model.to(device=device, dtype=torch.float16 if device == "cuda" else torch.float32)
    return TransformerEncoder(
        recipe, model.eval(), tokenizer, device=device, batch_texts=settings.encoder_batch
    )


def _import() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise EncoderUnavailable(
            f"transformers encoders need torch and transformers ({error}): {INSTALL}, "
            "or turn the model into ONNX elsewhere (hitweave export-encoder) and use onnx:<folder>"
        ) from None
    transformers.utils.logging.disable_progress_bar()
    return torch, transformers


def _device(wanted: str, has_cuda: bool) -> str:
    if wanted == "cuda" and not has_cuda:
        raise EncoderUnavailable(
            "HITWEAVE_DEVICE is cuda, but torch finds no CUDA device: check the driver with "
            "nvidia-smi, or set HITWEAVE_DEVICE=auto"
        )
    return "cuda" if has_cuda and wanted != "cpu" else "cpu"


def _locate(specification: Specification) -> tuple[Path, str, str]:
    """Folder, recipe name and revision: the commit of a hub model, a digest of a folder's files."""
    folder = Path(specification.name).expanduser()
    if folder.is_dir():
        return folder, f"transformers:{folder.resolve()}", content_revision(folder)
    if folder.is_absolute() or specification.name.startswith(("~", ".")):
        raise EncoderUnavailable(f"{specification.encoder}: there is no folder {folder}")
    folder = _from_hub(specification)
    return folder, specification.encoder, folder.name


def _from_hub(specification: Specification) -> Path:
    """The snapshot of a hub model in the local cache, fetched if need be, named by its commit."""
    from huggingface_hub import snapshot_download

    try:
        found = _snapshot(snapshot_download, specification, _FILES)
        if not any(found.glob("*.safetensors*")):
            found = _snapshot(snapshot_download, specification, [*_FILES, "*.bin"])
    except (OSError, ValueError) as error:  # all of the hub's errors are one of these
        reason = str(error).strip().splitlines()[0]
        raise EncoderUnavailable(
            f"{specification.encoder} is neither a folder here nor to be had from the Hugging "
            f"Face hub or its local cache ({type(error).__name__}: {reason}): check the name and "
            "HF_TOKEN, or fetch it where there is a network and give its folder"
        ) from None
    return found


def _snapshot(download: Any, specification: Specification, files: list[str]) -> Path:
    return Path(download(specification.name, revision=specification.revision, allow_patterns=files))


def _load(transformers: Any, folder: Path) -> tuple[Any, Any]:
    if not any(path for pattern in _WEIGHTS for path in folder.glob(pattern)):
        raise EncoderUnavailable(
            f"{folder} holds no model.safetensors or pytorch_model.bin: fetch the model again"
        )
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        model = transformers.AutoModel.from_pretrained(folder)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise EncoderUnavailable(
            f"transformers cannot open the model in {folder} "
            f"({type(error).__name__}: {str(error).strip().splitlines()[0]}); models that bring "
            "code of their own are not run"
        ) from None
    return tokenizer, model.get_encoder() if model.config.is_encoder_decoder else model


def _need_padding(tokenizer: Any) -> None:
    """Many decoder models have no padding token; what is masked out may be any token."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token


def _tokens_limit(tokenizer: Any, config: Any) -> int | None:
    """Longest input of the model with its end marks; None where nothing bounds it."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions and config.model_type in _POSITIONS_AFTER_PADDING:
        positions -= config.pad_token_id + 1
    limits = [limit for limit in (positions, tokenizer.model_max_length) if limit and limit < 1e9]
    return min(limits) if limits else None
