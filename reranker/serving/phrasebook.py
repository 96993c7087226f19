"""The texts of an index's successful searches, as Valkey holds them, kept in the process.

Looked at when somebody asks, at the most once a moment; only buckets that changed are read anew.
Without Valkey what was known last is used, and said to be no more than that.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain

from indexer.behaviour import phrases
from indexer.behaviour.phrases import Phrase
from indexer.errors import ValkeyUnavailable
from reranker.serving.memory import Memory
from reranker.serving.suggesting import Phrases

LOOK_SECONDS = 1.0


@dataclass(slots=True)
class _Kept:
    looked_at: float = float("-inf")
    degraded: str | None = None
    revision: bytes | None = None
    blobs: list[bytes | None] = field(default_factory=lambda: [None] * phrases.BUCKETS)
    buckets: list[list[Phrase]] = field(
        default_factory=lambda: [[] for _ in range(phrases.BUCKETS)]
    )
    known: Phrases = field(default_factory=Phrases)


class Phrasebook:
    """Known texts by index."""

    def __init__(self, memory: Memory, clock: Callable[[], float] = time.monotonic) -> None:
        self._memory = memory
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._looking = threading.Lock()

    def find(self, index: str) -> Phrases:
        """What is known for an index."""
        with self._looking:
            kept = self._kept.setdefault(index, _Kept())
            if self._clock() - kept.looked_at >= LOOK_SECONDS:
                try:
                    self._look(index, kept)
                    kept.degraded = None
                except ValkeyUnavailable:
                    kept.degraded = "valkey_unavailable"
                kept.looked_at = self._clock()
            return kept.known

    def degraded(self, index: str) -> str | None:
        """Why what was found last may be less than there is; None where it is not."""
        return self._kept.get(index, _Kept()).degraded

    def _look(self, index: str, kept: _Kept) -> None:
        reading = self._memory.ask(index, [])
        reading.finish()
        revision = reading.revisions[0]
        if revision is not None and revision == kept.revision:
            return
        reading = self._memory.ask(index, phrases.KEYS)
        blobs = reading.finish()
        changed = [row for row, blob in enumerate(blobs) if blob != kept.blobs[row]]
        for row in changed:
            kept.buckets[row] = phrases.read(blobs[row])
        kept.blobs, kept.revision = blobs, reading.revisions[0]
        if changed:
            kept.known = Phrases(chain.from_iterable(kept.buckets))
