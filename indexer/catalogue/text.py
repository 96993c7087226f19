"""From a product to its document: the text to embed, the source and the two hashes; pure.

`text_hash` changes when the vector must be made again (text or recipe), `fields_hash` when only the
document must be written again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from pydantic import ValidationError

from indexer.catalogue import codes
from indexer.catalogue.mapping import IndexConfig
from indexer.catalogue.plan import Expected, Order
from indexer.catalogue.product import (
    FIELDS,
    RESERVED,
    Product,
    ProductUpdate,
    epoch_ms,
    iso,
    place,
)
from indexer.catalogue.reading import text_at, values_at
from indexer.embedding.recipe import CHARACTERS_PER_TOKEN, Recipe
from indexer.errors import InvalidProduct

HASH_BYTES = 12
KNOWN = set(FIELDS) - {"updated_at"}


@dataclass(frozen=True, slots=True)
class Target:
    """One update worked out for one index; `source` is the document without vector and stamp.

    A product that does not say when it was updated gets the time of arrival under the name
    `arrival_field` when it is written: it differs at each run, so it is no part of the hashes.
    """

    id: str
    update: ProductUpdate
    expected: Expected
    text: str
    source: dict[str, Any]
    arrival_field: str | None = None


def target_of(update: ProductUpdate, config: IndexConfig, recipe: Recipe) -> Target:
    """What the index should hold after this update; raises InvalidProduct."""
    order = Order(update.version, update.received_at_ms)
    product = update.product
    if product.deleted:
        return Target(product.id, update, Expected(order, deleted=True), "", {})
    source = source_of(product, config)
    text = text_to_embed(product, recipe.max_tokens * CHARACTERS_PER_TOKEN)
    expected = Expected(order, False, text_hash(text, recipe), digest(_canonical(source)))
    arrival_field = config.theirs("updated_at") if product.updated_at is None else None
    return Target(product.id, update, expected, text, source, arrival_field)


def text_to_embed(product: Product, chars_max: int) -> str:
    """Title first, since encoders cut the end: then brand, categories, description, attributes."""
    attributes = product.attributes or {}
    plain = (f"{name} {value}" for name, value in attributes.items() if isinstance(value, str))
    parts = (
        product.title,
        product.brand if product.brand and product.brand not in product.title else "",
        ", ".join(product.categories),
        product.description or "",
        ", ".join(plain),
    )
    return ". ".join(part.rstrip(". ") for part in parts if part)[:chars_max]


def source_of(product: Product, config: IndexConfig) -> dict[str, Any]:
    """The document under the index's own names; unknown fields as they came."""
    if config.vector_field.split(".")[0] in product.extra:
        raise InvalidProduct(
            f"{config.vector_field}: this field holds the vector that Hitweave makes; leave it out "
            "or choose another vector_field in the configuration"
        )
    source = dict(product.extra)
    said = product.model_dump(mode="json", exclude_none=True, exclude_defaults=True, include=KNOWN)
    if product.updated_at is not None:
        said["updated_at"] = iso(epoch_ms(product.updated_at))
    if not config.fields:
        return source | said
    for ours, value in said.items():
        place(source, config.theirs(ours), value)
    return source


def text_hash(text: str, recipe: Recipe) -> str:
    """Changes with the text and with whatever else changes its vector."""
    return digest(_recipe_digest(recipe), text.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=64)
def _recipe_digest(recipe: Recipe) -> bytes:
    return recipe.digest().encode()


def digest(*parts: bytes) -> str:
    """24 hex digits over the parts, each with its length."""
    state = hashlib.blake2b(digest_size=HASH_BYTES)
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.hexdigest()


def stamped(target: Target, config: IndexConfig, recipe_digest: str) -> dict[str, Any]:
    """The source with the object by which later updates are compared, and codes are found."""
    expected = target.expected
    stamp: dict[str, Any] = {
        "id": target.id,
        "text_hash": expected.text_hash,
        "fields_hash": expected.fields_hash,
        "version": expected.order.version,
        "received_at": expected.order.received_at,
        "recipe": recipe_digest,
    }
    if config.codes:
        stamp["codes"] = codes.of({config.theirs("id"): target.id} | target.source, config.codes)
    document = {**target.source, RESERVED: stamp}
    if target.arrival_field:
        place(document, target.arrival_field, iso(expected.order.version))
    return document


def product_in(source: Mapping[str, Any], config: IndexConfig, item_id: str) -> Product:
    """The product in a stored document; what does not fit is left out, the title may be the id."""
    said = {ours: _said(source, ours, config.theirs(ours)) for ours in KNOWN | {"updated_at"}}
    said = {ours: value for ours, value in said.items() if value is not None} | {"id": item_id}
    while True:
        try:
            return Product.model_validate({"title": item_id, **said})
        except ValidationError as error:
            wrong = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
            said = {ours: value for ours, value in said.items() if ours not in wrong}
            said["id"] = item_id
            if not wrong:
                said.pop("title", None)


def said_of(product: Product) -> dict[str, Any]:
    """What a product says in the fields that Hitweave knows."""
    return product.model_dump(include=KNOWN | {"updated_at"})


def _said(source: Mapping[str, Any], ours: str, path: str) -> Any:
    """What a document says of one of our fields, be it alone or in a list; None: nothing."""
    values = values_at(source, path)
    if ours in ("categories", "images"):
        return values or None
    if ours in ("title", "description") and len(values) > 1:
        return text_at(source, path)
    return values[0] if values else None


def _canonical(source: dict[str, Any]) -> bytes:
    return orjson.dumps(source, option=orjson.OPT_SORT_KEYS)
