"""Checks each index that carries our stamp: does it agree with itself and open here."""

from collections.abc import Iterator
from typing import Any

from elasticsearch import Elasticsearch
from pydantic import ValidationError

from compose.local.finding import Finding
from indexer import settings
from indexer.behaviour.journal_index import STAMP
from indexer.catalogue import attachments
from indexer.embedding.encoder import open_encoder
from indexer.embedding.recipe import Recipe
from indexer.errors import HitweaveError

RECREATE = "re-create the index with `hitweave create` and index the catalogue again"


def check_indices(client: Elasticsearch) -> Iterator[Finding]:
    """One finding an index with the stamp of a catalogue; others are none of our business."""
    mappings = client.indices.get_mapping(expand_wildcards="open").body
    stamped = {
        name: found["mappings"]
        for name, found in mappings.items()
        if STAMP not in found["mappings"].get("_meta", {}).get("hitweave", {STAMP: 0})
    }
    if not stamped:
        advice = "`hitweave create INDEX` makes one"
        yield Finding("indices", "note", "no index carries a Hitweave stamp", advice)
    for name, mapping in sorted(stamped.items()):
        problem = stamp_problem(mapping)
        if problem:
            yield Finding("indices", "fault", f"{name}: {problem}", RECREATE)
        else:
            recipe = mapping["_meta"]["hitweave"]["recipe"]
            found = f"{name}: {recipe['encoder']}, {recipe['dims']} dimensions, opens here"
            yield Finding("indices", "ok", found)
    yield from _unattached(client)


def _unattached(client: Elasticsearch) -> Iterator[Finding]:
    """Names that were attached to, whose index is another one by now and has no stamp yet."""
    for found in attachments.unattached(client):
        name = found.attachment.index
        moved = f"{name}: stands for {found.concrete} now, which is not ranked"
        if found.problems:
            why = f"{moved} and cannot be attached to: {'; '.join(found.problems)}"
            advice = f"mend its mapping, or `hitweave create {name} --attach` as it is now"
            yield Finding("indices", "fault", why, advice)
        elif settings.load().take_up_seconds:
            yield Finding("indices", "note", moved, "a worker attaches to it in a moment")
        else:
            yield Finding("indices", "warning", moved, f"`hitweave create {name} --attach`")


def stamp_problem(mapping: dict[str, Any]) -> str | None:
    """What is wrong with the stamp of one index, None when it can be served here."""
    stamp = mapping["_meta"]["hitweave"]
    try:
        recipe = Recipe.model_validate(stamp["recipe"])
        field = stamp["config"]["vector_field"]
    except (KeyError, TypeError, ValidationError) as error:
        return f"its stamp cannot be read ({type(error).__name__})"
    if recipe.digest() != stamp.get("recipe_digest"):
        return "its recipe and the digest of that recipe differ"
    dims = _field(mapping, field).get("dims")
    if dims != recipe.dims:
        return f"its field {field} has {dims} dimensions, its recipe says {recipe.dims}"
    try:
        open_encoder(recipe)
    except HitweaveError as error:
        return error.message
    return None


def _field(mapping: dict[str, Any], path: str) -> dict[str, Any]:
    """The definition of a field, also of one inside objects."""
    found: dict[str, Any] = mapping
    for name in path.split("."):
        found = found.get("properties", {}).get(name, {})
    return found
