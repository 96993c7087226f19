"""Connections are shared out among the sidecar's processes, and none waits for one that is gone."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from reranker.even_worker import LEFT_SECONDS, NOBODY, SAME_SECONDS, Leaving, Tally
from tests.flows.worker_process import wait_until

APPLICATION = """
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""
PROCESSES = 3


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Where gunicorn answers with the number of the process, as the sidecar is run."""
    (tmp_path / "telling.py").write_text(APPLICATION)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [
        *(sys.executable, "-m", "gunicorn", "telling:app", "--pythonpath", str(tmp_path)),
        *("--config", "python:reranker.server", "--bind", f"127.0.0.1:{port}"),
        *("--workers", str(PROCESSES), "--threads", "4"),
    ]
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(port), 60)
        wait_until(lambda: len(shares(kept(port, 2 * PROCESSES))) == PROCESSES, 60)
        wait_until(lambda: not connected(running.pid), 30)
        yield port
    finally:
        for child in children(running.pid):
            child.resume()
        running.terminate()
        running.wait(timeout=30)


def children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children()


def connected(pid: int) -> int:
    """How many connections the processes of a master have, also such as clients have closed."""
    sockets = [it for child in children(pid) for it in child.net_connections("tcp")]
    return sum(it.status != psutil.CONN_LISTEN for it in sockets)


def answers(port: int) -> bool:
    try:
        asked(http.client.HTTPConnection("127.0.0.1", port, timeout=5))
    except OSError:
        return False
    return True


def asked(connection: http.client.HTTPConnection) -> int:
    """The process behind a connection."""
    connection.request("GET", "/")
    return int(connection.getresponse().read())


def kept(port: int, count: int) -> list[http.client.HTTPConnection]:
    """Connections opened one after the other, while nothing else is asked; they stay open as long
    as somebody has them.
    """
    opened = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(count)]
    for connection in opened:
        asked(connection)
    return opened


def shares(connections: list[http.client.HTTPConnection]) -> Counter[int]:
    return Counter(asked(connection) for connection in connections)


def test_kept_connections_are_shared_out_evenly(port: int) -> None:
    found = shares(kept(port, 4 * PROCESSES))
    assert len(found) == PROCESSES
    assert max(found.values()) <= 8  # a busy machine wakes some too late


def test_what_a_killed_process_had_is_no_share_of_its_successor(port: int) -> None:
    first = kept(port, 2 * PROCESSES)
    gone = asked(first[0])
    master = psutil.Process(gone).ppid()
    os.kill(gone, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(gone), 30)
    for connection in first:
        connection.close()
    wait_until(lambda: not connected(master), 30)
    found = shares(kept(port, 4 * PROCESSES))
    assert gone not in found
    assert max(found.values()) < 4 * PROCESSES


def test_nobody_waits_for_a_process_that_is_stopped(port: int) -> None:
    (stopped,) = {asked(connection) for connection in kept(port, 1)}
    psutil.Process(stopped).suspend()
    found = shares(kept(port, 2 * PROCESSES))
    assert stopped not in found
    assert sum(found.values()) == 2 * PROCESSES


def test_a_connection_is_left_for_a_moment_to_who_has_fewer() -> None:
    leaving = Leaving()
    assert leaving.leaves(2, [1, 5], 10.0)
    assert leaving.leaves(2, [1, 5], 10.0 + LEFT_SECONDS / 2)
    assert not leaving.leaves(2, [1, 5], 10.0 + LEFT_SECONDS * 1.5)
    # Somebody took it, and the next is there.
    assert leaving.leaves(2, [1, 6], 10.0 + LEFT_SECONDS * 2)
    # Or the next comes later.
    later = 10.0 + LEFT_SECONDS * 2 + SAME_SECONDS * 2
    assert leaving.leaves(2, [1, 6], later)


@pytest.mark.parametrize("others", [[], [2, 3], [3]])
def test_who_has_fewest_leaves_nothing(others: list[int]) -> None:
    assert not Leaving().leaves(2, others, 10.0)


def test_who_ended_has_no_connections_and_nobody_counts_against_themselves() -> None:
    tally = Tally()
    tally.say(1, 4)
    tally.say(2, 0)
    assert tally.others(1) == [0]
    assert tally.others(3) == [4, 0]
    tally.say(2, NOBODY)
    assert tally.others(1) == []
