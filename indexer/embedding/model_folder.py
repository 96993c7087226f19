"""What a model's folder says about its own use: pooling, prompts, lengths; reads files, no model.

Read are sentence-transformers' files and Hugging Face's. What the user writes wins, then what the
folder says, then mean pooling without prompts. A model with parts that Hitweave does not run is
refused, never run without them.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson

from indexer.embedding.recipe import Recipe
from indexer.embedding.specification import POOLINGS, Pooling, Specification
from indexer.errors import EncoderUnavailable, InvalidConfig
from indexer.telemetry import log

TOKENS_MAX_DEFAULT = 512
_MODULES_RUN = ("Transformer", "Pooling", "Normalize")
_POOLING_NAMES = {"mean": "mean", "cls": "cls", "lasttoken": "last"}
_POOLING_FLAGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
_REVISION_FILES = ("*.safetensors", "*.bin", "*.onnx", "*.onnx.data", "*.model", "vocab.*")
_REVISION_NAMES = ("config.json", "tokenizer.json", "tokenizer_config.json", "merges.txt")


@dataclass(frozen=True)
class Declared:
    """What a folder says; None where it says nothing."""

    pooling: Pooling | None = None
    query_prompt: str | None = None
    passage_prompt: str | None = None
    max_tokens: int | None = None


def read_declared(folder: Path) -> Declared:
    """What the files of `folder` say; raises EncoderUnavailable for a model of other parts."""
    modules = _read(folder, "modules.json", default=[])
    kinds = {str(one.get("type", "")).rpartition(".")[2]: one for one in modules}
    foreign = sorted(set(kinds) - set(_MODULES_RUN))
    if foreign:
        raise EncoderUnavailable(
            f"the model in {folder} has a {foreign[0]} module, which Hitweave does not run: "
            "choose a model of transformer, pooling and normalisation only"
        )
    place = str(kinds.get("Pooling", {}).get("path") or "1_Pooling")
    pooling_config = _read(folder / place, "config.json")
    query, passage = _prompts(_read(folder, "config_sentence_transformers.json"))
    if (query or passage) and pooling_config.get("include_prompt") is False:
        raise EncoderUnavailable(
            f"the model in {folder} leaves its prompt out of the pooling, which Hitweave does not"
        )
    lengths = _read(folder, "sentence_bert_config.json")
    return Declared(
        pooling=_pooling(folder, pooling_config),
        query_prompt=query,
        passage_prompt=passage,
        max_tokens=lengths.get("max_seq_length"),
    )


def resolve(
    specification: Specification,
    declared: Declared,
    *,
    encoder: str,
    revision: str,
    hidden_dims: int,
    tokens_limit: int | None,
) -> Recipe:
    """The recipe of a model whose token states have `hidden_dims`; raises InvalidConfig."""
    pooling = specification.pooling or declared.pooling
    if pooling is None:
        log("embedding").warning("pooling_assumed", encoder=encoder, pooling="mean")
    limit = min(tokens_limit or TOKENS_MAX_DEFAULT, 1_000_000)
    asked_tokens = specification.max_tokens
    if asked_tokens and asked_tokens > limit and tokens_limit:
        raise InvalidConfig(
            f"encoder {encoder!r} reads {limit} tokens at the most, max_tokens is {asked_tokens}"
        )
    dims = specification.dims or hidden_dims
    if dims > hidden_dims:
        raise InvalidConfig(f"encoder {encoder!r} has {hidden_dims} dims, dims is {dims}")
    return Recipe(
        encoder=encoder,
        revision=revision,
        pooling=pooling or "mean",
        query_prompt=_first(specification.query_prompt, declared.query_prompt),
        passage_prompt=_first(specification.passage_prompt, declared.passage_prompt),
        dims=dims,
        max_tokens=asked_tokens or min(declared.max_tokens or TOKENS_MAX_DEFAULT, limit),
    )


def content_revision(folder: Path) -> str:
    """Sixteen hex digits over the weights, configuration and vocabulary in `folder`."""
    found = {path for pattern in _REVISION_FILES for path in folder.glob(pattern)}
    found |= {folder / name for name in _REVISION_NAMES if (folder / name).is_file()}
    digest = hashlib.sha256()
    for path in sorted(found):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _first(*texts: str | None) -> str:
    return next((text for text in texts if text is not None), "")


def _read(folder: Path, name: str, default: Any = None) -> Any:
    path = folder / name
    if not path.is_file():
        return {} if default is None else default
    try:
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise EncoderUnavailable(f"{path} is not JSON ({error}): fetch the model again") from None


def _pooling(folder: Path, config: dict[str, Any]) -> Pooling | None:
    named = config.get("pooling_mode") or [
        mode for flag, mode in _POOLING_FLAGS.items() if config.get(flag)
    ]
    modes = [named] if isinstance(named, str) else list(named)
    if not modes:
        return None
    if len(modes) > 1 or modes[0] not in _POOLING_NAMES:
        raise EncoderUnavailable(
            f"the model in {folder} pools by {' and '.join(modes)}; Hitweave pools by one of "
            f"{', '.join(POOLINGS)}"
        )
    return cast(Pooling, _POOLING_NAMES[modes[0]])


def _prompts(config: dict[str, Any]) -> tuple[str | None, str | None]:
    """Prompt of queries and of passages; a default prompt stands for what is not named."""
    prompts: dict[str, str] = config.get("prompts") or {}
    default = prompts.get(config.get("default_prompt_name") or "")
    query = prompts.get("query", default)
    passage = next(
        (prompts[name] for name in ("passage", "document", "corpus") if name in prompts), default
    )
    return query, passage
