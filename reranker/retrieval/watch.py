"""Whether a node still says anything at all, and how many requests may wait long for one.

A node that hangs takes connections and never answers, which is not told from a slow search by
waiting for that search. So whoever waited in vain has the node asked for the least it can say: it
counts as silent from when that takes too long until it is answered. Nobody else pays for this.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from indexer.telemetry import log
from reranker.retrieval.wire import Connection, ProtocolError

ASK_AGAIN_SECONDS = 5.0


class Watch:
    """Looks after one node, in a thread only while there is a doubt; `connect` opens a connection
    within the seconds it is given.
    """

    def __init__(
        self,
        url: str,
        connect: Callable[[float], Connection],
        *,
        path: str,
        headers: Mapping[str, str],
        silent_seconds: float,
    ) -> None:
        self.silent = False
        self._url = url
        self._connect = connect
        self._path = path
        self._headers = headers
        self._silent_seconds = silent_seconds
        self._looking = threading.Lock()

    def doubt(self) -> None:
        """Somebody waited in vain: see whether the node is there; returns at once."""
        if self._looking.acquire(blocking=False):
            threading.Thread(target=self._look, name="watch", daemon=True).start()

    def _look(self) -> None:
        try:
            while not self._answers(ASK_AGAIN_SECONDS if self.silent else self._silent_seconds):
                if not self.silent:
                    log("node").warning("node_silent", url=self._url)
                self.silent = True
        except (OSError, ProtocolError):
            pass  # it is away, which the next request is told at once
        finally:
            if self.silent:
                log("node").info("node_no_longer_silent", url=self._url)
            self.silent = False
            self._looking.release()

    def _answers(self, seconds: float) -> bool:
        """Whether it says something within the time; raises where it is not there."""
        try:
            connection = self._connect(seconds)
        except TimeoutError:
            return False
        try:
            connection.send("HEAD", self._path, self._headers, None, seconds)
            return connection.answers(seconds)
        finally:
            connection.close()


class Places:
    """So many requests of a process may wait long at the same time; the other threads stay free."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._free = threading.Semaphore(places)

    @contextmanager
    def one(self, otherwise: Callable[[str], Exception]) -> Iterator[None]:
        """A place to wait in; raises what `otherwise` makes of the reason where none is free."""
        if not self._free.acquire(blocking=False):
            raise otherwise(f"{self._places} requests wait for it already")
        try:
            yield
        finally:
            self._free.release()
