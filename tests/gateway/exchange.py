"""Requests without a client in between, and what of two answers must be equal."""

import contextlib
import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

# What ends the connection of a process that was killed, before its answer or halfway through it.
_CUT_OFF = (http.client.RemoteDisconnected, http.client.IncompleteRead, ConnectionError)

# What no two answers share: how long it took.
_TOOK = re.compile(rb'("?took(?:_nanos)?"?\s*:\s*)\d+')


@dataclass(frozen=True)
class Answer:
    """What a server said; `headers` with lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def told(self) -> dict[str, Any]:
        """What two servers must agree on, byte for byte."""
        names = ("content-type", "x-elastic-product", "x-opaque-id", "warning", "allow")
        return {
            "status": self.status,
            "headers": {name: self.headers[name] for name in names if name in self.headers},
            "body": _TOOK.sub(rb"\g<1>0", self.body),
        }

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Exchange:
    """One kept-alive connection to a server."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)

    def __enter__(self) -> "Exchange":
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, sent again once on a new connection where the old one was cut off."""
        sent = {"Content-Type": "application/json"} if body is not None else {}
        sent |= headers or {}
        with contextlib.suppress(*_CUT_OFF):
            return self._once(method, path, body, sent)
        self._connection.close()
        return self._once(method, path, body, sent)

    def search(self, index: str, body: Any, query: str = "") -> Answer:
        """One search."""
        return self.ask("POST", f"/{index}/_search{query}", json.dumps(body).encode())

    def _once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        self._connection.request(method, path, body, dict(headers))
        answer = self._connection.getresponse()
        content = answer.read()
        found = {name.lower(): str(answer.getheader(name)) for name, _ in answer.getheaders()}
        return Answer(answer.status, found, content)
