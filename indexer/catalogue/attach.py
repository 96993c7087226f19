"""Adds what Hitweave needs to an existing index of somebody else's mapping.

Nothing of theirs is changed: fields are only added, `_meta` keeps what it says, documents keep
their source. Every reason why an index cannot take this is found before anything is written.
"""

from collections.abc import Mapping
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

from indexer.catalogue.generation import (
    Generation,
    ensure_companions,
    generation_at,
    reason_of,
)
from indexer.catalogue.mapping import (
    GC_DELETES,
    IndexConfig,
    added_mappings,
    field_mappings,
    place_field,
    stamp,
    vector_mapping,
)
from indexer.catalogue.product import RESERVED
from indexer.embedding.encoder import open_encoder
from indexer.embedding.recipe import Recipe
from indexer.errors import IncompatibleIndex, UnknownIndex

TEXT = frozenset({"text", "match_only_text", "search_as_you_type"})
WORDS = TEXT | {"keyword", "constant_keyword", "wildcard"}
NUMBERS = frozenset(
    {
        *("double", "float", "half_float", "scaled_float"),
        *("long", "integer", "short", "byte", "unsigned_long"),
    }
)
FITTING: Mapping[str, frozenset[str]] = {
    "title": TEXT,
    "description": TEXT,
    "brand": WORDS,
    "categories": WORDS,
    "price": NUMBERS,
    "popularity": NUMBERS,
    "available": frozenset({"boolean"}),
    "updated_at": frozenset({"date", "date_nanos"}),
    "attributes": frozenset({"flattened", "object", "nested"}),
}
SEARCHED = {"title": "^3", "description": "", "brand": "", "categories": ""}
SIMILARITIES = frozenset({"cosine", "dot_product"})  # the same for vectors of length 1


def attach(
    es: Elasticsearch, index: str, config: IndexConfig, recipe: Recipe | None = None
) -> Generation:
    """Stamp an existing index and add the vector field; its documents are to be filled after.

    All that is learned is kept under the name that it is attached to by, be that an alias: the next
    index behind it goes on with it. `recipe` is that of the configuration's encoder by default.
    """
    concrete, mappings = _mapping_of(es, index)
    recipe = recipe or open_encoder(config.encoder, dims=config.dims).recipe
    found = stamped(mappings)
    if found and not Generation(index, concrete, config, recipe).is_attached:
        raise IncompatibleIndex(
            f"index {index!r} was made by Hitweave and has all it needs: "
            f"change it with `hitweave create {index} --rebuild`"
        )
    faults = problems(mappings, config, recipe)
    if faults:
        raise IncompatibleIndex(f"index {index!r} cannot be attached to: {'; '.join(faults)}")
    if "search_fields" not in config.model_fields_set:
        config = config.model_copy(update={"search_fields": searched(mappings, config)})
    missing = absent_fields(mappings, config) | added_mappings(config, recipe)
    if type_at(mappings, config.vector_field):
        del missing[config.vector_field]
    name = (found or {}).get("index") or index
    said = stamp(config, recipe, attached=name)
    meta = {**(mappings.get("_meta") or {}), RESERVED: said}
    try:
        es.indices.put_mapping(index=concrete, properties=missing, meta=meta)
        es.indices.put_settings(index=concrete, settings={"gc_deletes": GC_DELETES})
    except BadRequestError as error:
        raise IncompatibleIndex(f"index {index!r} refuses: {reason_of(error)}") from None
    ensure_companions(es)
    return generation_at(es, name, concrete)


def missing_query(generation: Generation) -> dict[str, Any]:
    """Finds documents without a vector by this generation's recipe."""
    digest = generation.recipe.digest()
    return {"bool": {"must_not": {"term": {f"{RESERVED}.recipe": digest}}}}


