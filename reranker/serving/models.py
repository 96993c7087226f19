"""Which model serves each index: followed on disk, swapped whole, never half.

A thread looks at the pointer of each index in the registry. A new artifact is loaded beside the
serving one and used once before it takes over; a broken one is refused with a log line, and the
old one keeps serving. What serves in this process is told in Valkey, so that `train` can wait.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from redis.exceptions import RedisError

from indexer.errors import InvalidArtifact
from indexer.telemetry import log
from reranker.fusion import artifact
from reranker.fusion.registry import CURRENT
from reranker.fusion.scorer import Scorer
from reranker.serving import metrics
from reranker.signals.item_table import ItemTable

GONE_AFTER_SECONDS = 15
NO_MODEL = "none"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that serves; `scorer` is thread safe."""

    version: str
    scorer: Scorer
    item_table: ItemTable
    recipe_digest: str


class Models:
    """The serving model of each index; None means the untrained prior."""

    def __init__(
        self,
        folder: Path,
        *,
        poll_seconds: float,
        indices: Callable[[], Iterable[str]] = tuple,
        tell: Callable[[Mapping[str, str]], None] | None = None,
        beside: Callable[[], Collection[tuple[str, str]]] = tuple,
    ) -> None:
        self._folder = folder
        self._poll_seconds = poll_seconds
        self._known_indices = indices
        self._tell = tell
        self._wanted_beside = beside
        self._serving: dict[str, Loaded] = {}
        self._beside: dict[tuple[str, str], Loaded | None] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._changing = threading.Lock()
        self._stop = threading.Event()

    def serving(self, index: str, recipe_digest: str) -> Loaded | None:
        """The model of an index, as last loaded, where it was made for vectors of that recipe."""
        return self.found(index, recipe_digest)[0]

    def should_serve(self, index: str) -> bool:
        """Whether some model was promoted, loaded or not, fitting or not."""
        return index in self._seen

    def found(self, index: str, recipe_digest: str) -> tuple[Loaded | None, bool]:
        """Both of the above, of one moment."""
        with self._changing:
            loaded, promoted = self._serving.get(index), index in self._seen
        fits = loaded is not None and loaded.recipe_digest == recipe_digest
        return loaded if fits else None, promoted

    def version_of(self, index: str, recipe_digest: str, version: str) -> Loaded | None:
        """A version that serves some searches only, where it is loaded and fits the vectors."""
        loaded = self._beside.get((index, version))
        return loaded if loaded is not None and loaded.recipe_digest == recipe_digest else None

    def version(self, index: str) -> str | None:
        """Which model serves an index; None for the prior."""
        loaded = self._serving.get(index)
        return None if loaded is None else loaded.version

    def start(self) -> None:
        """Look once now, then again and again in a thread."""
        self.look()
        threading.Thread(target=self._run, name="models", daemon=True).start()

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()

    def look(self) -> None:
        """Load every model whose pointer changed since the last look, and tell what serves."""
        indices = self._indices()
        for index in indices:
            pointer = self._folder / index / CURRENT
            try:
                found = pointer.stat()
            except OSError:
                with self._changing:
                    self._seen.pop(index, None)
                    self._serving.pop(index, None)
                continue
            stamp = (found.st_mtime_ns, found.st_ino)
            if self._seen.get(index) != stamp:
                # What served before is right until the load has ended, one way or the other.
                loaded = self._load_current(index, pointer)
                with self._changing:
                    self._seen[index] = stamp
                    if loaded is not None:
                        self._serving[index] = loaded
        self._look_beside()
        if self._tell is not None:
            self._tell({index: self.version(index) or NO_MODEL for index in indices})

    def _look_beside(self) -> None:
        """Load versions that some searches ask for; one that is broken is tried once."""
        wanted = set(self._wanted_beside())
        for index, version in wanted - self._beside.keys():
            folder = self._folder / index / version
            self._beside[index, version] = self._load(index, folder, version)
        for key in self._beside.keys() - wanted:
            del self._beside[key]

    def _indices(self) -> list[str]:
        """Indices with a folder in the registry, and those that are served without one."""
        try:
            found = {entry.name for entry in self._folder.iterdir() if entry.is_dir()}
        except OSError:
            found = set()
        return sorted({*found, *self._serving, *self._known_indices()})

    def _load_current(self, index: str, pointer: Path) -> Loaded | None:
        try:
            version = pointer.read_text("utf-8").strip()
        except (OSError, ValueError):
            version = ""  # no folder of that name is a model
        return self._load(index, self._folder / index / version, version)

    def _load(self, index: str, folder: Path, version: str) -> Loaded | None:
        try:
            loaded = _open(folder, version)
        except (InvalidArtifact, OSError, ValueError) as error:
            metrics.MODEL_LOADS.labels("refused").inc()
            log("models").error(
                "model_refused", index=index, error=type(error).__name__, reason=str(error)
            )
            return None
        metrics.MODEL_LOADS.labels("loaded").inc()
        log("models").info("model_serves", index=index, version=version)
        return loaded

    def _run(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the next look may be better
                log("models").warning("look_failed", error=type(error).__name__)


def _open(folder: Path, version: str) -> Loaded:
    opened = artifact.load(folder)
    scorer = Scorer(opened)
    return Loaded(version, scorer, opened.item_table, opened.manifest.recipe_digest)


def teller(client: redis.Redis) -> Callable[[Mapping[str, str]], None]:
    """Tells in Valkey what serves in this process: hash `hw:{index}:serving`, a field a process.

    Who has not said anything for a while is gone, and is taken out.
    """
    process = f"{socket.gethostname()}:{os.getpid()}"

    def tell(versions: Mapping[str, str]) -> None:
        now = time.time()
        try:
            for index, version in versions.items():
                key = f"hw:{index}:serving"
                client.hset(key, process, f"{version} {now:.0f}")
                client.expire(key, GONE_AFTER_SECONDS)
                told: Any = client.hgetall(key)
                if gone := [name for name, said in told.items() if _is_old(said, now)]:
                    client.hdel(key, *gone)
        except RedisError as error:
            log("models").warning("serving_not_told", error=type(error).__name__)

    return tell


def _is_old(said: bytes, now: float) -> bool:
    moment = said.rpartition(b" ")[2]
    return not moment.isdigit() or float(moment) < now - GONE_AFTER_SECONDS
