"""The journal on a real node: written once, read back in time order, and found again by id."""

import http.server
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch

from indexer.behaviour import event, journal, journal_index, ubi
from indexer.behaviour.journal import Written
from indexer.behaviour.journal_index import EVENTS, QUERIES
from indexer.errors import ElasticsearchUnavailable, IncompatibleIndex
from tests.flows.worker_process import wait_until

T0 = 1_300_000_000.0
NOW = 1_700_000_000.0
Document = dict[str, Any]


@pytest.fixture(autouse=True)
def journals(request: pytest.FixtureRequest) -> None:
    if "es" in request.fixturenames:
        journal_index.ensure(request.getfixturevalue("es"))


def view(number: int, **fields: Any) -> Document:
    raw = {
        "action_name": "view",
        "event_id": f"e{number}",
        "user_id": f"u{number % 3}",
        "session_id": "s1",
        "timestamp": T0 + number,
        "event_attributes": {
            "object": {"object_id": f"i{number}"},
            "position": {"ordinal": 1 + number},
            "colour": "teal",
        },
        **fields,
    }
    return ubi.read(raw, key="k", now=NOW, live=True)[1]


def query(number: int, query_id: str = "q1", **fields: Any) -> Document:
    raw = {"query_id": query_id, "user_query": "red mug", "timestamp": T0, "n": number, **fields}
    return ubi.read(raw, key="k", now=NOW, live=True)[1]


def write(es: Elasticsearch, index: str, *documents: Document) -> Written:
    return journal.write_events(es, index, documents, received_at=NOW)


def stored(es: Elasticsearch, journal_name: str, index: str) -> list[Document]:
    es.indices.refresh(index=journal_name)
    term = {"term": {"hitweave.index": index}}
    return [hit["_source"] for hit in es.search(index=journal_name, query=term)["hits"]["hits"]]


def test_what_is_journalled_already_is_known_and_stays_as_it_is(
    es: Elasticsearch, index_name: str
) -> None:
    assert write(es, index_name, view(1), view(2)) == Written(new=2)
    again = {**view(1), "message": "another text under the same identity"}
    assert write(es, index_name, again, view(3)) == Written(new=1, known=1)
    assert len(stored(es, EVENTS, index_name)) == 3
    assert not [it for it in stored(es, EVENTS, index_name) if "message" in it]


def test_the_same_event_of_two_indices_is_journalled_for_both(
    es: Elasticsearch, index_name: str
) -> None:
    assert write(es, index_name, view(1)) == write(es, f"{index_name}x", view(1)) == Written(new=1)


def test_every_name_of_ubi_can_be_searched_and_free_parts_too(
    es: Elasticsearch, index_name: str
) -> None:
    write(es, index_name, *map(view, range(9)))
    es.indices.refresh(index=EVENTS)

    def count(clause: Document) -> int:
        mine = {"term": {"hitweave.index": index_name}}
        return int(es.count(index=EVENTS, query={"bool": {"filter": [mine, clause]}})["count"])

    assert count({"range": {"event_attributes.position.ordinal": {"gt": 7}}}) == 2
    assert count({"term": {"event_attributes.object.object_id": "i4"}}) == 1
    assert count({"term": {"attributes.colour": "teal"}}) == 9
    assert count({"term": {"user_id": event.pseudonym("k", "u0")}}) == 3


def test_the_source_is_the_event_and_no_copy_of_its_parts(
    es: Elasticsearch, index_name: str
) -> None:
    write(es, index_name, view(1))
    (source,) = stored(es, EVENTS, index_name)
    arrival = source.pop("hitweave")
    assert source == view(1)
    assert arrival == {"index": index_name, "received_at": event.iso(NOW)}


def test_free_parts_never_grow_the_mapping(es: Elasticsearch, index_name: str) -> None:
    before = es.indices.get_mapping(index=EVENTS).body
    free = {"object": {"object_id": "1"}, index_name: {"deep": 1}, "colour": {"now": "an object"}}
    assert write(es, index_name, view(1, event_attributes=free)).new == 1
    assert es.indices.get_mapping(index=EVENTS).body == before


