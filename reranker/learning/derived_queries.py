"""Queries made from the titles of bought items, for shops that log no searches; pure.

A proxy, to be called so in every report: a shopper who bought an item is taken to have typed a
few neighbouring words of its title. Spans of one to three words from anywhere in the title, more
often from its end, where the kind of a thing stands; not one fixed form, which a model would only
learn to take apart. Some are longer and hold words that the title lacks, as typed ones do: a model
that never saw such a query takes popular goods for the answer to it.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# One character of a script without spaces, or a word with what is written within it (50's, t-light
# is two words).
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_PIECE = re.compile(rf"[{_CJK}]+|(?:(?![{_CJK}])\w)+(?:['’](?:(?![{_CJK}])\w)+)*")
CJK_SPAN_MIN, CJK_SPAN_MAX = 2, 4
HALF = 0.5
WORD_CHANCE = 1e-4  # of being the one that a query has from elsewhere, about, for any word


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
    if not _is_long_run(piece):
        return piece
    length = int(random.integers(CJK_SPAN_MIN, CJK_SPAN_MAX + 1))
    start = int(random.integers(0, len(piece) - length + 1))
    return piece[start : start + length]


def _is_long_run(piece: str) -> bool:
    return len(piece) > CJK_SPAN_MAX and re.match(f"[{_CJK}]", piece) is not None


def chances(query: str, titles: Sequence[str], style: SpanStyle) -> NDArray[np.float64]:
    """How likely `derive`, with words from elsewhere, makes the query of each title [n].

    Of things bought together, one of which a query was made of, they tell which one was asked for.
    """
    asked = _PIECE.findall(query.lower())
    return np.array([_chance(asked, _PIECE.findall(it.lower()), style) for it in titles])


def _chance(asked: Sequence[str], pieces: Sequence[str], style: SpanStyle) -> float:
    if not pieces:
        return 0.0
    length, longest = len(asked), len(pieces)
    usual = style.lengths[length - 1 :] if length >= longest else style.lengths[length - 1 : length]
    any_length = 1.0 / longest
    own = (1.0 - style.wordy) * sum(usual) + style.wordy * (1.0 - style.strange) * any_length
    beside = HALF * WORD_CHANCE * style.wordy * style.strange * any_length
    within = [_placed(part, pieces, style) for part in (asked, asked[1:], asked[:-1])]
    return own * within[0] + beside * (within[1] + within[2])


def _placed(asked: Sequence[str], pieces: Sequence[str], style: SpanStyle) -> float:
    """How likely a span of as many pieces as `asked` is that."""
    starts = range(len(pieces) - len(asked) + 1)
    if not asked or not starts:
        return 0.0
    by_start = [math.prod(map(_given, asked, pieces[start:])) for start in starts]
    return style.ending * by_start[-1] + (1.0 - style.ending) * sum(by_start) / len(by_start)


def _given(asked: str, piece: str) -> float:
    """How likely `_shortened` makes the one of the other."""
    if not _is_long_run(piece):
        return float(asked == piece)
    length = len(asked)
    if not CJK_SPAN_MIN <= length <= CJK_SPAN_MAX:
        return 0.0
    starts = range(len(piece) - length + 1)
    found = sum(piece.startswith(asked, start) for start in starts)
    return found / len(starts) / (CJK_SPAN_MAX - CJK_SPAN_MIN + 1)
