"""The order of a search, kept for its later pages, so that no page repeats or skips.

A pin is one value in Valkey under a digest of everything that decides the order: the request
without its page, the shopper, the credentials and the query id. What is pinned also fixes the
total and the facets. Each page that is read keeps it anew.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from indexer.errors import ValkeyUnavailable
from reranker.experiments import exposure
from reranker.experiments.exposure import Exposure
from reranker.retrieval.candidates import Total
from reranker.retrieval.request import RankedRequest
from reranker.rules import effects
from reranker.rules.effects import NO_EFFECTS, Effects
from reranker.serving import exploration
from reranker.serving.call import Call
from reranker.serving.exploration import Exploration
from reranker.serving.memory import Memory

# How far first sort values are apart at least: more than what float32 leaves of a score.
CURSOR_STEP = 1e-4

# What changes how hits are shown, not which hits come in which order.
SHOWN_ONLY = frozenset(
    {
        *("from", "size", "_source", "fields", "docvalue_fields", "stored_fields", "highlight"),
        *("script_fields", "explain", "version", "seq_no_primary_term", "timeout", "track_scores"),
        "search_after",
    }
)


@dataclass(frozen=True, slots=True)
class Pin:
    """A kept order: ids with their scores, and what was said about the whole match set.

    `complete` says that nothing follows the last id; otherwise Elasticsearch's order continues.
    `effects` are those of the rules that it was made under, which hold for all its pages, and so
    does the arm of an experiment in `exposure`; `diversity` is what is said of its variety,
    `explored` what was tried in it.
    """

    ids: Sequence[str]
    scores: Sequence[float]
    total: Total | None
    model: str | None
    degraded: str | None
    aggregations: Mapping[str, Any] | None = None
    suggest: Mapping[str, Any] | None = None
    complete: bool = False
    effects: Effects = NO_EFFECTS
    exposure: Exposure | None = None
    diversity: Mapping[str, Any] | None = None
    explored: Exploration | None = None

    def fits_on(self, request: RankedRequest) -> bool:
        """Whether one page from the start shows all there is, so that none can follow."""
        return self.complete and request.start == 0 and request.size >= len(self.ids)

    def cursors(self, start: int, ids: Sequence[str]) -> dict[str, float]:
        """The first sort value of each of `ids`, the first of which stands at `start`.

        It is the hit's score, but strictly falling, also behind what is pinned, so that it tells
        where a page that comes after the hit begins.
        """
        falling = self._falling()
        last = falling[-1] if falling else 0.0
        further = [last - CURSOR_STEP * n for n in range(1, start + len(ids) - len(falling) + 1)]
        return dict(zip(ids, [*falling, *further][start:], strict=False))

    def place_after(self, cursor: float) -> int:
        """The place behind the hit with this first sort value."""
        falling = self._falling()
        place = sum(1 for value in falling if value > cursor - CURSOR_STEP / 2)
        if place < len(falling) or not falling:
            return place
        return place + max(round((falling[-1] - cursor) / CURSOR_STEP), 0)

    def _falling(self) -> list[float]:
        falling: list[float] = []
        for score in self.scores:
            highest = falling[-1] - CURSOR_STEP if falling else float("inf")
            falling.append(min(float(score), highest))
        return falling


class Pins:
    """Keeps and reads pins; a server that fails means no pin, never an error."""

    def __init__(self, memory: Memory, *, ttl_seconds: int) -> None:
        self._memory = memory
        self._ttl_seconds = ttl_seconds

    def read(self, key: str) -> Pin | None:
        """The pin under `key`, None when there is none or it cannot be read."""
        try:
            blob = self._memory.get_and_keep(key, ttl_seconds=self._ttl_seconds)
        except ValkeyUnavailable:
            return None
        return None if blob is None else decode(blob)

    def keep(self, key: str, pin: Pin) -> None:
        """Pin an order; sent before the answer, not waited for."""
        self._memory.put(key, encode(pin), ttl_seconds=self._ttl_seconds)

    def read_further(self, key: str, pin: Pin) -> list[str] | None:
        """Ids behind those of `pin`, as fixed before; None when they are not."""
        try:
            blob = self._memory.get_and_keep(_further(key, pin), ttl_seconds=self._ttl_seconds)
        except ValkeyUnavailable:
            return None
        return None if blob is None else orjson.loads(blob)

    def keep_further(self, key: str, pin: Pin, ids: Sequence[str]) -> Sequence[str]:
        """Fix the ids behind those of `pin`, unless others were fixed meanwhile: those hold."""
        name, blob = _further(key, pin), orjson.dumps(list(ids))
        with suppress(ValkeyUnavailable):
            if not self._memory.put_first(name, blob, ttl_seconds=self._ttl_seconds):
                return self.read_further(key, pin) or ids
        return ids


def key_of(call: Call) -> str:
    """Where the order of this search is kept; by shopper, so that a person can be erased."""
    request, generation = call.request, call.generation
    deciding = {name: part for name, part in request.body.items() if name not in SHOWN_ONLY}
    # Not those of the arm: the order stays when its experiment ends between two pages.
    options = call.part.asked if call.part else request.options
    parts = [
        *(deciding, request.text, options.mode, options.window, options.diversity),
        *(options.context, options.experiment, call.shopper, call.credentials),
        request.ubi.query_id,
        *(generation.concrete, request.leg_params),
        *([[rule.model_dump_json() for rule in call.rules.rules]] if call.draft else []),
    ]
    canonical = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    digest = hashlib.blake2b(canonical, digest_size=12).hexdigest()
    return f"hw:{generation.index}:page:{call.shopper or ''}:{digest}"


def encode(pin: Pin) -> bytes:
    """A pin as one value."""
    total = None if pin.total is None else (pin.total.value, pin.total.exact)
    return orjson.dumps(
        [
            *(list(pin.ids), list(pin.scores), total, pin.model, pin.degraded),
            *(pin.aggregations, pin.suggest, pin.complete, effects.kept(pin.effects)),
            None if pin.exposure is None else pin.exposure.kept(),
            *(pin.diversity, exploration.kept(pin.explored)),
        ],
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def decode(blob: bytes) -> Pin:
    """The pin of a value."""
    ids, scores, total, model, degraded, aggregations, suggest, complete, *more = orjson.loads(blob)
    return Pin(
        ids=ids,
        scores=scores,
        total=None if total is None else Total(*total),
        model=model,
        degraded=degraded,
        aggregations=aggregations,
        suggest=suggest,
        complete=complete,
        effects=effects.from_kept(more[0] if more else None),
        exposure=exposure.from_kept(more[1] if len(more) > 1 else None),
        diversity=more[2] if len(more) > 2 else None,
        explored=exploration.from_kept(more[3] if len(more) > 3 else None),
    )


def _further(key: str, pin: Pin) -> str:
    """What follows belongs to exactly these ids, not to a later order of the same search."""
    ids = hashlib.blake2b("\0".join(pin.ids).encode(), digest_size=8).hexdigest()
    return f"{key}:{ids}"
