"""Generations of an index: concrete indices behind one read and one write alias.

The index is stamped with its configuration and recipe; whoever reads or writes it asks `resolve`
once per operation and goes by what the stamp says. An index without a stamp is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from elastic_transport import TransportError
from elasticsearch import ApiError, BadRequestError, Elasticsearch, NotFoundError
from pydantic import ValidationError

from indexer.catalogue.exact_fields import exact_fields
from indexer.catalogue.mapping import (
    INDEX_NAME,
    IndexConfig,
    check_name,
    mapping_body,
    settings_body,
    with_added,
)
from indexer.catalogue.product import RESERVED
from indexer.embedding.encoder import open_encoder
from indexer.embedding.recipe import Recipe
from indexer.errors import (
    ElasticsearchUnavailable,
    IncompatibleIndex,
    InvalidConfig,
    UnknownIndex,
)

TOMBSTONES = "hitweave_tombstones"
REJECTED = "hitweave_rejected"
NUMBER = re.compile(r"-(\d{6})$")
# What of the mappings of a cluster tells which of its indices are ours, and their names.
NAMES_PATH = f"*.mappings._meta.{RESERVED}.recipe_digest,*.mappings._meta.{RESERVED}.index"


@dataclass(frozen=True, slots=True)
class Generation:
    """One concrete index as its stamp describes it; `index` is the name a user says.

    `exact_fields` are those of its mapping whose value is one term, as of a keyword or a number.
    """

    index: str
    concrete: str
    config: IndexConfig
    recipe: Recipe
    stamped_attached: bool = False
    exact_fields: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def is_attached(self) -> bool:
        """Whether the index is the user's own rather than a generation that we made."""
        if self.stamped_attached:
            return True
        return NUMBER.sub("", self.concrete) != self.index or self.index == self.concrete


def resolve(es: Elasticsearch, index: str) -> Generation:
    """The generation that answers for `index` now; raises UnknownIndex."""
    return read_stamp(index, *_mapping_of(es, index))


def resolve_any(es: Elasticsearch, name: str) -> Generation:
    """The same by whatever name: another alias, or the concrete one, means the same index."""
    concrete, mappings = _mapping_of(es, name)
    return read_stamp(NUMBER.sub("", concrete), concrete, mappings)


def _mapping_of(es: Elasticsearch, index: str) -> tuple[str, dict[str, Any]]:
    if not INDEX_NAME.fullmatch(index):
        raise UnknownIndex(f"no index is called {index!r}: name one index, without wildcards")
    try:
        found = es.indices.get_mapping(index=index).body
    except NotFoundError:
        raise UnknownIndex(
            f"there is no index {index!r}: make it with `hitweave create {index}`"
        ) from None
    except TransportError as error:
        raise ElasticsearchUnavailable(f"Elasticsearch does not answer: {error}") from error
    if len(found) != 1:
        raise IncompatibleIndex(
            f"{index!r} is an alias of {', '.join(sorted(found))}: it must stand for one index"
        )
    ((concrete, body),) = found.items()
    return concrete, body["mappings"]


def names_of(stamps: Mapping[str, Any]) -> list[str]:
    """The names of the indices whose mappings, as far as NAMES_PATH, have our stamp."""
    found = {name: body["mappings"]["_meta"][RESERVED] for name, body in stamps.items()}
    return sorted({str(it.get("index") or NUMBER.sub("", name)) for name, it in found.items()})


def generation_at(es: Elasticsearch, index: str, concrete: str) -> Generation:
    """The generation of `index` that is the concrete index, served or not."""
    return read_stamp(index, concrete, es.indices.get_mapping(index=concrete)[concrete]["mappings"])


def read_stamp(index: str, concrete: str, mappings: dict[str, Any]) -> Generation:
    """The generation that a mapping's stamp describes; raises UnknownIndex.

    An index that was attached to is called as its stamp says, whatever the name it is asked by.
    """
    stamp = (mappings.get("_meta") or {}).get(RESERVED)
    if stamp is None:
        raise UnknownIndex(
            f"index {index!r} was not made by Hitweave: add what is missing with "
            f"`hitweave create {index} --attach`"
        )
    try:
        return Generation(
            str(stamp.get("index") or index),
            concrete,
            IndexConfig.model_validate(stamp["config"]),
            Recipe.model_validate(stamp["recipe"]),
            stamped_attached="index" in stamp,
            exact_fields=exact_fields(mappings),
        )
    except (ValidationError, KeyError) as error:
        raise IncompatibleIndex(
            f"the stamp of {concrete!r} cannot be read ({error}): it was made by another version; "
            f"rebuild it with `hitweave create {index} --rebuild`"
        ) from None


