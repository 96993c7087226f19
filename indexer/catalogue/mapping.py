"""The configuration of one index and the mapping it means; pure.

A configuration is stamped into the index it made, so every process reads the same one.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import orjson
import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from indexer.catalogue.actions import Actions
from indexer.catalogue.context_keys import ALWAYS, KEYS_MAX, USUAL, Declared, Key
from indexer.catalogue.diversity import Diversity
from indexer.catalogue.product import FIELDS, RESERVED, explain
from indexer.embedding.recipe import Recipe
from indexer.errors import InvalidConfig

Analyzer = Literal["bilingual", "english", "cjk", "smartcn", "standard"]
VectorIndex = Literal["int8_hnsw", "bbq_hnsw", "hnsw"]
Mode = Literal["fused", "rrf", "bm25", "knn", "off"]
Wording = Literal["shop", "media"]

VECTOR_DIMS_MAX = 4096
KEYWORD_CHARS_MAX = 1024
INNER = ("properties", "fields")
GC_DELETES = "1h"
SEARCH_FIELDS = ("title^3", "description", "brand.text")
INDEX_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,199}")
BILINGUAL = {
    "tokenizer": "standard",
    "filter": ["cjk_width", "lowercase", "cjk_bigram", "kstem"],
}


class IndexConfig(BaseModel):
    """How one index is analysed, embedded and searched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    analyzer: Analyzer = "bilingual"
    encoder: str = "packaged:use-multilingual-v3"
    dims: int | None = Field(None, gt=0, le=VECTOR_DIMS_MAX)
    vector_field: str = Field("embedding", min_length=1)
    vector_index: VectorIndex = "int8_hnsw"
    fields: dict[str, str] = Field(default_factory=dict)
    search_fields: tuple[str, ...] = SEARCH_FIELDS
    default_mode: Mode = "fused"
    similarity_floor: float = Field(0.35, ge=-1, le=1)
    application: tuple[str, ...] = ()
    diversity: Diversity = Diversity()
    context: dict[Key, Declared] = Field(default_factory=lambda: dict(USUAL), max_length=KEYS_MAX)
    # Indices of the same encoder whose shoppers' deeds count here as well.
    history_from: tuple[str, ...] = ()
    # What actions of other names count as.
    actions: Actions = Field(default_factory=dict)
    # Elasticsearch's own mapping of fields that we do not know; the others are only kept.
    mappings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    # Fields of codes: a search for nothing but a code has its product first.
    codes: tuple[str, ...] = ()
    # Whether reasons may say that something was bought or put in a cart.
    wording: Wording = "shop"
    # Half life of what is trending; the windows of the signals of popularity keep to it.
    trending_half_life_hours: float = Field(720.0, ge=0.25, le=87_600)

    @field_validator("history_from")
    @classmethod
    def _names_indices(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not INDEX_NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot be the name of an index")
        return tuple(dict.fromkeys(names))

    @field_validator("fields")
    @classmethod
    def _maps_our_names(cls, fields: dict[str, str]) -> dict[str, str]:
        for ours, theirs in fields.items():
            if ours not in FIELDS:
                raise ValueError(f"{ours!r} is not a field of ours; they are {', '.join(FIELDS)}")
            if not theirs or theirs.split(".")[0] == RESERVED:
                raise ValueError(f"{ours!r} cannot be read from {theirs!r}")
        if len(set(fields.values())) < len(fields):
            raise ValueError("two of our fields are read from the same one of theirs")
        return fields

    @field_validator("codes")
    @classmethod
    def _names_fields(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        for path in codes:
            if not path or path.split(".")[0] == RESERVED:
                raise ValueError(f"{path!r} is no field of codes")
        return tuple(dict.fromkeys(codes))

    @field_validator("context")
    @classmethod
    def _declares_what_is_new(cls, context: dict[str, Declared]) -> dict[str, Declared]:
        if known := sorted(set(context) & set(ALWAYS)):
            raise ValueError(f"{known[0]!r} has signals of its own: leave it out")
        return context

    @model_validator(mode="after")
    def _maps_what_is_not_ours(self) -> "IndexConfig":
        taken = [RESERVED, self.vector_field, *map(self.theirs, FIELDS)]
        for path in self.mappings:
            if any(_meet(path, name) for name in taken):
                raise ValueError(f"mappings: {path!r} has a mapping of ours: leave it out")
        return self

    def theirs(self, ours: str) -> str:
        """The name in the document of one of our fields."""
        return self.fields.get(ours, ours)

    def with_search_fields(self) -> "IndexConfig":
        """The same; where it does not say what to search, our choice under the user's names."""
        if "search_fields" in self.model_fields_set:
            return self
        return self.model_copy(update={"search_fields": self._usual_search_fields()})

    @property
    def chosen_search_fields(self) -> tuple[str, ...]:
        """What it says to search, where that is not what is searched anyway; else empty."""
        usual = self.search_fields in (SEARCH_FIELDS, self._usual_search_fields())
        return () if usual else self.search_fields

    def _usual_search_fields(self) -> tuple[str, ...]:
        return tuple(map(self._renamed, SEARCH_FIELDS))

    def _renamed(self, searched: str) -> str:
        ours = re.split(r"[.^]", searched, maxsplit=1)[0]
        return self.theirs(ours) + searched.removeprefix(ours)


def read_config(path: Path | None, index: str) -> IndexConfig:
    """The configuration in a YAML or JSON file, the defaults without one; raises InvalidConfig."""
    said: Any = {}
    if path is not None:
        try:
            said = yaml.safe_load(path.read_text("utf-8")) or {}
        except (OSError, UnicodeError, yaml.YAMLError) as error:
            raise InvalidConfig(f"{path} cannot be read as YAML or JSON: {error}") from None
        if not isinstance(said, dict):
            raise InvalidConfig(f"{path} must hold an object of settings, like `analyzer: english`")
    try:
        return IndexConfig.model_validate({"application": [index], **said})
    except ValidationError as error:
        raise InvalidConfig(f"{path}: {explain(error)}") from None


def check_name(index: str) -> None:
    """Raise InvalidConfig for a name that Elasticsearch or our aliases cannot take."""
    if not INDEX_NAME.fullmatch(index):
        raise InvalidConfig(
            f"{index!r} cannot name an index: use lower-case letters, digits, '-', '_' and '.', "
            "beginning with a letter or digit"
        )
    if index.endswith("-write") or re.search(r"-\d{6}$", index):
        raise InvalidConfig(
            f"{index!r} ends like an alias or generation that Hitweave makes; choose another name"
        )


def settings_body(config: IndexConfig) -> dict[str, Any]:
    """Settings of a new index; `gc_deletes` guards late writes after a delete for that long."""
    analysis = {"analyzer": {"bilingual": BILINGUAL}} if config.analyzer == "bilingual" else {}
    return {
        "number_of_shards": 1,
        "auto_expand_replicas": "0-1",
        "gc_deletes": GC_DELETES,
        **({"analysis": analysis} if analysis else {}),
    }


def mapping_body(config: IndexConfig, recipe: Recipe) -> dict[str, Any]:
    """The mapping of a new index: our fields under their names, vector, stamp."""
    properties: dict[str, Any] = {}
    for ours, field in field_mappings(config.analyzer).items():
        place_field(properties, config.theirs(ours), field)
    for path, field in config.mappings.items():
        place_field(properties, path, field)
    return {
        "dynamic": False,
        "properties": {**properties, **added_mappings(config, recipe)},
        "_meta": {RESERVED: stamp(config, recipe)},
    }


def put_by_hand(there: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """Of the `properties` of an index what those it was made with lack: fields and multi-fields
    that were put there past us. Of a field that was made only its inner ones are told.
    """
    added: dict[str, Any] = {}
    for name, field in there.items():
        if name not in made:
            added[name] = field
            continue
        inner = {part: put_by_hand(field.get(part, {}), made[name].get(part, {})) for part in INNER}
        if any(inner.values()):
            added[name] = {part: found for part, found in inner.items() if found}
    return added


def with_added(made: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """`properties` with what `put_by_hand` told; a field that both map stays as it was made."""
    merged = dict(made)
    for name, field in added.items():
        known = merged.get(name)
        if known is None:
            if "type" in field or "properties" in field:
                merged[name] = field
            continue
        # A value has multi-fields, an object has fields.
        part = "fields" if "type" in known else "properties"
        if part in field:
            merged[name] = {**known, part: with_added(known.get(part, {}), field[part])}
    return merged


def field_mappings(analyzer: str) -> dict[str, Any]:
    """The mapping of each of our fields."""
    text = {"type": "text", "analyzer": analyzer}
    keyword = {"type": "keyword", "ignore_above": KEYWORD_CHARS_MAX}
    named = {**keyword, "fields": {"text": text}}
    unsearched = {"type": "keyword", "index": False, "doc_values": False}
    return {
        "id": {"type": "keyword"},
        "title": text,
        "description": text,
        "brand": named,
        "categories": named,
        "price": {"type": "double"},
        "currency": keyword,
        "image": unsearched,
        "images": unsearched,
        "attributes": {"type": "flattened", "ignore_above": KEYWORD_CHARS_MAX},
        "language": keyword,
        "domain": keyword,
        "available": {"type": "boolean"},
        "popularity": {"type": "double"},
        "updated_at": {"type": "date"},
    }


def added_mappings(config: IndexConfig, recipe: Recipe) -> dict[str, Any]:
    """What Hitweave adds to any index: its own object and the vector."""
    keyword = {"type": "keyword"}
    return {
        RESERVED: {
            "dynamic": False,
            "properties": {
                # Candidates are read by this column: _id lies among the documents, on disk.
                "id": keyword,
                "text_hash": keyword,
                "fields_hash": keyword,
                "version": {"type": "long"},
                "received_at": {"type": "long"},
                "recipe": keyword,
                **({"codes": keyword} if config.codes else {}),
            },
        },
        config.vector_field: vector_mapping(config, recipe),
    }


def vector_mapping(config: IndexConfig, recipe: Recipe) -> dict[str, Any]:
    """The vector field: cosine, indexed as the configuration says."""
    return {
        "type": "dense_vector",
        "dims": recipe.dims,
        "index": True,
        "similarity": "cosine",
        "index_options": {"type": config.vector_index},
    }


def stamp(config: IndexConfig, recipe: Recipe, *, attached: str | None = None) -> dict[str, Any]:
    """What `_meta.hitweave` says: enough to read and write the index without anything else.

    `attached` is the name under which an index of the user's own was attached to.
    """
    return {
        **({} if attached is None else {"index": attached}),
        "config": config.model_dump(mode="json"),
        "recipe": recipe.model_dump(mode="json"),
        "recipe_digest": recipe.digest(),
        "mapping_digest": mapping_digest(config, recipe),
        "created_by": "hitweave",
    }


def mapping_digest(config: IndexConfig, recipe: Recipe) -> str:
    """Changes when a new generation would be mapped otherwise."""
    said = [
        settings_body(config),
        field_mappings(config.analyzer),
        config.fields,
        config.mappings,
        added_mappings(config, recipe),
        *([config.codes] if config.codes else []),
    ]
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def place_field(properties: dict[str, Any], path: str, field: Mapping[str, Any]) -> None:
    """Put a field mapping at a dotted path, making the objects on the way."""
    *heads, last = path.split(".")
    for head in heads:
        properties = properties.setdefault(head, {"properties": {}}).setdefault("properties", {})
    properties[last] = dict(field)


def _meet(one: str, other: str) -> bool:
    """Whether two dotted paths are the same, or one lies within the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
