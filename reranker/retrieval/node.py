"""The only place of the read side that talks HTTP to Elasticsearch on the request path.

Raw bytes in and out over kept-alive connections, because building a client's response objects
costs more than parsing the answer. A search is sent first and received later, so that the caller
works while the cluster does. What may be repeated is repeated once on a fresh connection.

A node that has gone silent (see watch) does not take the threads: what is asked with a time of its
own is late at once, what has the node's own time waits for it in one of few places.
"""

import contextlib
import itertools
import ssl
import time
from collections import deque
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from urllib.parse import urlsplit

from indexer.addresses import PORTS
from indexer.errors import ElasticsearchUnavailable
from indexer.settings import Settings
from reranker.retrieval.watch import Places, Watch
from reranker.retrieval.wire import Answer, Connection, ProtocolError

JSON = "application/json"
NDJSON = "application/x-ndjson"
AUTHORIZATION = "authorization"
REST_AFTER_FAILURE_SECONDS = 5.0
CONNECT_SECONDS_MAX = 1.0
BRIEFLY_SECONDS = 1.0
LONG_WAITS = 6  # of 8 threads
SILENT = "it has answered nothing at all for a while"
_BROKEN = (ProtocolError, OSError)

__all__ = ["JSON", "NDJSON", "Answer", "LateAnswer", "Nodes", "Pending"]


class LateAnswer(ElasticsearchUnavailable):
    """The node did not answer within the time the request has left."""


class _Host:
    """One address with its idle connections."""

    def __init__(
        self,
        url: str,
        ca_certs: str | None,
        own_headers: Mapping[str, str],
        silent_seconds: float,
    ) -> None:
        parts = urlsplit(url)
        self.url = url
        self.name = parts.hostname or "127.0.0.1"
        self.port = parts.port or PORTS[parts.scheme]
        self.prefix = parts.path
        self.context = (
            ssl.create_default_context(cafile=ca_certs) if parts.scheme == "https" else None
        )
        self.idle: deque[Connection] = deque()
        self.rests_until = 0.0
        self.watch = Watch(
            url,
            self.connect,
            path=f"{self.prefix}/",
            headers=own_headers,
            silent_seconds=silent_seconds,
        )

    def connect(self, timeout_seconds: float) -> Connection:
        within = min(timeout_seconds, CONNECT_SECONDS_MAX)
        return Connection(self.name, self.port, self.context, within)

    def late(self, reason: str) -> LateAnswer:
        return LateAnswer(f"Elasticsearch at {self.url} does not answer in time: {reason}")


class Pending:
    """A request on its way; `receive` waits for the answer and gives the connection back."""

    def __init__(self, nodes: "Nodes", request: "_Request", *, fresh: bool) -> None:
        self._nodes = nodes
        self._request = request
        self._host, self._connection, self._fresh = nodes.dispatch(request, fresh=fresh)

    def receive(self, timeout_seconds: float | None = None) -> Answer:
        """The answer; raises LateAnswer after the time, ElasticsearchUnavailable when broken."""
        request = self._request
        wait = request.timeout_seconds if timeout_seconds is None else timeout_seconds
        try:
            answer = self._receive(max(wait, 0.001))
        except TimeoutError as error:
            self._connection.close()
            self._host.watch.doubt()
            raise self._host.late(f"{wait:.3f} s were waited") from error
        except LateAnswer:
            self._connection.close()
            raise
        except _BROKEN as error:
            self._connection.close()
            if self._fresh or not request.repeatable:
                self._nodes.mark_failed(self._host)
                raise _unavailable(self._host, error) from error
            return Pending(self._nodes, request, fresh=True).receive(wait)
        if not self._connection.closed:
            self._host.idle.append(self._connection)
        return answer

    def _receive(self, seconds: float) -> Answer:
        """The answer; who waits longer than briefly needs a place for it, and leaves it once the
        node is silent, but for what has the node's own time.
        """
        briefly, watch = self._nodes.briefly_seconds, self._host.watch
        if seconds <= briefly:
            return self._connection.receive(seconds)
        until = time.monotonic() + seconds
        if watch.silent or not self._connection.answers(briefly):
            watch.doubt()
            with self._nodes.places.one(self._host.late):
                while not self._connection.answers(min(briefly, until - time.monotonic())):
                    if watch.silent and self._request.hurried:
                        raise self._host.late(SILENT)
                    if time.monotonic() >= until:
                        raise TimeoutError
        return self._connection.receive(until - time.monotonic())


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    body: bytes | None
    headers: Mapping[str, str]
    timeout_seconds: float
    repeatable: bool
    hurried: bool


