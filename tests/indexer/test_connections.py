"""What Elasticsearch answers to our own credentials, in words of ours."""

import pickle
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig
from elasticsearch import ApiError

from indexer import connections
from indexer.errors import AccessDenied, ElasticsearchUnavailable, HitweaveError, WriteFailed
from indexer.settings import Settings
from tests.conftest import free_port


class Node(BaseHTTPRequestHandler):
    """Says its version and nothing else."""

    def do_GET(self) -> None:
        body = b'{"version": {"number": "9.5.3"}}'
        self.send_response(200)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


REASON = "action [x] is unauthorized, this action is granted by the index privileges [read,all]"


def answer(status: int, kind: str | None, reason: str = "so it is") -> ApiError:
    node = NodeConfig("http", "localhost", 9200)
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.1, node)
    cause = {"type": kind, "reason": reason}
    body: Any = {"error": {**cause, "root_cause": [cause]}} if kind else None
    return ApiError(str(kind), meta=meta, body=body)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (answer(401, "security_exception"), AccessDenied, "HITWEAVE_ELASTICSEARCH_API_KEY"),
        (answer(403, "security_exception", REASON), AccessDenied, "[read,all]"),
        (answer(403, None), AccessDenied, "view_index_metadata"),
        (answer(403, "cluster_block_exception"), ElasticsearchUnavailable, "for now"),
        (answer(400, "index_closed_exception"), ElasticsearchUnavailable, "for now"),
        (answer(429, "es_rejected_execution_exception"), ElasticsearchUnavailable, "429"),
        (answer(400, "mapper_parsing_exception"), WriteFailed, "so it is"),
    ],
)
def test_an_answer_is_told_by_what_is_to_be_done(
    error: ApiError, kind: type[HitweaveError], words: str
) -> None:
    told = connections.told(error)
    assert type(told) is kind
    assert words in told.message


def test_what_leaves_a_task_can_be_sent_to_the_workers_main_process() -> None:
    @connections.in_our_words
    def task() -> None:
        raise answer(401, "security_exception")

    with pytest.raises(AccessDenied) as raised:
        task()
    assert pickle.loads(pickle.dumps(raised.value)).message == raised.value.message  # noqa: S301


def test_who_asks_without_patience_asks_the_other_node_too() -> None:
    with HTTPServer(("127.0.0.1", 0), Node) as node:
        threading.Thread(target=node.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{free_port()},http://127.0.0.1:{node.server_port}"
        settings = Settings(elasticsearch_url=url)
        for _ in range(8):  # the client begins with any of them
            with connections.elasticsearch(settings, max_retries=0) as client:
                assert connections.check_elasticsearch(client, settings) == "9.5.3"
        node.shutdown()
