"""The running experiments in this process."""

from collections.abc import Mapping

from reranker.definitions.live_book import LiveBook
from reranker.experiments.experiment import Experiment
from reranker.experiments.experiment_store import ExperimentStore


class ExperimentBook(LiveBook[ExperimentStore]):
    """What `ExperimentStore` holds as running."""

    what = "experiments"

    def __init__(self, store: ExperimentStore, *, poll_seconds: float) -> None:
        super().__init__(store, poll_seconds=poll_seconds)
        self._running: Mapping[tuple[str, str], Experiment] = {}
        self._open: Mapping[str, Experiment] = {}

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

    def look(self) -> None:
        """Read what runs; raises ElasticsearchUnavailable."""
        running = [it.experiment for it in self.store.all(status="running")]
        self._running = {(it.index, it.name): it for it in running}
        # The one that was started first, should there be two.
        self._open = {it.index: it for it in reversed(running) if not it.named_only}
