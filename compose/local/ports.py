"""Loopback ports: whether one is free, and if not, who holds it."""

import socket
from urllib.parse import urlsplit

import psutil

from indexer.errors import AskedWrongly

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def holder(port: int) -> str | None:
    """Name and id of the process that listens on `port`, where the system tells."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            listening = connection.status == psutil.CONN_LISTEN
            if listening and connection.pid and tuple(connection.laddr)[1] == port:
                return f"{psutil.Process(connection.pid).name()}, process {connection.pid}"
    except psutil.Error:
        return None
    return None


def require_free(port: int, option: str) -> None:
    """Raise AskedWrongly, naming port, option and holder, unless `port` is free."""
    if is_free(port):
        return
    who = holder(port)
    raise AskedWrongly(
        f"port {port} is in use{f' by {who}' if who else ''}: "
        f"end that process or choose another port with {option}"
    )


def of_url(url: str) -> int | None:
    """The port of a loopback address, None for any other address."""
    parts = urlsplit(url)
    return parts.port if parts.hostname == LOOPBACK else None
