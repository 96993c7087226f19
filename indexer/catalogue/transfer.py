"""Documents that are stored already, brought into another generation or given their vectors.

A vector is made again only where the text or the recipe differs. A newer document at the target is
never overwritten, and one that changed since it was read is read again.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from indexer.catalogue import card_store, stored
from indexer.catalogue.encode import Vector, encode
from indexer.catalogue.generation import Generation
from indexer.catalogue.plan import Expected, Order
from indexer.catalogue.product import (
    RESERVED,
    Product,
    ProductUpdate,
    order_ms,
    place,
    read_product,
    rename,
)
from indexer.catalogue.stored import Document
from indexer.catalogue.sync import Stores, to_bytes
from indexer.catalogue.tally import Tally
from indexer.catalogue.text import (
    Target,
    product_in,
    said_of,
    stamped,
    target_of,
    text_hash,
    text_to_embed,
)
from indexer.catalogue.write import Answer, Fate, Operation, Place, write
from indexer.embedding.encoder import Encoder
from indexer.embedding.recipe import CHARACTERS_PER_TOKEN
from indexer.errors import InvalidProduct

READ_AGAIN_MAX = 5
ARRIVED_BEFORE_ALL = 0


@dataclass(frozen=True, slots=True)
class Route:
    """From which generation to which; `stage` keeps the cards aside until they are adopted."""

    source: Generation
    target: Generation
    stage: bool = False

    @property
    def is_backfill(self) -> bool:
        """Whether documents stay where they are and only get what is missing."""
        return self.source.concrete == self.target.concrete


@dataclass(slots=True)
class Parcel:
    """One document on its way."""

    document: Document
    target: Target
    vector: Vector | None


def transfer(
    stores: Stores,
    route: Route,
    ids: Sequence[str],
    open_encoder: Callable[[], Encoder],
    deadline: float,
) -> tuple[Tally, list[str]]:
    """Bring documents over; what became of them, and the ids that were left at `deadline`.

    The encoder is opened only where a vector has to be made.
    """
    tally = Tally()
    rest = list(ids)
    for _ in range(READ_AGAIN_MAX):
        documents = stored.read_documents(stores.es, route.source, rest)
        parcels = [parcel_of(document, route) for document in documents.values()]
        left = _encode(parcels, open_encoder, tally, deadline)
        rest = _write(stores, route, [parcel for parcel in parcels if _is_ready(parcel)], tally)
        if left or not rest:
            return tally, rest + left
    for _ in rest:
        tally.add("stale")
    return tally, []


def parcel_of(document: Document, route: Route) -> Parcel:
    """What the target should hold of a stored document."""
    stamp = document.stamp
    target = (_stamped_target if stamp else _unstamped_target)(document, route)
    fits = stamp.get("recipe") == route.target.recipe.digest()
    same = fits and stamp.get("text_hash") == target.expected.text_hash
    return Parcel(document, target, document.vector if same else None)


def _stamped_target(document: Document, route: Route) -> Target:
    """A document that we wrote keeps its order; its source is renamed where the fields are."""
    config, recipe = route.target.config, route.target.recipe
    product = product_in(document.source, route.source.config, document.id)
    text = text_to_embed(product, recipe.max_tokens * CHARACTERS_PER_TOKEN)
    stamp = document.stamp
    order = Order(int(stamp["version"]), int(stamp["received_at"]))
    source = {name: value for name, value in document.source.items() if name != RESERVED}
    fields_hash = stamp["fields_hash"]
    if route.source.config.fields != config.fields:
        ours = rename(source, route.source.config.fields)
        source = {}
        for name, value in ours.items():
            place(source, config.theirs(name), value)
        fields_hash = ""  # compared again by the next update
    expected = Expected(order, False, text_hash(text, recipe), fields_hash)
    return Target(document.id, _update(product, order), expected, text, source)


def _unstamped_target(document: Document, route: Route) -> Target:
    """A document that somebody else wrote: its order is its `updated_at`, else before all."""
    config, recipe = route.target.config, route.target.recipe
    source = {name: value for name, value in document.source.items() if name != RESERVED}
    product = product_in(source, config, document.id)
    text = text_to_embed(product, recipe.max_tokens * CHARACTERS_PER_TOKEN)
    hashes = Expected(Order(0, 0), False, text_hash(text, recipe), "")
    with suppress(InvalidProduct):
        line = read_product({"title": document.id, **source, "id": document.id}, config.fields)
        # A document may say in lists what a line of a catalogue says plainly.
        if said_of(line) == said_of(product):
            hashes = target_of(_update(line, hashes.order), config, recipe).expected
    now_ms = time.time_ns() // 1_000_000
    said = order_ms(product.updated_at, now_ms) if product.updated_at else 0
    # Our number must not be behind Elasticsearch's own.
    order = Order(max(said, document.engine_version + 1), ARRIVED_BEFORE_ALL)
    expected = Expected(order, False, hashes.text_hash, hashes.fields_hash)
    return Target(document.id, _update(product, order), expected, text, source)


def _update(product: Product, order: Order) -> ProductUpdate:
    return ProductUpdate(product=product, received_at_ms=order.received_at)


def _encode(
    parcels: Sequence[Parcel], open_encoder: Callable[[], Encoder], tally: Tally, deadline: float
) -> list[str]:
    """Make the vectors that are missing; ids of what is left when time is up."""
    waiting = {at: parcel for at, parcel in enumerate(parcels) if parcel.vector is None}
    if not waiting:
        return []
    texts = {at: parcel.target.text for at, parcel in waiting.items()}
    encoded = encode(texts, open_encoder(), deadline)
    for at, vector in encoded.vectors.items():
        waiting[at].vector = vector
    for at, reason in encoded.refused.items():
        tally.reject(waiting[at].target.update, reason)
    return [waiting[at].document.id for at in encoded.left]


def _is_ready(parcel: Parcel) -> bool:
    return parcel.vector is not None


def _write(stores: Stores, route: Route, parcels: Sequence[Parcel], tally: Tally) -> list[str]:
    """Write and count; ids of documents that changed since they were read."""
    operations = [_operation(stores, route, parcel) for parcel in parcels]
    answers = write(stores.es, operations, retry_seconds_max=stores.retry_seconds_max)
    pairs = list(zip(parcels, answers, strict=True))
    _put_cards(stores, route, [parcel for parcel, answer in pairs if answer.fate is Fate.WRITTEN])
    return [
        parcel.document.id
        for parcel, answer in pairs
        if not _is_settled(route, parcel, answer, tally)
    ]


def _is_settled(route: Route, parcel: Parcel, answer: Answer, tally: Tally) -> bool:
    if answer.fate is Fate.STALE:
        if route.is_backfill:
            return False
        tally.add("stale")
    elif answer.fate is Fate.REJECTED:
        tally.reject(parcel.target.update, answer.reason or "")
    else:
        tally.add("updated" if parcel.vector is parcel.document.vector else "embedded")
    return True


def _operation(stores: Stores, route: Route, parcel: Parcel) -> Operation:
    assert parcel.vector is not None  # noqa: S101 - _is_ready
    target = route.target
    document: dict[str, Any] = stamped(parcel.target, target.config, target.recipe.digest())
    source = to_bytes(document, target, parcel.vector, stores.takes_packed_vectors)
    return Operation(target.concrete, parcel.document.id, _order(route, parcel), source)


def _order(route: Route, parcel: Parcel) -> int | Place:
    """What the write is ordered by. A document of somebody else's keeps the version that it has:
    who counts versions outside of Elasticsearch has the next one refused where we count on.
    """
    if not route.is_backfill:
        return parcel.target.expected.order.version
    document = parcel.document
    theirs = document.stamp.get("received_at", ARRIVED_BEFORE_ALL) == ARRIVED_BEFORE_ALL
    return document.engine_version if theirs else document.place


def _put_cards(stores: Stores, route: Route, parcels: Sequence[Parcel]) -> None:
    cards: dict[str, tuple[int, bytes]] = {}
    for parcel in parcels:
        if parcel.vector is not None:
            version = parcel.target.expected.order.version
            record = card_store.card_of(parcel.target.update.product, parcel.vector, version)
            cards[parcel.document.id] = (version, record)
    card_store.put(stores.valkey, route.target.index, cards, staged=route.stage)
