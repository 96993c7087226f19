"""The node's retriever before the real sidecar, and before one that fails as a test wishes."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from elasticsearch import Elasticsearch

from tests.conftest import Stack, free_port
from tests.gateway.conftest import Shop, gateway, node, shop
from tests.plugin.asking import set_node

__all__ = ["Shop", "gateway", "node", "shop"]

Answering = Callable[[bytes], tuple[int, bytes] | None]


class Impostor(ThreadingHTTPServer):
    """A server in the sidecar's place; `answering` returns status and body, None never answers."""

    daemon_threads = True
    request_queue_size = 128
    answering: Answering

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.closing = threading.Event()
        self.asked = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Impostor

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        answer = self.server.answering(sent)
        if answer is None:
            self.server.closing.wait()
            return
        self.send_response(answer[0])
        self.send_header("Content-Length", str(len(answer[1])))
        self.end_headers()
        self.wfile.write(answer[1])

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def patient(es: Elasticsearch) -> Iterator[None]:
    """A busy machine must not turn a ranked answer into a degraded one."""
    set_node(es, timeout="20s")
    yield
    set_node(es, timeout=None)


@pytest.fixture
def impostor(es: Elasticsearch) -> Iterator[Impostor]:
    """The node asks this server until the test ends."""
    with Impostor() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        set_node(es, url=server.url, pause_after_failure="0s", timeout="300ms")
        yield server
        server.closing.set()
        server.shutdown()
        set_node(es, url=None, pause_after_failure=None, timeout=None)


@pytest.fixture
def nobody(es: Elasticsearch, stack: Stack) -> Iterator[None]:
    """The node asks a port where nobody listens."""
    set_node(es, url=f"http://127.0.0.1:{free_port()}", pause_after_failure="0s")
    yield
    set_node(es, url=None, pause_after_failure=None)
