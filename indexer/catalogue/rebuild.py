"""Builds the next generation of an index beside the served one and swaps, or goes back to the last.

Writers are held up only for the last round and the comparison: the old generation takes no more
writes, what it took is in the new one, and then both aliases move in one call. Until then nothing
that is served has changed; whatever fails before it is undone.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import redis
from elasticsearch import Elasticsearch

from indexer.catalogue import card_store, stored
from indexer.catalogue.audit import differences
from indexer.catalogue.generation import (
    TOMBSTONES,
    Generation,
    create_generation,
    generation_at,
    generations,
    next_name,
    resolve,
    swap,
)
from indexer.catalogue.mapping import IndexConfig, mapping_body, put_by_hand
from indexer.catalogue.product import RESERVED
from indexer.catalogue.submission import Submission
from indexer.catalogue.tally import Counts
from indexer.catalogue.transfer import Route
from indexer.catalogue.write import Operation, write
from indexer.errors import AskedWrongly, IncompatibleIndex, WriteFailed

COPY, STAGE = "indexer.tasks.copy_chunk", "indexer.tasks.stage_cards"
CHUNK_IDS = 200
ROUNDS_MAX = 10
ROUND_SMALL = 200
DELETE_RETRY_SECONDS = 60.0
NOTHING_SEEN = -1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Sequence numbers up to which writes and deletes have been brought over."""

    documents: int = NOTHING_SEEN
    graves: int = NOTHING_SEEN


@dataclass(frozen=True, slots=True)
class Move:
    """Bringing one generation to what another one holds, and serving it."""

    es: Elasticsearch
    valkey: redis.Redis
    source: Generation
    target: Generation
    submission: Callable[[int], Submission]  # by the number of documents

    @property
    def changes_vectors(self) -> bool:
        """Whether the two generations encode by different recipes."""
        return self.source.recipe.digest() != self.target.recipe.digest()

    def carry_out(self, since: Checkpoint) -> Counts:
        """Bring over what is newer than `since`, compare, swap; raises WriteFailed undone."""
        counts, since = self._catch_up(since)
        self.es.indices.add_block(index=self.source.concrete, block="write")
        try:
            last, since = self._round(since)
            self._require_the_same()
            swap(self.es, self.source.index, self.target.concrete)
        except BaseException:
            unblock(self.es, self.source.concrete)
            raise
        card_store.adopt(self.valkey, self.source.index)
        self._remember()
        return counts + last

    def _require_the_same(self) -> None:
        found = differences(self.es, self.source, self.target)
        if found:
            raise WriteFailed(
                f"{self.target.concrete} is not served, since it differs: {'; '.join(found)}"
            )

    def _catch_up(self, since: Checkpoint) -> tuple[Counts, Checkpoint]:
        counts = Counts()
        for _ in range(ROUNDS_MAX):
            round_counts, since = self._round(since)
            counts += round_counts
            if sum(round_counts.to_json().values()) <= ROUND_SMALL:
                break
        return counts, since

    def _round(self, since: Checkpoint) -> tuple[Counts, Checkpoint]:
        """Bring over what was written and deleted since; the point up to which that is."""
        reached = Checkpoint(
            checkpoint(self.es, self.source.concrete), checkpoint(self.es, TOMBSTONES)
        )
        self.es.indices.refresh(index=f"{self.source.concrete},{TOMBSTONES}")
        newer = {"range": {"_seq_no": {"gt": since.documents}}}
        queue = "embed" if self._needs_encoder else "index"
        route = Route(self.source, self.target, stage=self.changes_vectors)
        submission = self.submission(
            int(self.es.count(index=self.source.concrete, query=newer)["count"])
        )
        for ids in stored.scan_ids(self.es, self.source.concrete, newer, CHUNK_IDS):
            send_copy(submission, route, ids, queue)
        counts = submission.wait()
        self._delete(since.graves)
        return counts, reached

    @property
    def _needs_encoder(self) -> bool:
        return self.changes_vectors or self.source.config.fields != self.target.config.fields

    def _delete(self, since: int) -> None:
        """Carry over deletes; the target's own versions refuse those that are outdated."""
        for graves in _graves(self.es, self.source.index, since):
            operations = [
                Operation(self.target.concrete, grave["id"], grave["version"], None)
                for grave in graves
            ]
            write(self.es, operations, retry_seconds_max=DELETE_RETRY_SECONDS)
            gone = {grave["id"]: grave["version"] for grave in graves}
            card_store.drop(self.valkey, self.source.index, gone, staged=True)

    def _remember(self) -> None:
        """Note in the stamp of the target what a way back needs."""
        mappings = self.es.indices.get_mapping(index=self.target.concrete)
        meta = mappings[self.target.concrete]["mappings"]["_meta"]
        meta[RESERVED]["moved"] = {
            "from": self.source.concrete,
            "documents": checkpoint(self.es, self.target.concrete),
            "graves": checkpoint(self.es, TOMBSTONES),
        }
        self.es.indices.put_mapping(index=self.target.concrete, meta=meta)