def create(es: Elasticsearch, index: str, config: IndexConfig) -> Generation:
    """The first generation with its aliases; raises IncompatibleIndex where the name is taken."""
    check_name(index)
    if es.indices.exists_alias(name=index):
        raise IncompatibleIndex(
            f"index {index!r} exists: build it anew with `hitweave create {index} --rebuild`"
        )
    if es.indices.exists(index=index):
        raise IncompatibleIndex(
            f"{index!r} is an index that Hitweave did not make: attach to it with "
            f"`hitweave create {index} --attach`"
        )
    aliases: dict[str, Any] = {index: {}, write_alias(index): {}}
    ensure_companions(es)
    return create_generation(es, index, next_name(es, index), config, aliases)


def create_generation(
    es: Elasticsearch,
    index: str,
    concrete: str,
    config: IndexConfig,
    aliases: dict[str, Any] | None = None,
    added: Mapping[str, Any] | None = None,
) -> Generation:
    """A new concrete index, empty; `added` are `properties` beside those of the configuration."""
    config = config.with_search_fields()
    recipe = open_encoder(config.encoder, dims=config.dims).recipe
    body = mapping_body(config, recipe)
    body["properties"] = with_added(body["properties"], added or {})
    try:
        es.indices.create(
            index=concrete,
            settings=settings_body(config),
            mappings=body,
            aliases=aliases or {},
        )
    except BadRequestError as error:
        raise InvalidConfig(f"Elasticsearch refuses this index: {reason_of(error)}") from None
    return Generation(index, concrete, config, recipe)


def generations(es: Elasticsearch, index: str) -> list[str]:
    """The names of all concrete indices of `index`, oldest first."""
    found = es.options(ignore_status=404).indices.get(
        index=f"{index}-*", features="aliases", expand_wildcards="open"
    )
    names = found.body if isinstance(found.body, dict) else {}
    return sorted(name for name in names if NUMBER.sub("", name) == index != name)


def next_name(es: Elasticsearch, index: str) -> str:
    """The name of the generation after the newest one."""
    numbers = [int(name[-6:]) for name in generations(es, index)]
    return f"{index}-{max(numbers, default=0) + 1:06d}"


def write_alias(index: str) -> str:
    """The alias that other writers of documents use."""
    return f"{index}-write"


def swap(es: Elasticsearch, index: str, concrete: str) -> str:
    """Point both aliases at `concrete` in one call; the name they pointed at before."""
    (before,) = es.indices.get_alias(name=index).body
    actions = [
        action
        for alias in (index, write_alias(index))
        for action in (
            {"remove": {"index": f"{index}-*", "alias": alias}},
            {"add": {"index": concrete, "alias": alias}},
        )
    ]
    es.indices.update_aliases(actions=actions)
    return str(before)


def ensure_companions(es: Elasticsearch) -> None:
    """The indices beside the catalogue's: tombstones of deletes, rejected lines."""
    number, keyword = {"type": "long"}, {"type": "keyword"}
    ensure_index(
        es,
        TOMBSTONES,
        {
            "index": keyword,
            "id": keyword,
            "version": number,
            "received_at": number,
            "was_live": {"type": "boolean"},
        },
    )
    ensure_index(
        es,
        REJECTED,
        {
            "job": keyword,
            "line": number,
            "reason": {"type": "text"},
            "source": {"type": "text", "index": False},
            "at": {"type": "date"},
        },
    )


def ensure_index(es: Elasticsearch, name: str, properties: Mapping[str, Any]) -> None:
    """Make a small index of ours where absent; safe against others doing the same."""
    if es.indices.exists(index=name):
        return
    try:
        es.indices.create(
            index=name,
            settings={"number_of_shards": 1, "auto_expand_replicas": "0-1"},
            mappings={"dynamic": False, "properties": dict(properties)},
        )
    except BadRequestError as error:
        if error.error != "resource_already_exists_exception":
            raise


def reason_of(error: ApiError) -> str:
    """The innermost reason in an answer of Elasticsearch."""
    body = error.body if isinstance(error.body, dict) else {}
    cause = body.get("error", {})
    while isinstance(cause, dict) and isinstance(cause.get("caused_by"), dict):
        cause = cause["caused_by"]
    return str(cause.get("reason", error)) if isinstance(cause, dict) else str(error)
