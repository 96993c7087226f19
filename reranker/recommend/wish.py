"""What a recommendation is asked for. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from indexer.catalogue.generation import Generation
from reranker.retrieval.request import rights

Strategy = Literal["hybrid", "collaborative", "content", "trending", "bought_together"]
STRATEGIES: tuple[str, ...] = get_args(Strategy)


def sources_of(seeds: Sequence[str]) -> tuple[str, ...]:
    """All sources of a hybrid; what the shopper had before is no answer beside a seed."""
    others = ("bought_together", "collaborative", "content", "trending")
    return others if seeds else ("own", *others)


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom to recommend what to, over which goods.

    `seeds` are items to start from in place of the shopper's history (an item's page, a cart);
    `session` are items looked at in this visit, which count as the newest of the history; `filter`
    is an Elasticsearch query that every item must match, and so are those of the shop's rules in
    `ruled`. Without `repeats` nothing comes that the shopper has touched before; what is `hidden`
    never comes. `diversity` is the dial, None: as the index is configured. `shopper` is a
    pseudonym. `target` is what the client calls the index; its own rights, if `headers` name any,
    may hang on that name.
    """

    generation: Generation
    shopper: str | None = None
    seeds: tuple[str, ...] = ()
    session: tuple[str, ...] = ()
    strategy: Strategy = "hybrid"
    size: int = 10
    repeats: bool = True
    hidden: frozenset[str] = frozenset()
    filter: Mapping[str, Any] | None = None
    ruled: tuple[Mapping[str, Any], ...] = ()
    context: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    diversity: float | None = None

    @property
    def dial(self) -> float:
        """How much variety is wanted, from 0 to 1."""
        usual = self.generation.config.diversity.default
        return usual if self.diversity is None else self.diversity

    @property
    def must(self) -> list[Mapping[str, Any]]:
        """What Elasticsearch must find every item by; empty where it need not."""
        asked = [*([] if self.filter is None else [self.filter]), *self.ruled]
        return asked or ([{"match_all": {}}] if self.is_confined else [])

    @property
    def is_confined(self) -> bool:
        """Whether the client may see less than we do."""
        return bool(rights(self.headers))

    @property
    def asked_at(self) -> str:
        """The name that Elasticsearch is asked for goods by."""
        return self.target if self.is_confined and self.target else self.generation.concrete

    @property
    def sources(self) -> tuple[str, ...]:
        """Which sources are asked."""
        return sources_of(self.seeds) if self.strategy == "hybrid" else (self.strategy,)
