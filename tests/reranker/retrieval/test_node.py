"""What becomes of requests, and of the threads that wait for them, when a node says nothing."""

import threading
import time
from collections.abc import Iterator

import pytest

from indexer.settings import Settings
from reranker.retrieval.node import LateAnswer, Nodes
from tests.compose.waiting import until
from tests.reranker.silent_node import SilentNode

BRIEFLY = 0.05
# Far more than any of the waits below, far less than the node's own patience of 30 s.
SOON = 10.0


@pytest.fixture
def node() -> Iterator[SilentNode]:
    with SilentNode() as started:
        yield started


def nodes(node: SilentNode, long_waits: int = 1) -> Nodes:
    settings = Settings(elasticsearch_url=node.url)
    return Nodes(settings, long_waits=long_waits, briefly_seconds=BRIEFLY)


def refused(asked: Nodes) -> bool:
    """Whether a request is late before its time is up."""
    began = time.monotonic()
    with pytest.raises(LateAnswer):
        asked.ask("GET", "/", timeout_seconds=0.5)
    return time.monotonic() - began < 0.25


def test_a_request_waits_as_long_as_it_may(node: SilentNode) -> None:
    with pytest.raises(LateAnswer, match=r"does not answer in time: 0\.010 s were waited"):
        nodes(node).ask("GET", "/", timeout_seconds=0.01)


def test_while_a_node_is_silent_nobody_in_a_hurry_waits_for_it(node: SilentNode) -> None:
    asked = nodes(node)
    until(lambda: refused(asked), "the node counts as silent")
    node.speak()

    def answered() -> bool:
        try:
            return asked.ask("GET", "/", timeout_seconds=SOON).status == 200
        except LateAnswer:
            return False

    until(answered, "the node is asked again")


def test_who_waits_in_a_hurry_is_told_once_the_node_is_silent(node: SilentNode) -> None:
    began = time.monotonic()
    with pytest.raises(LateAnswer, match="nothing at all"):
        nodes(node).ask("GET", "/", timeout_seconds=3 * SOON)
    assert time.monotonic() - began < SOON


def test_a_node_that_is_only_slow_is_waited_for() -> None:
    with SilentNode(only_slow=True) as slow:
        asked = nodes(slow)
        for _ in range(3):
            with pytest.raises(LateAnswer, match="were waited"):
                asked.ask("GET", "/", timeout_seconds=BRIEFLY * 3)


def test_only_so_many_wait_for_long_and_those_keep_the_nodes_own_patience(
    node: SilentNode,
) -> None:
    asked = nodes(node, long_waits=2)
    found: list[int] = []
    reasons: list[str] = []

    def ask() -> None:
        try:
            found.append(asked.ask("GET", "/_cat").status)
        except LateAnswer as error:
            reasons.append(error.message)

    waiting = [threading.Thread(target=ask) for _ in range(4)]
    for thread in waiting:
        thread.start()
    until(lambda: len(reasons) == 2, "the others are told", SOON)
    assert all("2 requests wait for it already" in reason for reason in reasons)
    node.speak()
    for thread in waiting:
        thread.join(SOON)
    assert found == [200, 200]
    assert asked.ask("GET", "/_cat").status == 200
