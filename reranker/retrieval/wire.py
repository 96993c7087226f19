"""HTTP/1.1 over one kept-alive connection, as far as a search cluster speaks it.

A request is one write, an answer few reads: the standard library's client spends more time on its
header objects than a small search takes. What is not understood is a ProtocolError, never a guess.
"""

import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass

READ_BYTES = 262_144
HEAD_BYTES_MAX = 65_536
_END = b"\r\n\r\n"
_BODILESS = frozenset({204, 304})


class ProtocolError(Exception):
    """The other side does not speak HTTP/1.1 as it should, or closed in the middle."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the node said; `headers` with lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """One connection; `closed` once it cannot be used again."""

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext | None, timeout_seconds: float
    ) -> None:
        plain = socket.create_connection((host, port), timeout_seconds)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain, server_hostname=host) if context else plain
        shown = f"[{host}]" if ":" in host else host
        self._host = f"Host: {shown}:{port}\r\n"
        self._read = b""
        self._method = ""
        self.closed = False

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> None:
        """Write one request; raises OSError."""
        lines = [f"{method} {target} HTTP/1.1\r\n", self._host]
        lines += [f"{name}: {_safe(value)}\r\n" for name, value in headers.items()]
        if body is not None or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body or b'')}\r\n")
        lines.append("\r\n")
        self._method = method
        self._socket.settimeout(timeout_seconds)
        self._socket.sendall("".join(lines).encode("latin-1") + (body or b""))

    def answers(self, timeout_seconds: float) -> bool:
        """Whether an answer begins within the time; `receive` then reads it. Raises as it does."""
        try:
            self._read += self._more(time.monotonic() + timeout_seconds)
        except TimeoutError:
            return False
        return True

    def receive(self, timeout_seconds: float) -> Answer:
        """The answer; raises TimeoutError after the whole time, OSError, ProtocolError."""
        until = time.monotonic() + timeout_seconds
        status, headers = self._head(until)
        while 100 <= status < 200:
            status, headers = self._head(until)
        if self._method == "HEAD" or status in _BODILESS:
            body = b""
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            body = self._chunks(until)
        elif "content-length" in headers:
            body = self._take(_number(headers["content-length"], 10), until)
        else:
            body = self._rest(until)
        if headers.get("connection", "").lower() == "close" or self._read:
            self.close()  # bytes that nobody asked for would be taken for the next answer
        return Answer(status, headers, body)

    def close(self) -> None:
        """End it; whatever is on its way is given up."""
        self.closed = True
        self._socket.close()

    def _more(self, until: float) -> bytes:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        read = self._socket.recv(READ_BYTES)
        if not read:
            raise ProtocolError("the connection was closed in the middle of an answer")
        return read

    def _head(self, until: float) -> tuple[int, dict[str, str]]:
        while (end := self._read.find(_END)) < 0:
            if len(self._read) > HEAD_BYTES_MAX:
                raise ProtocolError("the head of the answer is too long")
            self._read += self._more(until)
        first, *lines = self._read[:end].decode("latin-1").split("\r\n")
        self._read = self._read[end + len(_END) :]
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1."):
            raise ProtocolError("the answer does not begin as HTTP/1.1")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return _number(rest[:3], 10), headers

    def _take(self, count: int, until: float) -> bytes:
        parts, have = [self._read], len(self._read)
        while have < count:
            parts.append(self._more(until))
            have += len(parts[-1])
        read = b"".join(parts)
        self._read = read[count:]
        return read[:count]

    def _line(self, until: float) -> bytes:
        while (end := self._read.find(b"\r\n")) < 0:
            self._read += self._more(until)
        line, self._read = self._read[:end], self._read[end + 2 :]
        return line

    def _chunks(self, until: float) -> bytes:
        chunks = []
        while size := _number(self._line(until).partition(b";")[0].decode("latin-1"), 16):
            chunks.append(self._take(size, until))
            self._take(2, until)
        while self._line(until):  # trailers end with an empty line
            pass
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _rest(self, until: float) -> bytes:
        """Everything until the other side closes."""
        parts = [self._read]
        self._read = b""
        try:
            while True:
                parts.append(self._more(until))
        except ProtocolError:
            self.close()
            return b"".join(parts)


def _number(text: str, radix: int) -> int:
    try:
        return int(text, radix)
    except ValueError:
        raise ProtocolError(f"a number was expected where the answer has {text[:20]!r}") from None


def _safe(value: str) -> str:
    if "\r" in value or "\n" in value:
        raise ProtocolError("a header value holds a line break")
    return value
