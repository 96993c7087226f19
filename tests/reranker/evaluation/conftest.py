"""A sidecar in a thread that speaks the shape of the real one and shows what it was told to."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class ScriptedSidecar:
    """`lists[mode][query]` are the ids it shows; `requests` what it was asked."""

    lists: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    items: int = 20
    degraded: str | None = None
    failure: tuple[int, str] | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    connections: set[tuple[str, int]] = field(default_factory=set)
    url: str = ""

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        if "match_all" in body["query"]:
            return {"hits": {"total": {"value": self.items}, "hits": []}}
        mode = body["ext"]["hitweave"]["mode"]
        ids = self.lists.get(mode, {}).get(body["ext"]["ubi"]["user_query"], [])
        hits = [{"_id": item, "_score": 1 / (n + 1)} for n, item in enumerate(ids[: body["size"]])]
        added = {"model": None, "degraded": self.degraded, "window": len(ids), "took": {}}
        return {"took": 1, "hits": {"total": {"value": len(ids)}, "hits": hits}, "hitweave": added}


@pytest.fixture
def sidecar() -> Iterator[ScriptedSidecar]:
    scripted = ScriptedSidecar()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            scripted.requests.append({"path": self.path, "headers": dict(self.headers), **body})
            scripted.connections.add(self.client_address)
            self._answer(scripted.answer(body))

        def do_GET(self) -> None:
            self._answer({"shop": {"mappings": {}}})

        def _answer(self, said: dict[str, Any]) -> None:
            status, text = scripted.failure or (200, json.dumps(said))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        scripted.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield scripted
        server.shutdown()
        thread.join()
