"""The load generator: its own process, one kept-alive connection a thread, nothing but the wire.

A request is sent as bytes made before the clock starts, and the answer is read but not parsed, so
that what is measured is the server. A status other than 200 ends the run.
"""

import http.client
import multiprocessing
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Shot:
    """One request, ready to be sent."""

    url: str
    path: str
    body: bytes
    method: str = "POST"


@dataclass(frozen=True)
class Fired:
    """Seconds of each request and of the whole, and how many answers called themselves degraded."""

    latencies: list[float]
    seconds: float
    degraded: int


class Generator:
    """The generator's process; `run` sends shots from `concurrency` threads at once."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()

    def run(self, shots: Sequence[Shot], concurrency: int) -> Fired:
        """Send them all; a status other than 200 ends the run."""
        self._pipe.send((list(shots), concurrency))
        found = self._pipe.recv()
        if isinstance(found, Fired):
            return found
        raise SystemExit(found)

    def close(self) -> None:
        """End the process."""
        self._pipe.send(None)
        self._process.join(timeout=10)


def _serve(pipe: Connection) -> None:
    senders: dict[int, _Senders] = {}
    while (asked := pipe.recv()) is not None:
        shots, concurrency = asked
        if concurrency not in senders:
            senders[concurrency] = _Senders(concurrency)
        pipe.send(senders[concurrency].run(shots))


class _Senders:
    """Threads' connections, kept from one run to the next."""

    def __init__(self, concurrency: int) -> None:
        self._connections: list[dict[str, http.client.HTTPConnection]] = [
            {} for _ in range(concurrency)
        ]

    def run(self, shots: Sequence[Shot]) -> Fired | str:
        latencies: list[list[tuple[float, bool]]] = [[] for _ in self._connections]
        faults: list[str] = []
        threads = [
            threading.Thread(
                target=_send_all,
                args=(shots[number :: len(self._connections)], own, latencies[number], faults),
            )
            for number, own in enumerate(self._connections)
        ]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        whole = time.perf_counter() - started
        every = [one for thread in latencies for one in thread]
        return (
            faults[0] if faults else Fired([t for t, _ in every], whole, sum(d for _, d in every))
        )


def _send_all(
    shots: Sequence[Shot],
    connections: dict[str, http.client.HTTPConnection],
    latencies: list[tuple[float, bool]],
    faults: list[str],
) -> None:
    for shot in shots:
        connection = connections.get(shot.url)
        if connection is None:
            parts = urlsplit(shot.url)
            connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
            connections[shot.url] = connection
        started = time.perf_counter()
        connection.request(
            shot.method, shot.path, shot.body or None, {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        content = answer.read()
        took = time.perf_counter() - started
        degraded = b'"degraded":"' in content or "degraded" in answer.headers.get("Warning", "")
        latencies.append((took, degraded))
        if answer.status != 200:
            faults.append(f"{shot.method} {shot.url}{shot.path}: {answer.status} {content[:300]!r}")
            return
