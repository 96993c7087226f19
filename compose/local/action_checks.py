"""Checks whether events come in whose actions nothing is learned from."""

from collections.abc import Iterator

from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch

from compose.local.finding import Finding
from indexer.behaviour.journal_index import EVENTS
from indexer.catalogue.actions import COUNTED
from indexer.identity import action_key

SINCE = "now-7d"
INDICES_MAX, ACTIONS_MAX, NAMED_MAX = 100, 1000, 5
ADVICE = "say under `actions` of its configuration what they count as, if they are to count"


def check_actions(client: Elasticsearch) -> Iterator[Finding]:
    """One note an index of the journal that was lately sent actions which count as nothing."""
    by_action = {"terms": {"field": "action_name", "size": ACTIONS_MAX}}
    by_index = {"terms": {"field": "hitweave.index", "size": INDICES_MAX}}
    try:
        answer = client.search(
            index=EVENTS,
            ignore_unavailable=True,
            size=0,
            query={"range": {"hitweave.received_at": {"gte": SINCE}}},
            aggs={"index": {**by_index, "aggs": {"action": by_action}}},
        )
    except (ApiError, TransportError) as error:
        told = f"the events of {EVENTS} cannot be counted ({type(error).__name__})"
        yield Finding("actions", "note", told, "`action_name` must be a keyword there")
        return
    for found in answer.get("aggregations", {}).get("index", {}).get("buckets", ()):
        counts = {it["key"]: it["doc_count"] for it in found["action"]["buckets"]}
        idle = {name: n for name, n in counts.items() if action_key(name) not in COUNTED}
        if idle:
            named = ", ".join(f"{name} ({n:,})" for name, n in list(idle.items())[:NAMED_MAX])
            more = f" and {len(idle) - NAMED_MAX} more" if len(idle) > NAMED_MAX else ""
            told = f"{found['key']}: of 7 days nothing is learned from {named}{more}"
            yield Finding("actions", "note", told, ADVICE)
