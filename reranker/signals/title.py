"""How the query's words sit in the title: how many, in a row, at which end; pure.

What a thing is stands at one end of its name ("birthday card" is a card, "card holder" is not), so
where the match lies tells more than that there is one. Words of a title are the bits of a number,
the first one the lowest, so that all titles of a list are looked at in few steps.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue import card
from reranker.signals.listwise import Array, log1p
from reranker.signals.situation import Situation

QUERY_WORDS_MAX = 8
Bits = NDArray[np.int64]  # a bit for each word of a title, at most TITLE_WORDS_MAX


def compute(situation: Situation) -> dict[str, Array]:
    """Columns [n] of the family `title`; NaN where there is no card or no query text."""
    query = card.words(situation.query)[:QUERY_WORDS_MAX]
    *equal, blank = _bits(situation.cards["title_words"], [*query, 0])
    count = card.TITLE_WORDS_MAX - np.bitwise_count(blank).astype(np.int64)
    if not query:
        return _unknown(count)
    hit = np.bitwise_or.reduce(equal)
    hits = np.bitwise_count(hit).astype(np.int64)
    covered = np.sum([words != 0 for words in equal], axis=0)
    matched = np.where(hit != 0, 0.0, np.nan)
    found = {
        "title_words": np.log1p(count),
        "query_words": np.full(len(count), np.log1p(len(query))),
        "query_covered": covered / len(query),
        "title_covered": hits / np.maximum(count, 1),
        "phrase": _phrase(equal),
        "ends_with": _run(_from_the_end(equal, count)),
        "starts_with": _run([words >> place for place, words in enumerate(equal)]),
        "words_after": np.log1p(count - _length(hit)) + matched,
        "words_before": np.log1p(_length(hit & -hit) - 1.0) + matched,
    }
    table = np.stack(list(found.values())).astype(np.float32)
    table[:, ~(situation.cards_present & (count > 0))] = np.nan
    return dict(zip(found, table, strict=True))


def _unknown(count: Bits) -> dict[str, Array]:
    names = ("query_words", "query_covered", "title_covered", "phrase", "ends_with")
    unknown = np.full(len(count), np.nan, dtype=np.float32)
    rest = dict.fromkeys((*names, "starts_with", "words_after", "words_before"), unknown)
    return {"title_words": log1p(count.astype(np.float32)), **rest}


def _bits(titles: NDArray[np.uint32], words: Sequence[int]) -> Bits:
    """Where in each title each of the words stands [words, n]."""
    aligned = np.ascontiguousarray(titles)
    equal = aligned == np.array(words, dtype=np.uint32)[:, None, None]  # [words, n, places]
    packed = np.zeros((*equal.shape[:2], 8), dtype=np.uint8)
    read = np.packbits(equal, axis=2, bitorder="little")
    packed[..., : read.shape[2]] = read
    return packed.view("<i8")[..., 0]


def _phrase(equal: Sequence[Bits]) -> NDArray[np.bool_]:
    """Whether all query words stand in a row somewhere [n]."""
    starts = [words >> place for place, words in enumerate(equal)]
    found: NDArray[np.bool_] = np.bitwise_and.reduce(starts) != 0
    return found


def _from_the_end(equal: Sequence[Bits], count: Bits) -> list[Bits]:
    """Of each query word, the last one first, whether it is at its place: the lowest bit [n]."""
    places = [count - 1 - behind for behind in range(len(equal))]
    return [
        np.where(place >= 0, words >> np.maximum(place, 0), 0)
        for place, words in zip(places, reversed(equal), strict=True)
    ]


def _run(at_place: Sequence[Bits]) -> NDArray[np.float64]:
    """Share of the query's words that are at their place from the first on, without a gap [n]."""
    agreed = np.bitwise_and.accumulate(at_place, axis=0) & 1
    share: NDArray[np.float64] = agreed.sum(axis=0) / len(at_place)
    return share


def _length(bits: Bits) -> NDArray[np.int64]:
    """Words up to the last one that is marked [n]; 0 where none is."""
    # A double holds all these bits, and its exponent is their number.
    return np.frexp(bits.astype(np.float64))[1].astype(np.int64)
