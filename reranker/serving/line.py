"""Valkey on the request path: one connection a thread, sent now, received later.

Replies come in the order of the commands, so a thread may send several and pick up each when it
needs it; those that nobody picks up are read before the next one. A connection that went stale is
opened anew, once.
"""

import threading
from typing import Any

import redis
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError, ResponseError

from indexer.telemetry import log


class Ticket:
    """One command on its way."""

    __slots__ = ("command", "number", "of")

    def __init__(self, command: bytes, number: int, of: Any) -> None:
        self.command = command
        self.number = number
        self.of = of


class Lines:
    """A line for each thread that asks, over the settings of a client's pool."""

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        self._local = threading.local()

    def send(self, *words: str | bytes) -> Ticket:
        """Send a command on this thread's line; raises RedisError."""
        return self._line().send(_packed(words))

    def receive(self, ticket: Ticket) -> Any:
        """The reply to a command that this thread sent; raises RedisError."""
        return self._line().receive(ticket)

    def ask(self, *words: str | bytes) -> Any:
        """Send and receive."""
        line = self._line()
        return line.receive(line.send(_packed(words)))

    def _line(self) -> "_Line":
        line: _Line | None = getattr(self._local, "line", None)
        if line is None:
            line = self._local.line = _Line(self._pool)
        return line


class _Line:
    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._connection: Any = None
        self._sent = self._received = 0

    def send(self, command: bytes) -> Ticket:
        if self._connection is not None:
            try:
                return self._write(command)
            except (RedisError, OSError):
                self._hang_up()
        self._connect()
        return self._write(command)

    def receive(self, ticket: Ticket) -> Any:
        try:
            return self._read(ticket)
        except (Disconnected, OSError):
            fresh = ticket.number == 1
            self._hang_up()
            if fresh:
                raise
        self._connect()
        return self._read(self._write(ticket.command))

    def _write(self, command: bytes) -> Ticket:
        try:
            self._connection.send_packed_command([command], check_health=False)
        except (RedisError, OSError):
            self._hang_up()
            raise
        self._sent += 1
        return Ticket(command, self._sent, self._connection)

    def _read(self, ticket: Ticket) -> Any:
        if ticket.of is not self._connection or ticket.number <= self._received:
            raise Disconnected("the line was opened anew meanwhile")
        while True:
            self._received += 1
            try:
                reply = self._connection.read_response()
            except ResponseError as error:
                if self._received == ticket.number:
                    raise
                log("line").warning("command_refused", reason=str(error)[:200])
                continue
            if self._received == ticket.number:
                return reply

    def _connect(self) -> None:
        self._sent = self._received = 0
        self._connection = self._pool.make_connection()
        try:
            self._connection.connect()
        except (RedisError, OSError):
            self._connection = None
            raise

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
        self._connection = None


def _packed(words: tuple[str | bytes, ...]) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        raw = word.encode() if isinstance(word, str) else word
        parts.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(parts)
