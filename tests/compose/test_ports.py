"""A port in use is named, with the option that changes it and the process that holds it."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.local import ports
from compose.local.stack import Wish, check_ports, parts_named
from indexer.errors import AskedWrongly
from tests.compose.test_cli import run
from tests.conftest import free_port


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which this process listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_in_use_is_not_free(taken: int) -> None:
    assert not ports.is_free(taken)
    assert ports.is_free(free_port())


def test_the_holder_of_a_port_is_named(taken: int) -> None:
    assert f"process {os.getpid()}" in str(ports.holder(taken))


@pytest.mark.parametrize("option", ["--es-port", "--valkey-port", "--port"])
def test_up_names_port_option_and_process(taken: int, option: str, tmp_path: Path) -> None:
    others = {"--es-port", "--valkey-port", "--port"} - {option}
    free = [word for other in others for word in (other, str(free_port()))]
    done = run("up", "--home", str(tmp_path), option, str(taken), *free)
    assert done.returncode == 2
    assert f"port {taken} is in use by" in done.stderr
    assert option in done.stderr
    assert str(os.getpid()) in done.stderr


def test_ports_of_parts_that_are_not_started_may_be_in_use(taken: int) -> None:
    wish = Wish(es_port=taken, valkey_port=free_port(), sidecar_port=taken, only=frozenset())
    check_ports(wish)
    with pytest.raises(AskedWrongly, match="--es-port"):
        check_ports(Wish(taken, free_port(), taken, parts_named("elasticsearch")))


def test_a_server_named_by_its_address_is_not_started(taken: int) -> None:
    wish = Wish(taken, taken, free_port(), parts_named(None), "http://es:9200", "redis://v:6379/0")
    check_ports(wish)
    assert wish.addresses().elasticsearch_url == "http://es:9200"
    assert wish.addresses().valkey_url == "redis://v:6379/0"


def test_workers_stand_for_all_queues() -> None:
    assert parts_named("workers") == {"worker-embed", "worker-index", "worker-behaviour"}
