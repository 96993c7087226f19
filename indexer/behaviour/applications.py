"""Which index an application's events belong to and how they count, as the stamps of the indices
say.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from elasticsearch import Elasticsearch, NotFoundError

from indexer.behaviour.popularity import USUAL_HALF_LIFE_HOURS
from indexer.errors import InvalidEvent
from indexer.identity import action_key

GENERATION = re.compile(r"-\d{6}$")
HALF_LIFE = "trending_half_life_hours"
ATTACHED, ATTACHED_MAX = "hitweave_attached", 10_000  # as indexer.catalogue.attachments writes it


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
    """The applications of a cluster, and their actions, as aliases and `_meta` of indices say.

    An index behind a name that was attached to belongs to it before it has the stamp as well.
    """
    answer = es.indices.get(
        index="*",
        features="aliases,mappings",
        filter_path="*.aliases,*.mappings._meta.hitweave.config,*.mappings._meta.hitweave.index",
    )
    named, actions = {}, {}
    for index, config in (*_stamped(answer.body), *_attached(es, answer.body)):
        if index not in named:
            named[index] = frozenset(config.get("application") or [index])
            actions[index] = config.get("actions") or {}
    return Applications(named, actions)


def _stamped(indices: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Names and configurations of what is read now and has our stamp."""
    for concrete, about in indices.items():
        stamp = about.get("mappings", {}).get("_meta", {}).get("hitweave", {})
        index = _index_name(concrete, about.get("aliases", {}), stamp.get("index"))
        if "config" in stamp and index is not None:
            yield index, stamp["config"]


def _attached(
    es: Elasticsearch, indices: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The same of what was attached to, where anything is behind the name now."""
    answer = es.search(
        index=ATTACHED,
        ignore_unavailable=True,
        size=ATTACHED_MAX,
        filter_path="hits.hits._source",
    )
    there = {*indices, *(alias for about in indices.values() for alias in about.get("aliases", ()))}
    for hit in answer.get("hits", {}).get("hits", ()):
        said = hit["_source"]
        if said["index"] in there:
            yield said["index"], said["config"]


def half_life_hours(es: Elasticsearch, index: str) -> float:
    """That of what is trending in an index, as its stamp says, else what it was attached to with;
    the usual one where neither does.
    """
    stamps = f"*.mappings._meta.hitweave.config.{HALF_LIFE}"
    with suppress(NotFoundError):
        for about in es.indices.get_mapping(index=index, filter_path=stamps).body.values():
            return float(about["mappings"]["_meta"]["hitweave"]["config"][HALF_LIFE])
    with suppress(NotFoundError):
        said = es.get_source(index=ATTACHED, id=index).body
        return float(said["config"].get(HALF_LIFE, USUAL_HALF_LIFE_HOURS))
    return USUAL_HALF_LIFE_HOURS


def _index_name(concrete: str, aliases: Mapping[str, Any], attached: str | None) -> str | None:
    """The name users say; None for a generation that is not the one read now."""
    name = attached or GENERATION.sub("", concrete)
    return name if name == concrete or name in aliases else None
