"""Watches whether served signals drift from those that the serving model was trained on.

One search in so many leaves its signals behind; a thread holds the latest of them against the
reference in the model's manifest. What it finds is exported, and told in Valkey for the doctor:
hash `hw:{index}:drift`, a field a process. A search only appends to a bounded queue: when the
thread is behind, samples are lost, never time.
"""

import itertools
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson
import redis
from numpy.typing import NDArray
from redis.exceptions import RedisError

from indexer.telemetry import log
from reranker.serving import metrics
from reranker.serving.scoring import Fused
from reranker.signals import build, definition, drift
from reranker.signals.drift import Drift
from reranker.signals.situation import Situation

LISTS_MAX, LISTS_MIN = 500, 200
ROWS_MAX = 20  # of one list: candidates of one list are alike
WAITING_MAX = 32
LOOK_SECONDS = 5.0
TOLD_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Told:
    """What one process found: signals above the threshold with their index, the farthest first."""

    version: str
    lists: int
    moved: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    index: str
    version: str
    reference: Mapping[str, Any]
    signals: NDArray[np.float32]
    situation: Situation


class _Seen:
    """The latest lists that one model served."""

    def __init__(self, sample: _Sample) -> None:
        self.version = sample.version
        self.reference = sample.reference
        self.lists: deque[tuple[NDArray[np.float16], NDArray[np.bool_]]] = deque(maxlen=LISTS_MAX)

    def add(self, sample: _Sample) -> None:
        """Keep some rows of a list, evenly spread, with what of them is missing."""
        rows = np.linspace(0, len(sample.signals) - 1, min(len(sample.signals), ROWS_MAX))
        at = rows.round().astype(np.intp)
        raw = build.columns(sample.situation)
        missing = np.stack([~np.isfinite(raw[name][at]) for name in definition.NAMES], axis=1)
        self.lists.append((sample.signals[at].astype(np.float16), missing))

    def drift(self) -> dict[str, Drift]:
        """How far each signal moved; empty before there are enough lists."""
        if len(self.lists) < LISTS_MIN:
            return {}
        signals = np.concatenate([signals for signals, _ in self.lists])
        return drift.measure(self.reference, signals, len(self.lists))

    def missing(self) -> NDArray[np.float64]:
        """Share of values that were not known [signals]."""
        share: NDArray[np.float64] = np.concatenate([m for _, m in self.lists]).mean(axis=0)
        return share


class DriftWatch:
    """Takes samples of one process; `tell` says what it found of an index."""

    def __init__(
        self,
        *,
        sample_every: int,
        threshold: float,
        tell: Callable[[str, Told], None] = lambda _index, _told: None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._sample_every = sample_every
        self._threshold = threshold
        self._tell = tell
        self._look_seconds = look_seconds
        self._numbers = itertools.count(1)
        self._waiting: deque[_Sample] = deque(maxlen=WAITING_MAX)
        self._seen: dict[str, _Seen] = {}
        self._alarmed: dict[str, str] = {}
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def sample(self, index: str, fused: Fused) -> None:
        """Take one list in so many of those that a model scored."""
        if fused.scorer is None or fused.situation is None or fused.inputs is None:
            return
        if self._sample_every == 0 or next(self._numbers) % self._sample_every:
            return
        manifest = fused.scorer.artifact.manifest
        signals = fused.inputs["signals"]
        self._waiting.append(
            _Sample(index, manifest.version, manifest.reference, signals, fused.situation)
        )
        self._start()

    def look(self) -> None:
        """Work off what waits; export and tell what the latest lists say."""
        while self._waiting:
            sample = self._waiting.popleft()
            seen = self._seen.get(sample.index)
            if seen is None or seen.version != sample.version:
                seen = self._seen[sample.index] = _Seen(sample)
            seen.add(sample)
        for index, seen in self._seen.items():
            self._report(index, seen)

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()

    def _report(self, index: str, seen: _Seen) -> None:
        found = seen.drift()
        for name, moved in found.items():
            metrics.SIGNAL_DRIFT.labels(index, name).set(moved.index)
        if len(seen.lists) >= LISTS_MIN:
            for name, share in zip(definition.NAMES, seen.missing().tolist(), strict=True):
                metrics.SIGNAL_MISSING.labels(index, name).set(share)
        if found:
            above = drift.moved(found, self._threshold)
            self._tell(index, Told(seen.version, len(seen.lists), above))
            self._alarm(index, seen.version, above)

    def _alarm(self, index: str, version: str, above: Mapping[str, float]) -> None:
        """One log line a model, when the first signal is above."""
        if above and self._alarmed.get(index) != version:
            self._alarmed[index] = version
            log("drift").warning(
                "signals_drift", index=index, version=version, signals=list(above)[:10]
            )

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="drift", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._look_seconds):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the next look may be better
                log("drift").warning("drift_not_measured", error=type(error).__name__)


def teller(client: redis.Redis, clock: Callable[[], float] = time.time) -> Callable[..., None]:
    """Tells what this process found; a process that is gone falls silent and is passed over."""
    process = f"{socket.gethostname()}:{os.getpid()}"

    def tell(index: str, told: Told) -> None:
        try:
            key = _key(index)
            client.hset(key, process, orjson.dumps({**asdict(told), "at": clock()}).decode())
            client.expire(key, TOLD_SECONDS)
        except RedisError as error:
            log("drift").warning("drift_not_told", error=type(error).__name__)

    return tell


def read_told(client: redis.Redis, index: str, now: float) -> list[Told]:
    """What the processes that serve an index found lately."""
    said: Any = client.hgetall(_key(index))
    found = [orjson.loads(value) for value in said.values()]
    return [
        Told(it["version"], it["lists"], it["moved"])
        for it in found
        if it["at"] > now - TOLD_SECONDS
    ]


def _key(index: str) -> str:
    return f"hw:{index}:drift"
