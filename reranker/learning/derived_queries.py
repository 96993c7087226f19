"""Queries made from the titles of bought items, for shops that log no searches; pure.

A proxy, to be called so in every report: a shopper who bought an item is taken to have typed a
few neighbouring words of its title. Spans of one to three words from anywhere in the title, more
often from its end, where the kind of a thing stands; not one fixed form, which a model would only
learn to take apart. Some are longer and hold words that the title lacks, as typed ones do: a model
that never saw such a query takes popular goods for the answer to it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# One character of a script without spaces, or a word with what is written within it (50's, t-light
# is two words).
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_PIECE = re.compile(rf"[{_CJK}]+|(?:(?![{_CJK}])\w)+(?:['’](?:(?![{_CJK}])\w)+)*")
CJK_SPAN_MAX = 4
HALF = 0.5


@dataclass(frozen=True)
class SpanStyle:
    """How likely spans of one, two and three words are, and how often one ends the title.

    `wordy`: share of queries of any length; `strange`: how often such a one holds a word from
    elsewhere, half of them of another title, half of no title at all.
    """

    lengths: tuple[float, ...] = (0.55, 0.35, 0.10)
    ending: float = 0.6
    wordy: float = 0.2
    strange: float = 0.7


def derive(
    title: str, style: SpanStyle, random: np.random.Generator, others: Sequence[str] = ()
) -> str | None:
    """A span of the title in lower case; None where there is no word. `others`: all titles."""
    pieces = _PIECE.findall(title.lower())
    if not pieces:
        return None
    if others and random.random() < style.wordy:
        return _wordy(pieces, style, random, others)
    wanted = 1 + int(random.choice(len(style.lengths), p=style.lengths))
    return _span(pieces, wanted, style, random)


def _span(pieces: Sequence[str], wanted: int, style: SpanStyle, random: np.random.Generator) -> str:
    length = min(wanted, len(pieces))
    start = len(pieces) - length
    if random.random() >= style.ending:
        start = int(random.integers(0, start + 1))
    return " ".join(_shortened(piece, random) for piece in pieces[start : start + length])


def _wordy(
    pieces: Sequence[str], style: SpanStyle, random: np.random.Generator, others: Sequence[str]
) -> str:
    """A span of any length, often with a word before or behind it that the title lacks."""
    words = [_span(pieces, 1 + int(random.integers(len(pieces))), style, random)]
    if random.random() < style.strange:
        found = _PIECE.findall(others[int(random.integers(len(others)))].lower())
        if found:
            word = _shortened(found[int(random.integers(len(found)))], random)
            word = word if random.random() < HALF else word[::-1]
            words.insert(int(random.integers(2)), word)
    return " ".join(words)


def _shortened(piece: str, random: np.random.Generator) -> str:
    """Of a run of Chinese or Japanese a few neighbouring characters: nobody types all of it."""
    if not re.match(f"[{_CJK}]", piece) or len(piece) <= CJK_SPAN_MAX:
        return piece
    length = int(random.integers(2, CJK_SPAN_MAX + 1))
    start = int(random.integers(0, len(piece) - length + 1))
    return piece[start : start + length]
