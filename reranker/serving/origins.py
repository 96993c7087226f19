"""What browsers of other origins may read: the node's own CORS settings, asked once in a while.

Answers that are made here carry the headers that the node's would. Where the node does not answer,
what it said last is believed; an origin that it was never asked about gets no headers.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from indexer.errors import HitweaveError
from reranker.retrieval.node import Answer, Nodes

TTL_SECONDS = 60.0  # a node reads its settings when it starts
ASK_SECONDS = 1.0
ORIGINS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Allowed:
    """The node's word on one origin: headers for its answers, or that it answers none."""

    headers: Mapping[str, str] = field(default_factory=dict)
    refused: bool = False


class Origins:
    """The node's word by origin."""

    def __init__(self, nodes: Nodes, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._nodes = nodes
        self._clock = clock
        self._known: dict[str, tuple[float, Allowed]] = {}

    def of(self, origin: str) -> Allowed:
        """What holds for this origin; raises nothing."""
        known = self._known.get(origin)
        if known is not None and known[0] > self._clock():
            return known[1]
        found = known[1] if known else Allowed()
        with suppress(HitweaveError):
            found = _read(self._ask(origin))
            if len(self._known) >= ORIGINS_MAX:
                self._known.clear()
            self._known[origin] = (self._clock() + TTL_SECONDS, found)
        return found

    def _ask(self, origin: str) -> Answer:
        return self._nodes.ask("HEAD", "/", None, {"Origin": origin}, timeout_seconds=ASK_SECONDS)


def _read(answer: Answer) -> Allowed:
    """The headers; a refusal for want of rights has Elasticsearch's name, one of an origin not."""
    if answer.status == HTTPStatus.FORBIDDEN and "x-elastic-product" not in answer.headers:
        return Allowed(refused=True)
    if "access-control-allow-origin" not in answer.headers:
        return Allowed()
    names = (it for it in answer.headers if it.startswith("access-control-") or it == "vary")
    return Allowed({name: answer.headers[name] for name in names})