class Nodes:
    """The cluster's addresses, used in turn; one that fails or is silent rests for a while.

    At the most `long_waits` requests wait longer than briefly at the same time; a node that says
    nothing at all for so long is silent. The sidecar's own credentials go along where a request
    names none; a client that has none gets them only where they are `lent` to everybody.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        lends_credentials: bool = False,
        long_waits: int = LONG_WAITS,
        briefly_seconds: float = BRIEFLY_SECONDS,
    ) -> None:
        ca_certs = settings.elasticsearch_ca_certs
        own = settings.elasticsearch_authorization
        self._own_headers = {"Authorization": own} if own else {}
        self._lends = lends_credentials
        self._hosts = [
            _Host(url, str(ca_certs) if ca_certs else None, self._own_headers, briefly_seconds)
            for url in settings.elasticsearch_nodes
        ]
        self._turn = itertools.count()
        self.timeout_seconds = settings.elasticsearch_timeout_seconds
        self.places = Places(long_waits)
        self.briefly_seconds = briefly_seconds

    @property
    def guards(self) -> bool:
        """Whether clients must name credentials of their own: ours would open the cluster."""
        return bool(self._own_headers) and not self._lends

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_seconds: float | None = None,
        repeatable: bool = True,
    ) -> Pending:
        """Send and return at once; the sidecar's own key goes along where no other is given, none
        where the Authorization given is empty.

        Raises LateAnswer for what has a time of its own where the node is silent.
        """
        request = _Request(
            method=method,
            path=path,
            body=body,
            headers=_with_credentials(self._own_headers, headers or {}),
            timeout_seconds=timeout_seconds or self.timeout_seconds,
            repeatable=repeatable,
            hurried=timeout_seconds is not None,
        )
        return Pending(self, request, fresh=not repeatable)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_seconds: float | None = None,
        repeatable: bool = True,
    ) -> Answer:
        """Send and wait."""
        return self.send(
            method, path, body, headers, timeout_seconds=timeout_seconds, repeatable=repeatable
        ).receive()

    def dispatch(self, request: _Request, *, fresh: bool) -> tuple[_Host, Connection, bool]:
        """Send on an idle connection, else on a new one; tries every address once."""
        failure: Exception | None = None
        for host in self._in_turn():
            silent = host.watch.silent
            if silent and request.hurried:
                raise host.late(SILENT)
            if not fresh:
                with contextlib.suppress(IndexError, *_BROKEN):
                    connection = host.idle.pop()
                    _send(connection, host, request)
                    return host, connection, False
            try:
                with self.places.one(host.late) if silent else nullcontext():
                    connection = host.connect(request.timeout_seconds)
                    _send(connection, host, request)
            except _BROKEN as error:
                failure = error
                self.mark_failed(host)
                if isinstance(error, TimeoutError):
                    host.watch.doubt()
                continue
            return host, connection, True
        raise _unavailable(self._hosts[0], failure)

    def mark_failed(self, host: _Host) -> None:
        """Ask other addresses first for a while."""
        host.rests_until = time.monotonic() + REST_AFTER_FAILURE_SECONDS
        host.idle.clear()

    def _in_turn(self) -> list[_Host]:
        if len(self._hosts) == 1:
            return self._hosts
        first = next(self._turn) % len(self._hosts)
        turned = self._hosts[first:] + self._hosts[:first]
        now = time.monotonic()
        return sorted(turned, key=lambda host: host.watch.silent or host.rests_until > now)


def _with_credentials(own: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with ours where they name nobody; without an empty Authorization."""
    named = {name: value for name, value in headers.items() if name.lower() == AUTHORIZATION}
    if not named:
        return {**own, **headers}
    return {name: value for name, value in headers.items() if name not in named or value}


def _send(connection: Connection, host: _Host, request: _Request) -> None:
    connection.send(
        request.method,
        host.prefix + request.path,
        request.headers,
        request.body,
        request.timeout_seconds,
    )


def _unavailable(host: _Host, error: Exception | None) -> ElasticsearchUnavailable:
    if isinstance(error, ssl.SSLError):
        return ElasticsearchUnavailable(
            f"the connection to Elasticsearch at {host.url} is not trusted "
            f"({getattr(error, 'verify_message', '') or error.reason}): see whether "
            "HITWEAVE_ELASTICSEARCH_CA_CERTS is its CA and its certificate has that name"
        )
    return ElasticsearchUnavailable(
        f"Elasticsearch does not answer at {host.url} ({type(error).__name__}): "
        "start it (`hitweave up`) or set HITWEAVE_ELASTICSEARCH_URL"
    )
