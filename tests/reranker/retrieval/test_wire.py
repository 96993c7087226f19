"""HTTP/1.1 as nodes and proxies write it, over a real socket."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from reranker.retrieval.wire import Answer, Connection, ProtocolError


class Scripted:
    """A server that reads one request for each script line and writes the line back in pieces."""

    def __init__(self, script: list[list[bytes]]) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            for pieces in self._script:
                self.requests.append(self._request(connection))
                for piece in pieces:
                    connection.sendall(piece)

    def _request(self, connection: socket.socket) -> bytes:
        read = b""
        while b"\r\n\r\n" not in read:
            read += connection.recv(4096)
        head, _, body = read.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(body) < length:
            body += connection.recv(4096)
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        self._listener.close()
        self._thread.join(timeout=5)


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[Connection, Scripted]]]:
    opened: list[tuple[Connection, Scripted]] = []

    def start(*script: list[bytes]) -> tuple[Connection, Scripted]:
        server = Scripted(list(script))
        connection = Connection("127.0.0.1", server.port, None, 5.0)
        opened.append((connection, server))
        return connection, server

    yield start
    for connection, server in opened:
        connection.close()
        server.close()


Serve = Callable[..., tuple[Connection, Scripted]]


def ask(connection: Connection, method: str = "POST", body: bytes | None = b"{}") -> Answer:
    connection.send(method, "/i/_search", {"Content-Type": "application/json"}, body, 5.0)
    return connection.receive(5.0)


def test_a_body_of_known_length_is_read_whatever_the_pieces(serve: Serve) -> None:
    connection, server = serve(
        [b"HTTP/1.1 200 OK\r\nX-A: 1\r\nconte", b"nt-length: 5\r\n\r\nhe", b"llo"]
    )
    answer = ask(connection)
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers["x-a"] == "1"
    assert server.requests[0].startswith(b"POST /i/_search HTTP/1.1\r\nHost: 127.0.0.1:")
    assert server.requests[0].endswith(b"Content-Length: 2\r\n\r\n{}")


def test_chunks_are_joined_and_trailers_left_aside(serve: Serve) -> None:
    connection, _ = serve(
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r",
            b"\n2;x=y\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n",
        ],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"],
    )
    assert ask(connection).body == b"hello"
    assert ask(connection).body == b"ok"  # the connection is still in step


def test_a_body_may_end_with_the_connection(serve: Serve) -> None:
    connection, _ = serve([b"HTTP/1.1 200 OK\r\n\r\nall of it"])
    assert ask(connection).body == b"all of it"
    assert connection.closed


@pytest.mark.parametrize("method", ["HEAD"])
def test_the_answer_to_head_has_no_body(serve: Serve, method: str) -> None:
    connection, _ = serve(
        [b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n"],
        [b"HTTP/1.1 204 No Content\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx"],
    )
    assert ask(connection, method, None).body == b""
    assert ask(connection).status == 204
    assert ask(connection).body == b"x"


def test_an_interim_answer_is_skipped(serve: Serve) -> None:
    connection, _ = serve(
        [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx"]
    )
    assert ask(connection).body == b"x"


def test_a_server_that_closes_says_so(serve: Serve) -> None:
    connection, _ = serve([b"HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 1\r\n\r\nx"])
    ask(connection)
    assert connection.closed


@pytest.mark.parametrize(
    "answer",
    [
        b"SMTP ready\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"",
    ],
)
def test_what_is_not_http_is_an_error_not_a_guess(serve: Serve, answer: bytes) -> None:
    connection, _ = serve([answer])
    with pytest.raises((ProtocolError, ConnectionError)):
        ask(connection)


def test_bytes_nobody_asked_for_end_the_connection(serve: Serve) -> None:
    connection, _ = serve([b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxHTTP/1.1 500"])
    assert ask(connection).body == b"x"
    assert connection.closed


def test_the_time_is_that_of_the_whole_answer(serve: Serve) -> None:
    connection, _ = serve([], [b"never"])
    connection.send("POST", "/", {}, b"{}", 5.0)
    with pytest.raises(TimeoutError):
        connection.receive(0.05)


def test_a_header_cannot_smuggle_a_second_one(serve: Serve) -> None:
    connection, _ = serve([b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"])
    with pytest.raises(ProtocolError):
        connection.send("GET", "/", {"X-Opaque-Id": "a\r\nX-Evil: 1"}, None, 5.0)
    ask(connection)
