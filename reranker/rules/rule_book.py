"""The live rules of every index in this process."""

from collections.abc import Mapping

from reranker.definitions.definition_index import Place
from reranker.definitions.live_book import LiveBook
from reranker.rules.matching import NO_RULES, RuleSet
from reranker.rules.rule_store import RuleStore


class RuleBook(LiveBook[RuleStore]):
    """What `RuleStore` holds as live."""

    what = "rules"

    def __init__(self, store: RuleStore, *, poll_seconds: float) -> None:
        super().__init__(store, poll_seconds=poll_seconds)
        self._places: Mapping[str, Place] = {}
        self._live: dict[str, RuleSet] = {}

    def find(self, index: str) -> RuleSet:
        """The live rules of an index."""
        return self._live.get(index, NO_RULES)

    def look(self) -> None:
        """Read what changed since the last look; raises ElasticsearchUnavailable."""
        places = self.store.places()
        for index in {*places, *self._live}:
            if places.get(index) != self._places.get(index):
                self._live[index] = RuleSet(list(self.store.read(index).live.values()))
        self._places = places
