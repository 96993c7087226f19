"""Brings the index to what updates say: read what is stored, plan, write, then the cards.

Doing the same updates again, in whole or in part and by anyone, changes nothing and counts the
same; that is what makes it safe to kill a worker anywhere.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
import redis
from elasticsearch import Elasticsearch
from elasticsearch.helpers import pack_dense_vector

from indexer.catalogue import card_store, codes, stored
from indexer.catalogue.encode import Vector, encode
from indexer.catalogue.generation import TOMBSTONES, Generation
from indexer.catalogue.plan import Order, Outcome, Stored, is_repeat, plan
from indexer.catalogue.product import Product, ProductUpdate, place
from indexer.catalogue.stored import Document
from indexer.catalogue.tally import Kind, Tally
from indexer.catalogue.text import (
    Target,
    product_in,
    stamped,
    target_of,
    text_hash,
    text_to_embed,
)
from indexer.catalogue.write import Answer, Fate, Operation, write
from indexer.embedding.encoder import Encoder
from indexer.embedding.recipe import CHARACTERS_PER_TOKEN
from indexer.errors import InvalidProduct


@dataclass(frozen=True, slots=True)
class Stores:
    """The servers that hold a catalogue, and how long to try them."""

    es: Elasticsearch
    valkey: redis.Redis
    retry_seconds_max: float
    takes_packed_vectors: bool = True


@dataclass(slots=True)
class Work:
    """One chunk on its way: targets by position, what is stored, what is left to embed."""

    generation: Generation
    targets: dict[int, Target] = field(default_factory=dict)
    known: dict[str, Stored] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    vectors: dict[int, Vector] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    def positions(self, outcome: Outcome) -> list[int]:
        """Where this outcome was planned."""
        return [position for position, planned in self.outcomes.items() if planned is outcome]

    def of(self, position: int) -> Stored:
        """What is stored of the product at this position."""
        return self.known[self.targets[position].id]


@dataclass(frozen=True, slots=True)
class Done:
    """What a chunk came to; `left` are positions that still need an encoder."""

    tally: Tally
    left: list[int]


def carry_out(
    stores: Stores,
    generation: Generation,
    updates: Sequence[ProductUpdate],
    *,
    encoder: Encoder | None = None,
    deadline: float = math.inf,
) -> Done:
    """Write what the updates need; without an encoder, what must be embedded is left.

    With one, texts are left that are not encoded by `deadline` on the monotonic clock.
    """
    work = plan_chunk(stores, generation, updates)
    _reuse_vectors(stores, work)
    left = work.positions(Outcome.EMBED)
    if encoder is not None:
        left = _encode(work, left, encoder, deadline)
    _write(stores, work, "updated" if encoder is None else "embedded")
    _settle_unchanged(stores, work, "updated" if encoder is None else "embedded")
    return Done(work.tally, sorted(left))


def plan_chunk(stores: Stores, generation: Generation, updates: Sequence[ProductUpdate]) -> Work:
    """Targets and outcomes of a chunk; faulty and outdated updates are counted already."""
    work = Work(generation)
    for position, update in enumerate(updates):
        try:
            target = target_of(update, generation.config, generation.recipe)
        except InvalidProduct as error:
            work.tally.reject(update, error.message)
        else:
            work.targets[position] = target
    _keep_latest(work)
    ids = [target.id for target in work.targets.values()]
    if ids:
        work.known = stored.read(stores.es, stores.valkey, generation, ids)
    for position, target in work.targets.items():
        work.outcomes[position] = plan(target.expected, work.of(position))
    for _ in work.positions(Outcome.STALE):
        work.tally.add("stale")
    return work


def _keep_latest(work: Work) -> None:
    """Of several updates of one product in a chunk only the latest counts."""
    latest: dict[str, int] = {}
    for position, target in list(work.targets.items()):
        rival = latest.get(target.id)
        if rival is None:
            latest[target.id] = position
            continue
        wins = target.expected.order >= work.targets[rival].expected.order
        latest[target.id], loser = (position, rival) if wins else (rival, position)
        del work.targets[loser]
        work.tally.add("stale")


def _reuse_vectors(stores: Stores, work: Work) -> None:
    """Read vectors back where only fields changed; what has none there is to be embedded."""
    positions = work.positions(Outcome.FIELDS_ONLY)
    ids = [work.targets[position].id for position in positions]
    documents = stored.read_documents(stores.es, work.generation, ids)
    for position in positions:
        target = work.targets[position]
        document = documents.get(target.id)
        same = document and document.stamp.get("text_hash") == target.expected.text_hash
        if document is not None and same and document.vector is not None:
            work.vectors[position] = document.vector
        else:
            work.outcomes[position] = Outcome.EMBED


def _encode(work: Work, positions: list[int], encoder: Encoder, deadline: float) -> list[int]:
    """Vectors of the texts at these positions, as far as time goes; positions that are left."""
    texts = {position: work.targets[position].text for position in positions}
    encoded = encode(texts, encoder, deadline)
    work.vectors |= encoded.vectors
    for position, reason in encoded.refused.items():
        work.tally.reject(work.targets[position].update, reason)
    return encoded.left


def _write(stores: Stores, work: Work, kind_of_vector: Kind) -> None:
    """Documents and deletes, then the cards of what was accepted."""
    deletes = work.positions(Outcome.DELETE)
    operations: list[tuple[int, Operation]] = [
        (position, _index_operation(stores, work, position)) for position in work.vectors
    ]
    for position in deletes:
        operations += [(position, one) for one in _delete_operations(work, position)]
    answers = write(
        stores.es,
        [operation for _, operation in operations],
        retry_seconds_max=stores.retry_seconds_max,
    )
    fates: dict[int, Answer] = {}
    for (position, _), answer in zip(operations, answers, strict=True):
        if position not in fates or fates[position].fate is Fate.WRITTEN:
            fates[position] = answer
    written = [position for position, answer in fates.items() if answer.fate is Fate.WRITTEN]
    _write_cards(stores, work, written)
    for position, answer in fates.items():
        _count(work, position, answer, kind_of_vector)


def _index_operation(stores: Stores, work: Work, position: int) -> Operation:
    target, generation = work.targets[position], work.generation
    document = stamped(target, generation.config, generation.recipe.digest())
    return Operation(
        generation.concrete,
        target.id,
        target.expected.order.version,
        to_bytes(document, generation, work.vectors[position], stores.takes_packed_vectors),
    )


def to_bytes(
    document: dict[str, Any], generation: Generation, vector: Vector, packed: bool
) -> bytes:
    """The document with its vector as JSON; packed, a vector is base64 and a third the size."""
    value: Any = pack_dense_vector(vector) if packed else vector.tolist()
    place(document, generation.config.vector_field, value)
    return orjson.dumps(document)


def _delete_operations(work: Work, position: int) -> list[Operation]:
    target, index = work.targets[position], work.generation.index
    order, found = target.expected.order, work.of(position)
    was_live = found.document is not None or (found.was_live and found.buried == order)
    tombstone = {"index": index, "id": target.id, "was_live": was_live, **order._asdict()}
    grave = stored.tombstone_id(index, target.id)
    return [
        Operation(TOMBSTONES, grave, order.version, orjson.dumps(tombstone)),
        Operation(work.generation.concrete, target.id, order.version, None),
    ]


def _write_cards(stores: Stores, work: Work, written: list[int]) -> None:
    cards: dict[str, tuple[int, bytes]] = {}
    gone: dict[str, int] = {}
    for position in written:
        target = work.targets[position]
        version = target.expected.order.version
        if target.expected.deleted:
            gone[target.id] = version
        else:
            vector = work.vectors[position]
            cards[target.id] = (version, card_store.card_of(target.update.product, vector, version))
    card_store.put(stores.valkey, work.generation.index, cards)
    card_store.drop(stores.valkey, work.generation.index, gone)


def _count(work: Work, position: int, answer: Answer, kind_of_vector: Kind) -> None:
    if answer.fate is Fate.REJECTED:
        work.tally.reject(work.targets[position].update, answer.reason or "")
    elif answer.fate is Fate.STALE:
        work.tally.add("stale")
    elif not work.targets[position].expected.deleted:
        fields_only = work.outcomes[position] is Outcome.FIELDS_ONLY
        work.tally.add("updated" if fields_only else kind_of_vector)
    else:
        work.tally.add("deleted" if work.of(position).document else "unchanged")


def _settle_unchanged(stores: Stores, work: Work, kind_of_repeat: Kind) -> None:
    """Count what needs no write, remember its order, and mend its card where that is behind."""
    positions = work.positions(Outcome.NOTHING)
    orders: dict[str, Order] = {}
    mend: list[str] = []
    live = [position for position in positions if work.of(position).document]
    ids = [work.targets[position].id for position in live]
    on_card = dict(
        zip(ids, card_store.versions(stores.valkey, work.generation.index, ids), strict=True)
    )
    for position in positions:
        target, found = work.targets[position], work.of(position)
        repeat = is_repeat(target.expected, found)
        document = found.document
        if document is None:
            work.tally.add("deleted" if repeat and found.was_live else "unchanged")
            continue
        work.tally.add(kind_of_repeat if repeat else "unchanged")
        if target.expected.order > max(document.order, found.confirmed):
            orders[target.id] = target.expected.order
        if repeat or on_card[target.id] != document.order.version:
            mend.append(target.id)
    stored.confirm(stores.valkey, work.generation.index, orders)
    refill(stores, work.generation, mend)


class Refilled(NamedTuple):
    """How many cards were written, and the ids of documents that have no vector of ours yet."""

    written: int
    waiting: list[str]


def refill(
    stores: Stores, generation: Generation, ids: Sequence[str], *, staged: bool = False
) -> Refilled:
    """Make cards what the documents say; those of no document go."""
    index = generation.index
    wanted = list(ids) if staged else _differing(stores, generation, ids)
    cards: dict[str, tuple[int, bytes]] = {}
    waiting = []
    for document in stored.read_documents(stores.es, generation, wanted).values():
        if document.vector is None or not document.stamp:
            waiting.append(document.id)
            continue
        version = int(document.stamp["version"])
        product = product_in(document.source, generation.config, document.id)
        cards[document.id] = (version, card_store.card_of(product, document.vector, version))
    card_store.put(stores.valkey, index, cards, staged=staged)
    return Refilled(len(cards), waiting)


def refill_changed(stores: Stores, generation: Generation, ids: Sequence[str]) -> Refilled:
    """The same for documents that others may have changed in part; those wait whose stamp does not
    fit what they say now.
    """
    index = generation.index
    before = dict(zip(ids, card_store.records(stores.valkey, index, ids), strict=True))
    cards: dict[str, tuple[int, bytes]] = {}
    waiting = []
    for document in stored.read_documents(stores.es, generation, ids).values():
        product = product_in(document.source, generation.config, document.id)
        if document.vector is None or not _is_as_stamped(document, product, generation):
            waiting.append(document.id)
            continue
        version = int(document.stamp["version"])
        record = card_store.card_of(product, document.vector, version)
        if record != before[document.id]:
            cards[document.id] = (version, record)
    card_store.put(stores.valkey, index, cards)
    return Refilled(len(cards), waiting)


def _is_as_stamped(document: Document, product: Product, generation: Generation) -> bool:
    """Whether a document's text and codes are those that its stamp was made of."""
    config, recipe, stamp = generation.config, generation.recipe, document.stamp
    text = text_to_embed(product, recipe.max_tokens * CHARACTERS_PER_TOKEN)
    said = codes.of({config.theirs("id"): document.id} | document.source, config.codes)
    return stamp.get("text_hash") == text_hash(text, recipe) and stamp.get("codes", []) == said


def _differing(stores: Stores, generation: Generation, ids: Sequence[str]) -> list[str]:
    """Ids without a card of their document's version; cards without a document are removed."""
    on_card = dict(zip(ids, card_store.versions(stores.valkey, generation.index, ids), strict=True))
    known = [item_id for item_id, version in on_card.items() if version is not None]
    documents = dict(
        zip(known, stored.read_hashes(stores.es, generation.concrete, known), strict=True)
    )
    # Of the versions read before the documents: a card that came since stays.
    gone = {i: on_card[i] or 0 for i, document in documents.items() if document is None}
    card_store.drop(stores.valkey, generation.index, gone)
    same = {i for i, it in documents.items() if it and it.order.version == on_card[i]}
    return [item_id for item_id in ids if item_id not in gone and item_id not in same]
