"""How the query's words sit in the title: how many, in a row, at which end; pure.

What a thing is stands at one end of its name ("birthday card" is a card, "card holder" is not), so
where the match lies tells more than that there is one.
"""

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue import card
from reranker.signals import definition
from reranker.signals.compiled import FLAGS, INTO, TOKEN_ROWS, TOKENS, callee, compiled, logged
from reranker.signals.listwise import Array
from reranker.signals.situation import Situation

QUERY_WORDS_MAX = 8
(
    TITLE_WORDS,
    QUERY_WORDS,
    QUERY_COVERED,
    TITLE_COVERED,
    PHRASE,
    ENDS_WITH,
    STARTS_WITH,
    WORDS_AFTER,
    WORDS_BEFORE,
) = range(len(definition.TITLE))


def compute(situation: Situation, into: Array) -> None:
    """Write the family `title` [its signals, n]; NaN where there is no card or no query text."""
    query = np.array(card.words(situation.query)[:QUERY_WORDS_MAX], dtype=np.uint32)
    _compute(situation.cards["title_words"], query, situation.cards_present, into)


@callee
def _hits(words: NDArray[np.uint32], among: NDArray[np.uint32]) -> tuple[int, int, int]:
    """How many words are among the others; where the first and the last of them stand, -1: none."""
    hits, first, last = 0, -1, -1
    for place in range(len(words)):
        for other in among:
            if words[place] == other:
                hits += 1
                first = place if first < 0 else first
                last = place
                break
    return hits, first, last


@callee
def _run(words: NDArray[np.uint32], others: NDArray[np.uint32]) -> int:
    """How many words of both are the same, one by one from the first, before one is not."""
    run = 0
    while run < min(len(words), len(others)) and words[run] == others[run]:
        run += 1
    return run


@compiled(TOKEN_ROWS, TOKENS, FLAGS, INTO)
def _compute(
    titles: NDArray[np.uint32], query: NDArray[np.uint32], present: NDArray[np.bool_], into: Array
) -> None:
    places, asked = titles.shape[1], len(query)
    for i in range(len(titles)):
        count = 0
        while count < places and titles[i, count] != 0:
            count += 1
        into[TITLE_WORDS, i] = logged(count)
        if asked == 0 or count == 0 or not present[i]:
            into[TITLE_WORDS if asked else QUERY_WORDS :, i] = np.nan
            continue
        hits, first, last = _hits(titles[i, :count], query)
        into[QUERY_WORDS, i] = logged(asked)
        into[QUERY_COVERED, i] = _hits(query, titles[i, :count])[0] / asked
        into[TITLE_COVERED, i] = hits / count
        into[PHRASE, i] = False  # all words of the query in a row somewhere
        for start in range(count - asked + 1):
            if _run(titles[i, start : start + asked], query) == asked:
                into[PHRASE, i] = True
                break
        into[ENDS_WITH, i] = _run(titles[i, :count][::-1], query[::-1]) / asked
        into[STARTS_WITH, i] = _run(titles[i, :count], query) / asked
        into[WORDS_AFTER, i] = logged(count - 1 - last) if hits else np.nan
        into[WORDS_BEFORE, i] = logged(first) if hits else np.nan