def test_a_document_that_elasticsearch_refuses_is_named_and_the_others_go_in(
    es: Elasticsearch, index_name: str
) -> None:
    written = write(es, index_name, {**view(1), "timestamp": "never"}, view(2))
    assert written.new == 1
    assert list(written.refused) == ["e1"]
    assert "never" not in written.refused["e1"]


def test_a_replay_is_in_time_order_and_within_bounds(
    es: Elasticsearch, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "PAGE_EVENTS", 7)
    documents = [view(number, timestamp=T0 + number // 5) for number in range(40)]
    write(es, index_name, *reversed(documents))
    write(es, f"{index_name}x", view(99))
    events = [event.event_of(it) for it in documents]
    events.sort(key=lambda it: (it.timestamp, it.event_id))
    assert list(journal.scan(es, index_name)) == events
    assert list(journal.scan(es, index_name, since=T0 + 2, until=T0 + 4)) == [
        it for it in events if T0 + 2 <= it.timestamp <= T0 + 4
    ]
    assert list(journal.scan(es, f"{index_name}none")) == []


def test_a_replay_that_is_not_read_to_its_end_leaves_no_snapshot_open(
    es: Elasticsearch, index_name: str
) -> None:
    write(es, index_name, view(1), view(2))
    reading = journal.scan(es, index_name)
    assert next(reading).event_id == "e1"
    reading.close()  # type: ignore[attr-defined]
    wait_until(lambda: open_snapshots(es) == 0, seconds=30)


def open_snapshots(es: Elasticsearch) -> int:
    stats = es.nodes.stats(metric="indices", index_metric="search")["nodes"]
    return sum(node["indices"]["search"]["open_contexts"] for node in stats.values())


def test_an_event_takes_the_text_of_a_query_journalled_a_moment_ago(
    es: Elasticsearch, index_name: str
) -> None:
    journal.write_queries(es, index_name, [query(1)], received_at=NOW)
    own, unknown, outside = (
        view(2, query_id="q1", user_query="own"),
        view(3, query_id="q2"),
        view(4),
    )
    events = [view(1, query_id="q1"), own, unknown, outside]
    found = [it.get("user_query") for it in journal.attribute(es, index_name, events)]
    assert found == ["red mug", "own", None, None]


def test_pages_of_one_search_are_kept_side_by_side_and_once_each(
    es: Elasticsearch, index_name: str
) -> None:
    first = query(1, query_response_hit_ids=["a"])
    second = query(2, query_response_hit_ids=["b"])
    other = query(3, query_id="q2")
    assert journal.write_queries(es, index_name, [first], received_at=NOW) == Written(new=1)
    pages = [first, second, other]
    written = journal.write_queries(es, index_name, pages, received_at=NOW)
    assert written == Written(new=2, known=1)
    assert journal.write_queries(es, index_name, pages, received_at=NOW) == Written(known=3)
    shown = sorted(it["query_response_hit_ids"] for it in stored(es, QUERIES, index_name))
    assert shown == [[], ["a"], ["b"]]


SERVED = {"signal_digest": "d", "signals": "AAA=" * 20_000}


def test_what_the_sidecar_served_is_kept_and_not_indexed(
    es: Elasticsearch, index_name: str
) -> None:
    before = es.indices.get_mapping(index=QUERIES).body
    document = {**query(1), ubi.SERVED: SERVED}
    journal.write_queries(es, index_name, [document], received_at=NOW, own=True)
    (source,) = stored(es, QUERIES, index_name)
    assert source["hitweave"] == {
        "index": index_name,
        "received_at": event.iso(NOW),
        "served": SERVED,
    }
    assert es.indices.get_mapping(index=QUERIES).body == before
    for field in ("hitweave.served", "hitweave.served.signal_digest", "served"):
        assert es.count(index=QUERIES, query={"exists": {"field": field}})["count"] == 0


def test_each_page_of_a_search_keeps_what_was_served_on_it(
    es: Elasticsearch, index_name: str
) -> None:
    pages = [
        {**query(n, query_response_hit_ids=[str(n)]), ubi.SERVED: {"signals": str(n)}}
        for n in (1, 2)
    ]
    for page in pages:
        journal.write_queries(es, index_name, [page], received_at=NOW, own=True)
    kept = {
        it["query_response_hit_ids"][0]: it["hitweave"]["served"]["signals"]
        for it in stored(es, QUERIES, index_name)
    }
    assert kept == {"1": "1", "2": "2"}


def test_nothing_that_a_client_sends_becomes_served_signals(
    es: Elasticsearch, index_name: str
) -> None:
    forged = {"served": SERVED, "hitweave": {"served": SERVED, "index": "another"}}
    read = query(1, **forged, query_attributes={"colour": "red", **forged})
    assert ubi.SERVED not in read
    # What got past the reading in some way is refused by the journal as well.
    for document in (read, {**query(2, "q2"), **forged}):
        journal.write_queries(es, index_name, [document], received_at=NOW)
    for source in stored(es, QUERIES, index_name):
        assert source["hitweave"] == {"index": index_name, "received_at": event.iso(NOW)}
        assert ubi.SERVED not in source


@pytest.fixture
def own_indices(es: Elasticsearch, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A journal under another name, so that making it can be watched."""
    name = f"ubi_test_{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(journal_index, "INDICES", (name,))
    monkeypatch.setitem(journal_index.MAPPINGS, name, journal_index.MAPPINGS[EVENTS])
    yield name
    es.indices.delete(index=name, ignore_unavailable=True)


def test_many_may_make_the_journal_at_once(es: Elasticsearch, own_indices: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: journal_index.ensure(es), range(16)))
    mapping = es.indices.get_mapping(index=own_indices)[own_indices]["mappings"]
    assert mapping["dynamic"] == "false"
    assert mapping["properties"]["attributes"]["type"] == "flattened"


def test_an_index_of_another_collector_gets_the_fields_it_lacks(
    es: Elasticsearch, own_indices: str, index_name: str
) -> None:
    date = {"type": "date", "format": "strict_date_time", "ignore_malformed": True}
    theirs = {"timestamp": date, "action_name": {"type": "keyword", "ignore_above": 100}}
    es.indices.create(index=own_indices, mappings={"_meta": {"own": 1}, "properties": theirs})
    journal_index.ensure(es)
    mapping = es.indices.get_mapping(index=own_indices)[own_indices]["mappings"]
    assert mapping["_meta"]["own"] == 1
    assert mapping["properties"]["hitweave"]["properties"]["index"]["type"] == "keyword"


@pytest.mark.parametrize("field", ["hitweave", "timestamp"])
def test_an_index_that_cannot_hold_events_is_refused_with_its_name(
    es: Elasticsearch, own_indices: str, field: str
) -> None:
    clash = {field: {"type": "keyword"}}
    es.indices.create(index=own_indices, mappings={"properties": clash})
    with pytest.raises(IncompatibleIndex, match=own_indices):
        journal_index.ensure(es)


class Busy(http.server.BaseHTTPRequestHandler):
    """A node that takes every second document in its first round, and none in others."""

    rounds = 1
    bodies: list[int] = []  # noqa: RUF012 - one server a test

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).splitlines()
        names = [orjson.loads(line)["create"]["_id"] for line in body[::2]]
        type(self).bodies.append(len(names))
        busy, again = len(self.bodies) <= self.rounds, len(self.bodies) > 1
        items = [
            {"create": {"_id": name, "status": 429 if busy and (at % 2 or again) else 201}}
            for at, name in enumerate(names)
        ]
        answer = orjson.dumps({"items": items})
        self.send_response(200)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def busy_node() -> Iterator[Elasticsearch]:
    Busy.bodies, Busy.rounds = [], 1
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Elasticsearch(f"http://127.0.0.1:{server.server_address[1]}") as client:
        yield client
    server.shutdown()
    server.server_close()


def test_only_what_a_busy_node_did_not_take_is_sent_again(busy_node: Elasticsearch) -> None:
    written = write(busy_node, "shop", *map(view, range(6)))
    assert written == Written(new=6)
    assert Busy.bodies == [6, 3]


def test_a_node_that_stays_busy_is_an_error_and_not_a_refusal(
    busy_node: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    Busy.rounds = 100
    monkeypatch.setattr(journal, "BACK_OFF_SECONDS_FIRST", 0.001)
    with pytest.raises(ElasticsearchUnavailable):
        write(busy_node, "shop", *map(view, range(6)))
