"""Which index an application's events belong to and how they count, as the stamps of the indices
say.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from elasticsearch import Elasticsearch, NotFoundError

from indexer.behaviour.popularity import USUAL_HALF_LIFE_HOURS
from indexer.errors import InvalidEvent
from indexer.identity import action_key

GENERATION = re.compile(r"-\d{6}$")


@dataclass(frozen=True)
class Applications:
    """The indices of a cluster that Hitweave made or attached, and the applications they name."""

    named: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by index
    # By index: what actions of other names count as, by their keys.
    actions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def index_of(self, application: str | None) -> str:
        """The index of an event; raises InvalidEvent where it is not told unmistakably.

        An index's own name always means it. Without a name, the only index is meant.
        """
        if application is None:
            if len(self.named) == 1:
                return next(iter(self.named))
            raise InvalidEvent(
                f"application: is absent, and there are {len(self.named)} indices it could mean"
            )
        if application in self.named:
            return application
        found = [index for index, names in self.named.items() if application in names]
        if len(found) != 1:
            claims = "no index has" if not found else f"{len(found)} indices have"
            raise InvalidEvent(f"application: {claims} this name or lists it as an application")
        return found[0]

    def counted_as(self, index: str, action: str) -> str:
        """What an action of an index's events counts as; its own name where nothing is said."""
        return self.actions.get(index, {}).get(action_key(action), action)


def read(es: Elasticsearch) -> Applications:
    """The applications of a cluster, and their actions, as aliases and `_meta` of indices say."""
    answer = es.indices.get(
        index="*",
        features="aliases,mappings",
        filter_path="*.aliases,*.mappings._meta.hitweave.config,*.mappings._meta.hitweave.index",
    )
    named, actions = {}, {}
    for concrete, about in answer.items():
        stamp = about.get("mappings", {}).get("_meta", {}).get("hitweave", {})
        config = stamp.get("config")
        index = _index_name(concrete, about.get("aliases", {}), stamp.get("index"))
        if config is not None and index is not None:
            named[index] = frozenset(config.get("application") or [index])
            actions[index] = config.get("actions") or {}
    return Applications(named, actions)


def half_life_hours(es: Elasticsearch, index: str) -> float:
    """That of what is trending in an index, as its stamp says; the usual one where it is gone."""
    stamps = "*.mappings._meta.hitweave.config.trending_half_life_hours"
    with suppress(NotFoundError):
        for about in es.indices.get_mapping(index=index, filter_path=stamps).body.values():
            config = about["mappings"]["_meta"]["hitweave"]["config"]
            return float(config["trending_half_life_hours"])
    return USUAL_HALF_LIFE_HOURS


def _index_name(concrete: str, aliases: Mapping[str, Any], attached: str | None) -> str | None:
    """The name users say; None for a generation that is not the one read now."""
    name = attached or GENERATION.sub("", concrete)
    return name if name == concrete or name in aliases else None
