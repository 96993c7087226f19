"""Pages of other origins: what the node's CORS settings allow holds for every answer."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from flask.testing import FlaskClient

from indexer import settings as server_settings
from reranker.app import create_app
from reranker.serving.process import open_process
from reranker.settings import Settings

SHOP, OTHER, OWN = "https://shop.example", "https://other.example", "http://localhost"
PREFLIGHT = {"Access-Control-Request-Method": "POST"}
ALLOWED, CREDENTIALS = "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"


class Node(ThreadingHTTPServer):
    """Answers as Elasticsearch does with `http.cors.enabled`, for one origin."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.cors = True
        self.asked: list[tuple[str, str, str | None]] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Node

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self._answer()

    def _answer(self) -> None:
        origin = self.headers["Origin"]
        self.server.asked.append((self.command, self.path, origin))
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        refused = self.server.cors and origin not in (None, SHOP)
        self.send_response(403 if refused else 200)
        if self.server.cors and origin == SHOP:
            self.send_header(ALLOWED, SHOP)
            self.send_header("Vary", "origin")
            self.send_header(CREDENTIALS, "true")
            for method in ("GET", "POST") if self.command == "OPTIONS" else ():
                self.send_header("Access-Control-Allow-Methods", method)
        if not refused:
            self.send_header("X-elastic-product", "Elasticsearch")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def gateway(node: Node) -> Iterator[FlaskClient]:
    url = f"http://127.0.0.1:{node.server_port}"
    servers = server_settings.load().model_copy(update={"elasticsearch_url": url})
    process = open_process(servers, Settings())
    yield create_app(process).test_client()
    process.close()


@pytest.mark.parametrize("path", ["/goods/_msearch", "/goods/_count", "/rerank", "/events"])
def test_the_node_answers_a_preflight(gateway: FlaskClient, path: str) -> None:
    answer = gateway.options(path, headers={"Origin": SHOP, **PREFLIGHT})
    assert (answer.status_code, answer.headers[ALLOWED]) == (200, SHOP)
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST"


def test_what_is_answered_here_has_the_nodes_headers(gateway: FlaskClient, node: Node) -> None:
    wrong = {"ext": {"hitweave": {"absent": 1}}}
    for _ in range(3):
        answer = gateway.post("/goods/_search", json=wrong, headers={"Origin": SHOP})
        assert answer.status_code == 400
        found = [answer.headers[name] for name in (ALLOWED, "Vary", CREDENTIALS)]
        assert found == [SHOP, "origin", "true"]
    assert node.asked == [("HEAD", "/", SHOP)]


def test_an_origin_that_the_node_refuses_gets_no_search(gateway: FlaskClient) -> None:
    for path in ("/goods/_search", "/_msearch", "/goods/_count"):
        answer = gateway.post(path, json={}, headers={"Origin": OTHER})
        assert (answer.status_code, answer.data) == (403, b"")
        assert gateway.options(path, headers={"Origin": OTHER, **PREFLIGHT}).status_code == 403
    answer = gateway.get("/health/live", headers={"Origin": OTHER})
    assert (answer.status_code, ALLOWED in answer.headers) == (200, False)


def test_our_own_pages_are_of_no_other_origin(gateway: FlaskClient, node: Node) -> None:
    assert gateway.post("/goods/_count", json={}, headers={"Origin": OWN}).status_code == 200
    assert node.asked == [("POST", "/goods/_count", None)]


def test_without_cors_on_the_node_nothing_is_allowed_or_refused(
    gateway: FlaskClient, node: Node
) -> None:
    node.cors = False
    for origin in (SHOP, OTHER, "null", "http://[localhost"):
        answer = gateway.get("/health/live", headers={"Origin": origin})
        assert (answer.status_code, ALLOWED in answer.headers) == (200, False)
        assert gateway.post("/goods/_count", json={}, headers={"Origin": origin}).status_code == 200
    asked = gateway.options("/rerank", headers={"Origin": SHOP, **PREFLIGHT})
    assert (asked.status_code, ALLOWED in asked.headers) == (200, False)


def test_a_node_that_is_away_takes_no_answer_of_ours_with_it(
    gateway: FlaskClient, node: Node
) -> None:
    node.server_close()
    answer = gateway.get("/health/live", headers={"Origin": SHOP})
    assert (answer.status_code, ALLOWED in answer.headers) == (200, False)
