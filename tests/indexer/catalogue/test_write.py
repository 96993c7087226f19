"""Bulk writes: every item's answer read, only what is busy sent again."""

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalogue.write import (
    REQUEST_BYTES_MAX,
    REQUEST_ITEMS_MAX,
    Fate,
    Operation,
    Place,
    requests,
    write,
)
from indexer.errors import AccessDenied, ElasticsearchUnavailable

Item = dict[str, Any]
BUSY: Item = {"status": 429, "error": {"type": "rejected", "reason": "queue is full"}}
BAD: Item = {
    "status": 400,
    "error": {"reason": "failed to parse", "caused_by": {"reason": "[price] is no number"}},
}
BLOCKED: Item = {"status": 403, "error": {"type": "cluster_block_exception", "reason": "blocked"}}
FORBIDDEN: Item = {"status": 403, "error": {"type": "security_exception", "reason": "no right"}}


class ScriptedNode:
    """Answers bulk requests by a script, one entry a request, and remembers what came."""

    def __init__(self) -> None:
        self.script: list[dict[str, Item] | int] = []
        self.received: list[list[str]] = []
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self._answer(node.answer(self.rfile.read(int(self.headers["content-length"]))))

            def do_POST(self) -> None:
                self.do_PUT()

            def _answer(self, answer: tuple[int, bytes]) -> None:
                self.send_response(answer[0])
                self.send_header("X-Elastic-Product", "Elasticsearch")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer[1])))
                self.end_headers()
                self.wfile.write(answer[1])

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def answer(self, body: bytes) -> tuple[int, bytes]:
        """The next answer of the script; ids that it does not name are written."""
        heads = [json.loads(line) for line in body.splitlines() if b'"_id"' in line]
        ids = [next(iter(head.values()))["_id"] for head in heads]
        self.received.append(ids)
        step = self.script.pop(0) if self.script else {}
        if isinstance(step, int):
            return step, b'{"error":{"type":"busy","reason":"later"},"status":503}'
        items = [{"index": step.get(one, {"status": 201, "result": "created"})} for one in ids]
        return 200, json.dumps({"errors": True, "items": items}).encode()


@pytest.fixture
def node() -> Iterator[ScriptedNode]:
    scripted = ScriptedNode()
    thread = threading.Thread(target=scripted.server.serve_forever, args=(0.01,))
    thread.start()
    yield scripted
    scripted.server.shutdown()
    thread.join()
    scripted.server.server_close()


@pytest.fixture
def client(node: ScriptedNode) -> Iterator[Elasticsearch]:
    with Elasticsearch(f"http://127.0.0.1:{node.server.server_port}", max_retries=0) as es:
        yield es


def operations(*ids: str) -> list[Operation]:
    return [Operation("shop", one, 5, b'{"title":"x"}') for one in ids]


def fates(es: Elasticsearch, wanted: Sequence[Operation], seconds: float = 10) -> list[Fate]:
    return [answer.fate for answer in write(es, wanted, retry_seconds_max=seconds)]


def test_only_the_busy_items_are_sent_again(node: ScriptedNode, client: Elasticsearch) -> None:
    node.script = [{"b": BUSY, "d": BUSY}, {"d": BUSY}]
    assert fates(client, operations("a", "b", "c", "d")) == [Fate.WRITTEN] * 4
    assert node.received == [["a", "b", "c", "d"], ["b", "d"], ["d"]]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_cluster_is_asked_again(
    node: ScriptedNode, client: Elasticsearch, status: int
) -> None:
    node.script = [status, status]
    assert fates(client, operations("a")) == [Fate.WRITTEN]
    assert node.received == [["a"]] * 3


def test_a_cluster_that_stays_busy_is_unavailable(
    node: ScriptedNode, client: Elasticsearch
) -> None:
    node.script = [{"a": BUSY}] * 1000
    with pytest.raises(ElasticsearchUnavailable, match=r"1 of 2 writes.*queue is full"):
        write(client, operations("a", "b"), retry_seconds_max=0.3)


def test_a_refused_item_is_rejected_alone_with_its_innermost_reason(
    node: ScriptedNode, client: Elasticsearch
) -> None:
    node.script = [{"b": BAD}]
    answers = write(client, operations("a", "b", "c"), retry_seconds_max=10)
    assert [answer.fate for answer in answers] == [Fate.WRITTEN, Fate.REJECTED, Fate.WRITTEN]
    assert answers[1].reason == "failed to parse: [price] is no number"
    assert len(node.received) == 1


def test_a_version_conflict_is_stale_and_a_delete_of_nothing_is_done(
    node: ScriptedNode, client: Elasticsearch
) -> None:
    node.script = [{"a": {"status": 409}, "b": {"status": 404, "result": "not_found"}}]
    assert fates(client, operations("a", "b")) == [Fate.STALE, Fate.WRITTEN]


def test_a_generation_that_takes_no_writes_is_unavailable_and_a_missing_right_is_told(
    node: ScriptedNode, client: Elasticsearch
) -> None:
    node.script = [{"a": BLOCKED}, {"a": FORBIDDEN}]
    with pytest.raises(ElasticsearchUnavailable, match="blocked"):
        fates(client, operations("a"))
    with pytest.raises(AccessDenied, match="no right"):
        fates(client, operations("a"))


def test_a_node_that_is_away_is_unavailable() -> None:
    with (
        Elasticsearch("http://127.0.0.1:9", max_retries=0) as es,
        pytest.raises(ElasticsearchUnavailable),
    ):
        write(es, operations("a"), retry_seconds_max=0.2)


def test_an_operation_is_ordered_by_its_version_or_by_its_place() -> None:
    by_version, body = Operation("shop", "a", 5, b"{}").lines()
    assert json.loads(by_version) == {
        "index": {"_index": "shop", "_id": "a", "version": 5, "version_type": "external_gte"}
    }
    assert body == b"{}"
    (by_place,) = Operation("shop", "a", Place(7, 1), None).lines()
    assert json.loads(by_place) == {
        "delete": {"_index": "shop", "_id": "a", "if_seq_no": 7, "if_primary_term": 1}
    }


@given(st.lists(st.integers(1, 2 * REQUEST_BYTES_MAX), max_size=60))
def test_requests_hold_everything_once_in_order_and_within_the_limits(sizes: list[int]) -> None:
    found = list(requests(range(len(sizes)), sizes.__getitem__))
    assert [position for request in found for position in request] == list(range(len(sizes)))
    for request in found:
        assert len(request) == 1 or sum(sizes[at] for at in request) <= REQUEST_BYTES_MAX


def test_a_request_holds_a_bounded_number_of_items() -> None:
    lengths = [len(request) for request in requests(range(2500), lambda _: 1)]
    assert lengths == [REQUEST_ITEMS_MAX, REQUEST_ITEMS_MAX, 500]
