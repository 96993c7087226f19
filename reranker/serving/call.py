"""One ranked search on its way."""

import itertools
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from indexer.behaviour import event
from indexer.catalogue.generation import Generation
from reranker.experiments.exposure import Part
from reranker.retrieval.request import RankedRequest, Rights, Shopper, rights
from reranker.rules.effects import NO_EFFECTS, Effects
from reranker.rules.matching import NO_RULES, RuleSet
from reranker.serving.deadline import Deadline


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked, of which index, by whom, and until when.

    `target` is the name that Elasticsearch is asked for; `headers` go to it; `shopper` is the
    pseudonym that behaviour is kept under, None for a client without any id. `rules` are those
    that may hold, `effects` what those that hold come to; `draft` says that they are not live.
    `part` is how the search takes part in an experiment.
    """

    request: RankedRequest
    generation: Generation
    target: str
    headers: Mapping[str, str]
    shopper: str | None
    query_id: str
    deadline: Deadline
    rules: RuleSet = NO_RULES
    effects: Effects = NO_EFFECTS
    draft: bool = False
    part: Part | None = None

    @property
    def credentials(self) -> Rights:
        """Whom Elasticsearch knows the client as; empty for the sidecar itself."""
        return rights(self.headers)


def pseudonym_of(shopper: Shopper, key: str) -> str | None:
    """Whom behaviour is kept under."""
    return event.shopper(key, shopper.user_id, shopper.client_id)


_PROCESS = secrets.token_hex(10)
_numbers = itertools.count(1)


def new_query_id() -> str:
    """An id for a search whose client gave none; asking the kernel each time costs too much."""
    return f"{_PROCESS}-{os.getpid():x}-{next(_numbers):x}"
