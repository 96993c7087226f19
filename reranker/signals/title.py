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
_PLACES = np.exp2(np.arange(card.TITLE_WORDS_MAX, dtype=np.float32))
Bits = NDArray[np.int64]  # a bit for each word of a title, at most TITLE_WORDS_MAX


def compute(situation: Situation) -> dict[str, Array]:
    """Columns [n] of the family `title`; NaN where there is no card or no query text."""
    query = card.words(situation.query)[:QUERY_WORDS_MAX]
    found = _bits(situation.cards["title_words"], [*query, 0])
    equal, count = found[:-1], card.TITLE_WORDS_MAX - np.bitwise_count(found[-1]).astype(np.int64)
    if not query:
        return _unknown(count)
    hit = np.bitwise_or.reduce(equal)
    hits = np.bitwise_count(hit).astype(np.int64)
    matched = np.where(hit != 0, 0.0, np.nan)
    from_the_start = equal >> np.arange(len(equal))[:, None]
    columns = {
        "title_words": np.log1p(count),
        "query_words": np.full(len(count), np.log1p(len(query))),
        "query_covered": (equal != 0).sum(axis=0) / len(query),
        "title_covered": hits / np.maximum(count, 1),
        # All words of the query in a row somewhere.
        "phrase": np.bitwise_and.reduce(from_the_start) != 0,
        "ends_with": _run(_from_the_end(equal, count)),
        "starts_with": _run(from_the_start),
        "words_after": np.log1p(count - _length(hit)) + matched,
        "words_before": np.log1p(_length(hit & -hit) - 1.0) + matched,
    }
    table = np.stack(list(columns.values())).astype(np.float32)
    table[:, ~(situation.cards_present & (count > 0))] = np.nan
    return dict(zip(columns, table, strict=True))


def _unknown(count: Bits) -> dict[str, Array]:
    names = ("query_words", "query_covered", "title_covered", "phrase", "ends_with")
    unknown = np.full(len(count), np.nan, dtype=np.float32)
    rest = dict.fromkeys((*names, "starts_with", "words_after", "words_before"), unknown)
    return {"title_words": log1p(count.astype(np.float32)), **rest}


def _bits(titles: NDArray[np.uint32], words: Sequence[int]) -> Bits:
    """Where in each title each of the words stands [words, n]."""
    aligned = np.ascontiguousarray(titles)
    equal = aligned == np.array(words, dtype=np.uint32)[:, None, None]  # [words, n, places]
    # A float32 holds a sum of so many bits exactly.
    found: Bits = (equal.astype(np.float32) @ _PLACES).astype(np.int64)
    return found


def _from_the_end(equal: Bits, count: Bits) -> Bits:
    """Of each query word, the last one first, whether it is at its place: the lowest bit
    [words, n].
    """
    place = count - 1 - np.arange(len(equal))[:, None]
    return np.where(place >= 0, equal[::-1] >> np.maximum(place, 0), 0)


def _run(at_place: Bits) -> NDArray[np.float64]:
    """Share of the query's words that are at their place from the first on, without a gap [n]."""
    agreed = np.bitwise_and.accumulate(at_place, axis=0) & 1
    share: NDArray[np.float64] = agreed.sum(axis=0) / len(at_place)
    return share


def _length(bits: Bits) -> NDArray[np.int64]:
    """Words up to the last one that is marked [n]; 0 where none is."""
    # A double holds all these bits, and its exponent is their number.
    return np.frexp(bits.astype(np.float64))[1].astype(np.int64)
