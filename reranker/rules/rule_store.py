"""The rules of all indices in Elasticsearch: the only place that reads and writes them.

One document an index holds its drafts and what is live, so that publishing changes all rules at
once. Writes say which state they change; who was overtaken reads again and changes that.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch
from pydantic import ValidationError

from indexer.behaviour.event import iso
from indexer.catalogue.generation import reason_of
from indexer.errors import ElasticsearchUnavailable, InvalidRequest
from indexer.telemetry import log
from reranker.definitions.definition_index import DefinitionIndex, Place, place_of
from reranker.rules.rule import Rule, as_stored

RULES_INDEX = "hitweave_rules"
RULES_MAX = 1000
INDICES_MAX = 10_000
IDS_AT_ONCE = 1000
ATTEMPTS = 20  # of several who write at once one gets through each time
_KEPT = {"type": "object", "enabled": False}
_PROPERTIES = {
    "index": {"type": "keyword"},
    "published_at": {"type": "date"},
    "draft": _KEPT,
    "live": _KEPT,
}

Change = Callable[["Stored"], "Stored"]


@dataclass(frozen=True, slots=True)
class Stored:
    """Drafts and live rules of an index by id; `place` is None where there is no document yet."""

    draft: Mapping[str, Rule] = field(default_factory=dict)
    live: Mapping[str, Rule] = field(default_factory=dict)
    published_at: str | None = None
    place: Place | None = None


class RuleStore:
    """Reads and changes; every method raises ElasticsearchUnavailable where it does not answer."""

    def __init__(self, client: Elasticsearch, clock: Callable[[], float] = time.time) -> None:
        self._kept = DefinitionIndex(client, RULES_INDEX, "rules", _PROPERTIES)
        self._clock = clock

    def read(self, index: str) -> Stored:
        """The rules of an index as they are now, also those written a moment ago."""
        found = self._kept.read(index)
        return Stored() if found is None else _stored(*found)

    def change(self, index: str, change: Change) -> Stored:
        """Apply a change to the state as it is; what is then stored."""
        for _ in range(ATTEMPTS):
            after = change(self.read(index))
            if self._kept.write(index, _document(index, after), after.place):
                return after
        raise ElasticsearchUnavailable("others change the rules without a pause: try again")

    def put(self, rule: Rule) -> Stored:
        """Keep a rule as a draft."""

        def add(before: Stored) -> Stored:
            draft = {**before.draft, rule.id: rule}
            if len(draft) > RULES_MAX:
                raise InvalidRequest(f"an index has {RULES_MAX} rules at the most: delete some")
            return replace(before, draft=draft)

        return self.change(rule.index, add)

    def delete(self, index: str, rule_id: str) -> bool:
        """Take a draft away; whether there was one. What is live stays so until published."""
        had = rule_id in self.read(index).draft
        if had:
            self.change(index, lambda it: replace(it, draft=_without(it.draft, rule_id)))
        return had

    def publish(self, index: str) -> Stored:
        """Make the drafts what is live, all at once."""
        now = iso(self._clock())
        return self.change(index, lambda it: replace(it, live=it.draft, published_at=now))

    def discard(self, index: str) -> Stored:
        """Make the drafts what is live again."""
        return self.change(index, lambda it: replace(it, draft=it.live))

    def check_query(self, index: str, query: Mapping[str, Any]) -> None:
        """Raise InvalidRequest where Elasticsearch does not take this query for the index."""
        with self._kept.reached():
            try:
                answer = self._kept.client.indices.validate_query(
                    index=index, query=query, explain=True
                )
            except BadRequestError as error:
                raise InvalidRequest(f"Elasticsearch refuses it: {reason_of(error)}") from None
        if not answer["valid"]:
            why = answer.get("error") or [it.get("error") for it in answer.get("explanations", [])]
            raise InvalidRequest(f"Elasticsearch refuses it: {why}")

    def absent(self, index: str, ids: Sequence[str]) -> list[str]:
        """Those of `ids` that no product of the index has, as of its last refresh."""
        there: set[str] = set()
        with self._kept.reached():
            for start in range(0, len(ids), IDS_AT_ONCE):
                asked = list(ids[start : start + IDS_AT_ONCE])
                answer = self._kept.client.search(
                    index=index,
                    query={"ids": {"values": asked}},
                    size=len(asked),
                    source=False,
                    track_total_hits=False,
                )
                there.update(hit["_id"] for hit in answer["hits"]["hits"])
        return [it for it in ids if it not in there]

    def unmapped(self, index: str, fields: Sequence[str]) -> list[str]:
        """Those of `fields` that the index cannot be searched by."""
        if not fields:
            return []
        with self._kept.reached():
            mapped = self._kept.client.field_caps(index=index, fields=list(fields))["fields"]
        return [
            it
            for it in fields
            if not any(kind["searchable"] for kind in mapped.get(it, {}).values())
        ]

    def places(self) -> dict[str, Place]:
        """Where the document of each index stands, as of the last refresh."""
        hits = self._kept.search(INDICES_MAX, source=False, seq_no_primary_term=True)
        return {hit["_id"]: place_of(hit) for hit in hits}


def _document(index: str, stored: Stored) -> dict[str, Any]:
    return {
        "index": index,
        "draft": [as_stored(rule) for rule in stored.draft.values()],
        "live": [as_stored(rule) for rule in stored.live.values()],
        "published_at": stored.published_at,
    }


def _stored(source: Mapping[str, Any], place: Place) -> Stored:
    return Stored(
        draft=_rules(source.get("draft", ())),
        live=_rules(source.get("live", ())),
        published_at=source.get("published_at"),
        place=place,
    )


def _rules(documents: Iterable[Mapping[str, Any]]) -> dict[str, Rule]:
    """Rules by id; one that this version does not understand is left out and logged."""
    found = {}
    for document in documents:
        try:
            rule = Rule.model_validate(document)
        except ValidationError as error:
            log("rules").error("rule_not_understood", rule=document.get("id"), reason=str(error))
            continue
        found[rule.id] = rule
    return found


def _without(rules: Mapping[str, Rule], rule_id: str) -> dict[str, Rule]:
    return {name: rule for name, rule in rules.items() if name != rule_id}


def in_order(rules: Mapping[str, Rule]) -> Sequence[Rule]:
    """Rules by id."""
    return [rules[name] for name in sorted(rules)]