def rebuild(
    es: Elasticsearch,
    valkey: redis.Redis,
    index: str,
    config: IndexConfig | None,
    submission: Callable[[int], Submission],
) -> tuple[Move, Counts]:
    """Build and serve the next generation; without a configuration by that of the served one."""
    current = _served(es, index)
    _remove_unserved(es, current)
    unblock(es, current.concrete)
    name, by_hand = next_name(es, index), _put_by_hand(es, current)
    target = create_generation(es, index, name, config or current.config, added=by_hand)
    move = Move(es, valkey, current, target, submission)
    try:
        counts = move.carry_out(Checkpoint(graves=checkpoint(es, TOMBSTONES)))
    except BaseException:
        if resolve(es, index).concrete != target.concrete:
            card_store.discard(valkey, index, staged=True)
            es.indices.delete(index=target.concrete)
        raise
    for name in generations(es, index):
        if name not in {current.concrete, target.concrete}:
            es.indices.delete(index=name)
    return move, counts


def _put_by_hand(es: Elasticsearch, current: Generation) -> dict[str, Any]:
    there = es.indices.get_mapping(index=current.concrete)[current.concrete]["mappings"]
    made = mapping_body(current.config, current.recipe)
    return put_by_hand(there.get("properties", {}), made["properties"])


def roll_back(
    es: Elasticsearch, valkey: redis.Redis, index: str, submission: Callable[[int], Submission]
) -> tuple[Move, Counts]:
    """Serve the generation before this one again, with what was written since."""
    current = _served(es, index)
    moved = _moved(es, current.concrete)
    if moved is None or moved["from"] not in generations(es, index):
        raise AskedWrongly(
            f"index {index!r} has no earlier generation to go back to; "
            f"build one with `hitweave create {index} --rebuild`"
        )
    target = generation_at(es, index, moved["from"])
    move = Move(es, valkey, current, target, submission)
    unblock(es, target.concrete)
    try:
        if move.changes_vectors:
            _stage_cards(move)
        counts = move.carry_out(Checkpoint(moved["documents"], moved["graves"]))
    except BaseException:
        card_store.discard(valkey, index, staged=True)
        raise
    return move, counts


def send_copy(submission: Submission, route: Route, ids: list[str], queue: str) -> None:
    """Queue one chunk of documents that are to be brought over a route."""
    submission.send(
        COPY,
        queue,
        len(ids),
        index=route.target.index,
        source=route.source.concrete,
        target=route.target.concrete,
        ids=ids,
        stage=route.stage,
    )


def checkpoint(es: Elasticsearch, concrete: str) -> int:
    """The sequence number up to which every write of a one-shard index is done."""
    ((_, end),) = stored.checkpoints(es, concrete).values()
    return end


def unblock(es: Elasticsearch, concrete: str) -> None:
    """Let a generation take writes."""
    es.indices.put_settings(index=concrete, settings={"index.blocks.write": None})


def _served(es: Elasticsearch, index: str) -> Generation:
    current = resolve(es, index)
    if current.is_attached:
        raise IncompatibleIndex(
            f"{index!r} is an index of yours that Hitweave is attached to: reindex it yourself, "
            f"then run `hitweave create {index} --attach` again"
        )
    return current


def _moved(es: Elasticsearch, concrete: str) -> dict[str, Any] | None:
    meta = es.indices.get_mapping(index=concrete)[concrete]["mappings"]["_meta"]
    found: dict[str, Any] | None = meta[RESERVED].get("moved")
    return found


def _remove_unserved(es: Elasticsearch, current: Generation) -> None:
    """Remove generations whose build was cut off."""
    for name in generations(es, current.index):
        if name > current.concrete and _moved(es, name) is None:
            es.indices.delete(index=name)


def _stage_cards(move: Move) -> None:
    concrete = move.target.concrete
    submission = move.submission(int(move.es.count(index=concrete)["count"]))
    for ids in stored.scan_ids(move.es, concrete, {"match_all": {}}, CHUNK_IDS):
        submission.send(STAGE, "index", len(ids), index=move.source.index, target=concrete, ids=ids)
    submission.wait()


def _graves(es: Elasticsearch, index: str, since: int) -> Iterator[list[Mapping[str, Any]]]:
    newer = [{"term": {"index": index}}, {"range": {"_seq_no": {"gt": since}}}]
    for ids in stored.scan_ids(es, TOMBSTONES, {"bool": {"filter": newer}}, CHUNK_IDS):
        found = es.mget(index=TOMBSTONES, ids=ids)["docs"]
        yield [one["_source"] for one in found if one["found"]]
