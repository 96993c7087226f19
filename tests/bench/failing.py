"""The plugin's searches while the sidecar is down or hangs: how far past the deadline they end.

Down is a port where nobody listens; hung is a server that takes connections and says nothing.
"""

import itertools
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from elasticsearch import Elasticsearch

from tests.bench.load import Fired, Generator, Shot

DEADLINE_MS = 500
WAITING = 512  # connections that the hung server's queue holds


def measure(
    es: Elasticsearch, shot: Callable[[int], Shot], concurrency: int, count: int
) -> dict[str, Fired]:
    """What was fired at the node in each state; its settings are taken back at the end."""
    generator, found = Generator(), {}
    try:
        for name, listening in (("down", False), ("hung", True)):
            with _in_its_place(listening=listening) as url:
                _point_at(es, url)
                numbers = itertools.islice(itertools.count(), count)
                found[name] = generator.run([shot(number) for number in numbers], concurrency)
    finally:
        _point_at(es, None)
        generator.close()
    return found


@contextmanager
def _in_its_place(*, listening: bool) -> Iterator[str]:
    """The address of a sidecar that fails."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        if listening:
            taken.listen(WAITING)
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def _point_at(es: Elasticsearch, url: str | None) -> None:
    """Have the plugin ask this address each time; None takes its settings back."""
    own = {
        "attention_fusion.url": url,
        "attention_fusion.timeout": url and f"{DEADLINE_MS}ms",
        "attention_fusion.pause_after_failure": url and "0s",
    }
    es.cluster.put_settings(persistent=own)
