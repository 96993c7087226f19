"""Completions and corrections, in English and Chinese."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from indexer.behaviour.phrases import Phrase
from reranker.serving.suggesting import Phrases, distance_max

KNOWN = {
    "wireless earphones": 9.0,
    "wireless charger": 8.0,
    "wireless mouse": 1.0,
    "running shoes": 7.0,
    "shoe rack": 6.0,
    "desk lamp": 5.0,
    "蓝牙耳机": 8.0,
    "无线耳机": 6.0,
    "耳机套": 4.0,
}
PHRASES = Phrases(Phrase(text, strength) for text, strength in KNOWN.items())


def completed(text: str, size: int = 10) -> list[str]:
    return [it.text for it in PHRASES.complete(text, size)]


def test_the_strongest_texts_that_begin_so_come_first() -> None:
    assert completed("wire") == ["wireless earphones", "wireless charger", "wireless mouse"]
    assert completed("WIRE", 2) == ["wireless earphones", "wireless charger"]
    assert [it.score for it in PHRASES.complete("wire", 2)] == [1.0, 0.5]


def test_then_come_those_with_a_word_that_begins_so() -> None:
    assert completed("sho") == ["shoe rack", "running shoes"]
    assert completed("ear") == ["wireless earphones"]
    assert completed("reless") == []


def test_chinese_is_completed_and_found_inside() -> None:
    assert completed("蓝") == ["蓝牙耳机"]
    assert completed("耳机") == ["耳机套", "蓝牙耳机", "无线耳机"]


def test_nothing_typed_gets_what_is_strongest() -> None:
    assert completed("", 2) == ["wireless earphones", "wireless charger"]
    assert Phrases().complete("", 5) == []


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("wireles earphnes", "wireless earphones"),
        ("Wierless Charger", "wireless charger"),
        ("蓝压耳机", "蓝牙耳机"),
        ("desk lmap", "desk lamp"),
        ("runing lamp", "running lamp"),  # no such search, but its words are known
        ("wireless earphones", None),
        ("something else", None),
        ("la", None),
        ("", None),
        ("x" * 200, None),
    ],
)
def test_what_was_meant_is_near_and_known(said: str, meant: str | None) -> None:
    assert PHRASES.meant(said) == meant


def test_a_known_text_is_corrected_only_to_one_that_is_far_more_common() -> None:
    both = Phrases([Phrase("lamp", 9.0), Phrase("lamb", 8.0), Phrase("lanp", 1.0)])
    assert both.meant("lamb") is None
    assert both.meant("lanp") == "lamp"
    assert both.meant("lamp") is None


phrase_lists = st.dictionaries(
    st.text("abc ", min_size=1, max_size=8).map(lambda it: " ".join(it.split())).filter(bool),
    st.floats(0, 10),
    max_size=12,
)


@given(phrase_lists, st.text("abc ", max_size=8), st.integers(1, 5))
def test_completions_are_known_distinct_and_as_many_as_asked_for(
    known: dict[str, float], text: str, size: int
) -> None:
    found = Phrases(Phrase(*it) for it in known.items()).complete(text, size)
    texts = [it.text for it in found]
    assert len(texts) == len(set(texts)) <= size
    assert set(texts) <= set(known)


@given(phrase_lists, st.text("abc", min_size=1, max_size=8))
def test_a_correction_of_one_word_is_another_known_text_near_to_it(
    known: dict[str, float], word: str
) -> None:
    meant = Phrases(Phrase(*it) for it in known.items()).meant(word)
    if meant is not None:
        assert meant != word
        assert any(meant in (text, *text.split()) for text in known)
        assert OSA.distance(word, meant) <= distance_max(word)
