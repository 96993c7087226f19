"""The running experiments in this process, looked after by a thread, never by a search.

While Elasticsearch does not answer, what was known last goes on.
"""

import threading
from collections.abc import Mapping

from indexer.errors import HitweaveError
from indexer.telemetry import log
from reranker.experiments.experiment import Experiment
from reranker.experiments.experiment_store import ExperimentStore


class ExperimentBook:
    """What `ExperimentStore` holds as running, at the most `poll_seconds` old."""

    def __init__(self, store: ExperimentStore, *, poll_seconds: float) -> None:
        self.store = store
        self._poll_seconds = poll_seconds
        self._running: Mapping[tuple[str, str], Experiment] = {}
        self._open: Mapping[str, Experiment] = {}
        self._stop = threading.Event()
        self._failed = False

    def find(self, index: str, name: str | None) -> Experiment | None:
        """The running experiment that a search names, or without a name the one for everyone."""
        if name is not None:
            return self._running.get((index, name))
        return self._open.get(index)

    def models(self) -> set[tuple[str, str]]:
        """Index and version of every model that some arm asks for."""
        return {
            (it.index, arm.model)
            for it in self._running.values()
            for arm in it.arms
            if arm.model is not None
        }

    def start(self) -> None:
        """Look once now, then again and again in a thread."""
        self._try_to_look()
        threading.Thread(target=self._run, name="experiments", daemon=True).start()

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()

    def look(self) -> None:
        """Read what runs; raises ElasticsearchUnavailable."""
        running = [it.experiment for it in self.store.all(status="running")]
        self._running = {(it.index, it.name): it for it in running}
        # The one that was started first, should there be two.
        self._open = {it.index: it for it in reversed(running) if not it.named_only}

    def _run(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            self._try_to_look()

    def _try_to_look(self) -> None:
        """Look; of failures in a row the first is logged."""
        failed_before, self._failed = self._failed, True
        try:
            self.look()
            self._failed = False
        except HitweaveError as error:
            if not failed_before:
                log("experiments").warning("experiments_not_read", reason=error.message)
        except Exception as error:  # noqa: BLE001 - the next look may be better
            if not failed_before:
                log("experiments").warning("experiments_not_read", error=type(error).__name__)
