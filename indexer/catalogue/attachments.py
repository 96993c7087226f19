"""Names that indices were attached to by, kept so that the next index behind each goes on with it.

A shop platform builds its index anew under another name and moves its alias there, or deletes an
index and makes it again: the new one has no stamp. What it was attached to with is kept apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch, NotFoundError

from indexer.catalogue.attach import attach, problems, stamped
from indexer.catalogue.generation import Generation, ensure_index
from indexer.catalogue.mapping import IndexConfig
from indexer.embedding.recipe import Recipe

ATTACHED = "hitweave_attached"
NAMES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Attachment:
    """What was attached to by `index`, be that an alias, and with what."""

    index: str
    config: IndexConfig
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Unattached:
    """The index behind a name that was attached to, without our stamp; `problems` say why it
    cannot be attached to, none where it can.
    """

    attachment: Attachment
    concrete: str
    problems: tuple[str, ...]


def attach_and_keep(es: Elasticsearch, index: str, config: IndexConfig) -> Generation:
    """Attach to an index, and to those that will be behind its name.

    The configuration is kept as it was said: what depends on a mapping is found in the next one
    anew. Raises IncompatibleIndex, UnknownIndex.
    """
    made = attach(es, index, config)
    said = config.model_dump(mode="json", exclude_unset=True)
    ensure_index(es, ATTACHED, {"index": {"type": "keyword"}})
    es.index(
        index=ATTACHED,
        id=made.index,
        document={
            "index": made.index,
            "config": said,
            "recipe": made.recipe.model_dump(mode="json"),
        },
        refresh="wait_for",
    )
    return made


def unattached(es: Elasticsearch) -> Iterator[Unattached]:
    """Names that were attached to whose index has no stamp of ours now.

    A name that stands for no index, or for several, is passed over: it may be about to move.
    """
    for attachment in _kept(es):
        try:
            found = es.indices.get_mapping(index=attachment.index).body
        except NotFoundError:
            continue
        if len(found) != 1:
            continue
        ((concrete, body),) = found.items()
        mappings: dict[str, Any] = body["mappings"]
        if not stamped(mappings):
            faults = problems(mappings, attachment.config, attachment.recipe)
            yield Unattached(attachment, concrete, tuple(faults))


def follow(es: Elasticsearch, found: Unattached) -> Generation:
    """Attach to the index that is behind the name now; raises IncompatibleIndex."""
    attachment = found.attachment
    return attach(es, attachment.index, attachment.config, attachment.recipe)


def _kept(es: Elasticsearch) -> list[Attachment]:
    answer = es.search(
        index=ATTACHED,
        ignore_unavailable=True,
        size=NAMES_MAX,
        sort=["index"],
        filter_path="hits.hits._source",
    )
    hits = answer.get("hits", {}).get("hits", [])
    return [Attachment(**_read(hit["_source"])) for hit in hits]


def _read(said: dict[str, Any]) -> dict[str, Any]:
    return {
        "index": said["index"],
        "config": IndexConfig.model_validate(said["config"]),
        "recipe": Recipe.model_validate(said["recipe"]),
    }
