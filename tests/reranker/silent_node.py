"""A node that takes connections and requests, and answers none until it may.

One that is only slow with searches says at once that it is there.
"""

import socket
import threading
from typing import Self

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class SilentNode:
    """Listens on loopback; `speak` lets it answer what came and what comes."""

    def __init__(self, *, only_slow: bool = False) -> None:
        self._only_slow = only_slow
        self._may = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._may.set()
        for connection in self._open:
            connection.close()

    def speak(self) -> None:
        """Answer from now on."""
        self._may.set()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while read := connection.recv(65536):
                if read.startswith(b"HEAD") and self._only_slow:
                    connection.sendall(ANSWER[:-2])
                    continue
                self._may.wait()
                connection.sendall(ANSWER)
        except OSError:
            pass