def stamped(mappings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Our stamp in a mapping; None where it has none; pure."""
    found: dict[str, Any] | None = (mappings.get("_meta") or {}).get(RESERVED)
    return found


def problems(mappings: Mapping[str, Any], config: IndexConfig, recipe: Recipe) -> list[str]:
    """Why a mapping cannot take the configuration; empty when it can; pure."""
    faults = [_misfit(mappings, config, ours) for ours in FITTING]
    if type_at(mappings, config.theirs("title")) is None:
        faults.append(
            f"it has no field {config.theirs('title')!r} for the title: map it in the "
            "configuration, like `fields: {title: name}`"
        )
    faults.append(_vector_misfit(mappings, config, recipe))
    return [fault for fault in faults if fault]


def absent_fields(mappings: Mapping[str, Any], config: IndexConfig) -> dict[str, Any]:
    """Our fields and declared ones that a mapping lacks, so that updates fit everywhere; pure.

    An analyzer of our own cannot be added to an open index: such text is analysed as `standard`.
    """
    analyzer = "standard" if config.analyzer == "bilingual" else config.analyzer
    wanted = {config.theirs(ours): field for ours, field in field_mappings(analyzer).items()}
    properties: dict[str, Any] = {}
    for theirs, field in (wanted | config.mappings).items():
        if type_at(mappings, theirs) is None:
            place_field(properties, theirs, field)
    return properties


def searched(mappings: Mapping[str, Any], config: IndexConfig) -> tuple[str, ...]:
    """The fields that a keyword search can read in this mapping, with their weights; pure."""
    found = []
    for ours, weight in SEARCHED.items():
        theirs = config.theirs(ours)
        field = field_at(mappings, theirs) or {}
        inner = [f"{theirs}.{name}" for name in _text_within(field)]
        readable = [theirs] if field.get("type") in TEXT else inner[:1]
        found += [name + weight for name in readable]
    return tuple(found)


def field_at(mappings: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """The mapping at a dotted path; None where nothing is mapped."""
    properties: Mapping[str, Any] = mappings.get("properties", {})
    *heads, last = path.split(".")
    for head in heads:
        properties = properties.get(head, {}).get("properties", {})
    found: Mapping[str, Any] | None = properties.get(last)
    return found


def type_at(mappings: Mapping[str, Any], path: str) -> str | None:
    """The type of a mapped field; objects have none of their own in the mapping."""
    field = field_at(mappings, path)
    return None if field is None else str(field.get("type", "object"))


def _text_within(field: Mapping[str, Any]) -> list[str]:
    """Names under which a field is analysed as text beside what it is itself."""
    inner: Mapping[str, Any] = field.get("fields", {})
    return [name for name, sub in inner.items() if sub["type"] in TEXT]


def _misfit(mappings: Mapping[str, Any], config: IndexConfig, ours: str) -> str | None:
    theirs = config.theirs(ours)
    kind = type_at(mappings, theirs)
    if kind is None or kind in FITTING[ours]:
        return None
    # As shop platforms have it: a keyword to sort by, whose words are a field within.
    if kind in WORDS and FITTING[ours] == TEXT and _text_within(field_at(mappings, theirs) or {}):
        return None
    return (
        f"{theirs!r} is {kind}, {ours} needs one of {', '.join(sorted(FITTING[ours]))}: map "
        f"another field, or reindex"
    )


def _vector_misfit(mappings: Mapping[str, Any], config: IndexConfig, recipe: Recipe) -> str | None:
    name = config.vector_field
    field = field_at(mappings, name)
    if field is None:
        return None
    wanted = vector_mapping(config, recipe)
    if field.get("type") != wanted["type"]:
        return f"{name!r} is {field.get('type', 'object')}, no dense_vector: set vector_field"
    if field.get("dims") not in {None, recipe.dims}:
        return (
            f"{name!r} has {field['dims']} dims, the encoder {recipe.encoder} makes {recipe.dims}: "
            "set another vector_field or encoder"
        )
    if not field.get("index", True) or field.get("similarity", "cosine") not in SIMILARITIES:
        return f"{name!r} is not indexed for cosine similarity: set another vector_field"
    return None


def _mapping_of(es: Elasticsearch, index: str) -> tuple[str, dict[str, Any]]:
    try:
        found = es.indices.get_mapping(index=index).body
    except NotFoundError:
        raise UnknownIndex(
            f"there is no index {index!r} to attach to: make it with `hitweave create {index}`"
        ) from None
    if len(found) != 1:
        raise IncompatibleIndex(f"{index!r} stands for {len(found)} indices, it must be one")
    ((concrete, body),) = found.items()
    return concrete, body["mappings"]
