"""How a search may go on, and what was meant, from texts of searches that led to something. Pure.

A text is only ever corrected to one that shoppers searched for with success, letter by letter near
to it; what is known itself is left alone, unless another is far more common.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest

from rapidfuzz import process
from rapidfuzz.distance import OSA

from indexer.behaviour.event import query_key
from indexer.behaviour.phrases import TEXT_CHARACTERS_MAX, Phrase

# As often, as a power of 2, that another text must be to correct one that is known: ten times.
FAR_MORE = 3.3
UNPARTED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A text with its share of the strongest one's count."""

    text: str
    score: float


class Phrases:
    """Known texts, ready to be looked up."""

    def __init__(self, phrases: Iterable[Phrase] = ()) -> None:
        self._strength = {it.text: it.strength for it in phrases}
        self._texts = sorted(self._strength)
        self._words = _vocabulary(self._strength)
        self._word_list = list(self._words)

    def __len__(self) -> int:
        return len(self._texts)

    def complete(self, text: str, size: int) -> list[Suggestion]:
        """The strongest texts that begin as `text` does; then those with a word that does.

        Texts of a script without spaces may have it anywhere.
        """
        begun = query_key(text)
        first = self._beginning(begun) if begun else self._texts
        found = nlargest(size, (it for it in first if it != begun), self._strength.__getitem__)
        if begun and len(found) < size:
            within = begun if UNPARTED.search(begun) else f" {begun}"
            others = (it for it in self._texts if within in it and not it.startswith(begun))
            found += nlargest(size - len(found), others, self._strength.__getitem__)
        best = max((self._strength[it] for it in found), default=0.0)
        return [Suggestion(it, round(2.0 ** (self._strength[it] - best), 4)) for it in found]

    def meant(self, text: str) -> str | None:
        """The text that was probably meant; None where there is none or `text` is fine."""
        said = query_key(text)
        if not said or len(said) > TEXT_CHARACTERS_MAX:
            return None
        whole = _nearest(said, self._texts, self._strength)
        if whole is not None or said in self._strength:
            return whole
        words = said.split(" ")
        mended = [self._mended(word) for word in words]
        return " ".join(mended) if mended != words else None

    def _mended(self, word: str) -> str:
        if word in self._words:
            return word
        return _nearest(word, self._word_list, self._words) or word

    def _beginning(self, begun: str) -> Sequence[str]:
        start = bisect_left(self._texts, begun)
        end = bisect_left(self._texts, begun + "\U0010ffff")
        return self._texts[start:end]


def distance_max(text: str) -> int:
    """How many letters may differ: the shorter a text, the more others lie near to it."""
    return 0 if len(text) < 3 else 1 if len(text) < 6 else 2


def _nearest(said: str, texts: Sequence[str], strength: dict[str, float]) -> str | None:
    """The nearest other text, of equally near ones the strongest."""
    most = distance_max(said)
    if not most:
        return None
    near = process.extract(said, texts, scorer=OSA.distance, score_cutoff=most, limit=None)
    least = strength[said] + FAR_MORE if said in strength else float("-inf")
    others = [(apart, -strength[it]) for it, apart, _ in near if it != said]
    named = [it for it, _, _ in near if it != said]
    chosen = [(rank, it) for rank, it in zip(others, named, strict=True) if strength[it] >= least]
    return min(chosen)[1] if chosen else None


def _vocabulary(strength: dict[str, float]) -> dict[str, float]:
    """Words of all texts, as strong as the strongest text that has them."""
    words: dict[str, float] = {}
    for text, its in strength.items():
        for word in text.split(" "):
            words[word] = max(its, words.get(word, its))
    return words
