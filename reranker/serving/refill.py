"""Item cards to look after: missing ones, and those of items shown without asking Elasticsearch."""

import time
from collections.abc import Callable, Sequence

from reranker.serving.recorder import Recorder

REFILL_TASK, REFILL_QUEUE = "indexer.tasks.refill_cards", "index"
ASKED_AGAIN_AFTER_SECONDS = 60.0
# Of cards that are there, those of one list in so many seconds are looked at.
LOOK_SECONDS = 1.0
REMEMBERED_MAX = 100_000


class Refill:
    """Hands ids on in batches, each id no more than once in a while."""

    def __init__(
        self, recorder: Recorder[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._recorder = recorder
        self._clock = clock
        self._asked: dict[tuple[str, str], float] = {}
        self._looks_at = 0.0

    def look(self, index: str, ids: Sequence[str]) -> None:
        """Now and then, let the workers see whether the documents of these items are still there
        and as their cards say.
        """
        now = self._clock()
        if now >= self._looks_at:
            self._looks_at = now + LOOK_SECONDS
            self.ask(index, ids)

    def ask(self, index: str, ids: Sequence[str]) -> None:
        """Let the workers make the cards of these items what their documents say."""
        now = self._clock()
        if len(self._asked) > REMEMBERED_MAX:
            self._asked.clear()
        for name in ids:
            if self._asked.get((index, name), 0.0) <= now:
                self._asked[index, name] = now + ASKED_AGAIN_AFTER_SECONDS
                self._recorder.record(index, name)

    def close(self) -> None:
        """Hand on what waits."""
        self._recorder.close()


def send_refill(index: str, ids: Sequence[str]) -> None:
    """Hand a batch of ids to the workers."""
    from indexer import inbox

    inbox.submit(REFILL_TASK, REFILL_QUEUE, index=index, ids=list(ids))
