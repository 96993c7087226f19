"""The live rules of every index in this process, looked after by a thread, never by a search.

While Elasticsearch does not answer, what was known last holds.
"""

import threading
from collections.abc import Mapping

from indexer.errors import HitweaveError
from indexer.telemetry import log
from reranker.rules.matching import NO_RULES, RuleSet
from reranker.rules.rule_store import RuleStore


class RuleBook:
    """What `RuleStore` holds as live, at the most `poll_seconds` old."""

    def __init__(self, store: RuleStore, *, poll_seconds: float) -> None:
        self.store = store
        self._poll_seconds = poll_seconds
        self._places: Mapping[str, tuple[int, int]] = {}
        self._live: dict[str, RuleSet] = {}
        self._stop = threading.Event()
        self._failed = False

    def find(self, index: str) -> RuleSet:
        """The live rules of an index."""
        return self._live.get(index, NO_RULES)

    def start(self) -> None:
        """Look once now, then again and again in a thread."""
        self._try_to_look()
        threading.Thread(target=self._run, name="rules", daemon=True).start()

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()

    def look(self) -> None:
        """Read what changed since the last look; raises ElasticsearchUnavailable."""
        places = self.store.places()
        for index in {*places, *self._live}:
            if places.get(index) != self._places.get(index):
                self._live[index] = RuleSet(list(self.store.read(index).live.values()))
        self._places = places

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
                log("rules").warning("rules_not_read", reason=error.message)
        except Exception as error:  # noqa: BLE001 - the next look may be better
            if not failed_before:
                log("rules").warning("rules_not_read", error=type(error).__name__)
