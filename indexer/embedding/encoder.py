"""The one interface of all encoders, and the only place that opens one.

Encoders are kept per process and never carried over a fork: onnxruntime and CUDA do not survive
one. Heavy imports happen inside `_build`, so that importing this module costs nothing.
"""

import os
import threading
from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from indexer import settings
from indexer.embedding.recipe import Recipe
from indexer.embedding.specification import Specification, parse
from indexer.errors import EncoderUnavailable, InvalidConfig

Role = Literal["query", "passage"]
DEFAULT_ENCODER = "packaged:use-multilingual-v3"


class Encoder(Protocol):
    """Texts to unit vectors, by one recipe."""

    recipe: Recipe
    dims: int

    def encode(self, texts: Sequence[str], *, role: Role) -> NDArray[np.float32]:
        """Vectors [texts, dims] float32 of length 1, in the order of the texts."""
        ...


_open: dict[Specification, Encoder] = {}
_inherited: list[dict[Specification, Encoder]] = []
_opening = threading.Lock()


def open_encoder(asked: str | Recipe, *, dims: int | None = None) -> Encoder:
    """The encoder of a specification or recipe, opened once per process.

    `dims` cuts a Matryoshka model; a recipe brings its own. Raises InvalidConfig for a
    specification that says nothing, EncoderUnavailable where the model or a package is absent, or
    where the encoder found here makes other vectors than the recipe asks for.
    """
    specification = parse(asked, dims=dims)
    # What is open is found without the lock: another model may take a minute to open under it.
    encoder = _open.get(specification) or _opened(specification)
    if isinstance(asked, Recipe):
        _check_same(asked, encoder.recipe)
    else:
        _check_options(specification, encoder.recipe)
    return encoder


def _opened(specification: Specification) -> Encoder:
    with _opening:
        encoder = _open.get(specification)
        if encoder is None:
            encoder = _build(specification)
            encoder = _open.setdefault(parse(encoder.recipe), encoder)
            _open[specification] = encoder
        return encoder


def _build(specification: Specification) -> Encoder:
    if specification.family == "hashed":
        from indexer.embedding import hashed

        return hashed.open_hashed(specification)
    if specification.family == "packaged":
        from indexer.embedding import packaged

        return packaged.open_packaged(specification, threads=settings.load().encoder_threads)
    if specification.family == "transformers":
        from indexer.embedding import transformer

        return transformer.open_transformer(specification, settings.load())
    from indexer.embedding import onnx

    return onnx.open_onnx(specification, settings.load())


def _check_same(asked: Recipe, found: Recipe) -> None:
    if asked.digest() == found.digest():
        return
    fields = [
        f"{name} {getattr(asked, name)!r} there, {getattr(found, name)!r} here"
        for name in Recipe.model_fields
        if getattr(asked, name) != getattr(found, name)
    ]
    raise EncoderUnavailable(
        f"the index was made by another recipe of {asked.encoder} than this machine has "
        f"({'; '.join(fields)}): install the same model version here, or re-create the index"
    )


def _check_options(specification: Specification, found: Recipe) -> None:
    for name, value in specification.options().items():
        if value != getattr(found, name):
            raise InvalidConfig(
                f"encoder {specification.encoder!r} cannot have {name} {value!r}: "
                f"it has {getattr(found, name)!r}; leave that option out"
            )


def _forget_after_fork() -> None:
    """Start the child with an empty cache and a free lock.

    The parent's encoders are kept, not freed: closing a session whose threads did not come along
    may hang.
    """
    global _open, _opening  # noqa: PLW0603 - one cache per process is the point
    _inherited.append(_open)
    _open = {}
    _opening = threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)
