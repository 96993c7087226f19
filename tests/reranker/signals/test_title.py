"""Where the query's words sit in a title: as counting word by word tells."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalogue import card
from reranker.signals import build, definition, title
from tests.reranker.signals.situations import situation

WORDS = ["lamp", "red", "card", "of", "bag"]
NAMES = [signal.name for signal in definition.TITLE]
texts = st.lists(st.sampled_from(WORDS), max_size=card.TITLE_WORDS_MAX)
queries = st.lists(st.sampled_from([*WORDS, "moon"]), min_size=1, max_size=title.QUERY_WORDS_MAX)


def expected(words: list[str], query: list[str]) -> dict[str, float]:
    if not words:
        return dict.fromkeys(NAMES, math.nan)
    hits = [place for place, word in enumerate(words) if word in query]
    spans = [words[place : place + len(query)] for place in range(len(words))]
    backwards = zip(reversed(words), reversed(query), strict=False)
    return {
        "title_words": math.log1p(len(words)),
        "query_words": math.log1p(len(query)),
        "query_covered": sum(word in words for word in query) / len(query),
        "title_covered": len(hits) / len(words),
        "phrase": float(query in spans),
        "ends_with": run(list(backwards)) / len(query),
        "starts_with": run(list(zip(words, query, strict=False))) / len(query),
        "words_after": math.log1p(len(words) - 1 - hits[-1]) if hits else math.nan,
        "words_before": math.log1p(hits[0]) if hits else math.nan,
    }


def run(pairs: list[tuple[str, str]]) -> int:
    apart = [place for place, (word, asked) in enumerate(pairs) if word != asked]
    return apart[0] if apart else len(pairs)


def computed(*args: object, **kwargs: object) -> dict[str, np.ndarray]:
    found = build.columns(situation(*args, **kwargs))  # type: ignore[arg-type]
    return {name: found[name] for name in NAMES}


@given(st.lists(texts, min_size=1, max_size=4), queries)
def test_bits_tell_what_counting_words_tells(titles: list[list[str]], query: list[str]) -> None:
    ids = [str(number) for number in range(len(titles))]
    named = {name: " ".join(words) for name, words in zip(ids, titles, strict=True)}
    found = computed(ids, titles=named, query=" ".join(query))
    for row, words in enumerate(titles):
        told = {name: float(column[row]) for name, column in found.items()}
        assert told == pytest.approx(expected(words, query), nan_ok=True, abs=1e-6)


def test_a_title_as_long_as_a_card_keeps_is_read_to_its_end() -> None:
    words = ["of"] * (card.TITLE_WORDS_MAX - 2) + ["red", "lamp"]
    found = computed(["a"], titles={"a": " ".join(words)}, query="red lamp")
    assert found["ends_with"].tolist() == [1.0]
    assert found["words_after"].tolist() == [0.0]


def test_nothing_is_known_of_an_item_without_a_card() -> None:
    absent = np.zeros(1, dtype=bool)
    found = computed(["a"], titles={"a": "red lamp"}, query="lamp", cards_present=absent)
    assert all(np.isnan(column).all() for column in found.values())
