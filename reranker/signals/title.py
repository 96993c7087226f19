"""How the query's words sit in the title: how many, in a row, at which end; pure.

What a thing is stands at one end of its name ("birthday card" is a card, "card holder" is not), so
where the match lies tells more than that there is one.
"""

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue import card
from reranker.signals.listwise import Array, log1p
from reranker.signals.situation import Situation

QUERY_WORDS_MAX = 8


def compute(situation: Situation) -> dict[str, Array]:
    """Columns [n] of the family `title`; NaN where there is no card or no query text."""
    query = np.array(card.words(situation.query)[:QUERY_WORDS_MAX], dtype=np.uint32)
    titles: NDArray[np.uint32] = situation.cards["title_words"]  # [n, words]
    count = (titles != 0).sum(axis=1)
    if not len(query):
        return _unknown(len(titles), count)
    equal = titles[:, :, None] == query  # [n, words, query words]
    hit = equal.any(axis=2)
    known = situation.cards_present & (count > 0)
    found = {
        "title_words": log1p(count.astype(np.float32)),
        "query_words": np.full(len(titles), np.log1p(len(query))),
        "query_covered": equal.any(axis=1).mean(axis=1),
        "title_covered": hit.sum(axis=1) / np.maximum(count, 1),
        "phrase": _phrase(equal),
        "ends_with": _run(_ending(titles, count, len(query)), query[::-1]),
        "starts_with": _run(titles[:, : len(query)], query),
        "words_after": np.log1p(count - 1 - _last(hit)),
        "words_before": np.log1p(hit.argmax(axis=1)),
    }
    matched = hit.any(axis=1)
    for name in ("words_after", "words_before"):
        found[name] = np.where(matched, found[name], np.nan)
    return {
        name: np.where(known, column, np.nan).astype(np.float32) for name, column in found.items()
    }


def _unknown(n: int, count: NDArray[np.intp]) -> dict[str, Array]:
    names = ("query_words", "query_covered", "title_covered", "phrase", "ends_with")
    unknown = np.full(n, np.nan, dtype=np.float32)
    rest = dict.fromkeys((*names, "starts_with", "words_after", "words_before"), unknown)
    return {"title_words": log1p(count.astype(np.float32)), **rest}


def _phrase(equal: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Whether all query words stand in a row somewhere [n]."""
    places = equal.shape[1] - equal.shape[2] + 1
    row = np.ones((equal.shape[0], places), dtype=bool)
    for word in range(equal.shape[2]):
        row &= equal[:, word : word + places, word]
    found: NDArray[np.float64] = np.asarray(row.any(axis=1), dtype=np.float64)
    return found


def _ending(titles: NDArray[np.uint32], count: NDArray[np.intp], length: int) -> NDArray[np.uint32]:
    """The last `length` words of each title, last first [n, length]; 0 beyond its start."""
    place = count[:, None] - 1 - np.arange(length)
    words = np.take_along_axis(titles, np.maximum(place, 0), axis=1)
    return np.where(place >= 0, words, 0).astype(np.uint32)


def _run(words: NDArray[np.uint32], query: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Share of the query's words that agree from the first on, without a gap [n]."""
    agreed = np.logical_and.accumulate(words == query, axis=1)
    share: NDArray[np.float64] = agreed.sum(axis=1) / max(len(query), 1)
    return share


def _last(hit: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Place of the last match [n]; meaningless where there is none."""
    last: NDArray[np.intp] = hit.shape[1] - 1 - hit[:, ::-1].argmax(axis=1)
    return last
