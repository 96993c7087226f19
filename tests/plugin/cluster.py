"""Two nodes of the local stack's distribution, joined into one cluster for a test."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from elasticsearch import ApiError, Elasticsearch, TransportError

from compose.local import elasticsearch as local_node
from compose.local.home import Home
from compose.local.part import Part
from tests.compose.waiting import until
from tests.conftest import free_port

NAMES = ("first", "second")
ALONE = "discovery.type: single-node\n"
TOGETHER = """\
discovery.seed_hosts: [{hosts}]
cluster.initial_master_nodes: [{names}]
"""


def _part(folder: Path, name: str, transports: dict[str, int], port: int, sidecar_url: str) -> Part:
    home = Home(folder / name)
    home.make()
    node = local_node.prepare(home, port, "512m", sidecar_url)
    file = node.ground.node / "config" / "elasticsearch.yml"
    hosts = ", ".join(f'"127.0.0.1:{transport}"' for transport in transports.values())
    lines = file.read_text().replace(
        ALONE, TOGETHER.format(hosts=hosts, names=", ".join(transports))
    )
    own = {"cluster.name": "pair", "node.name": name, "transport.port": transports[name]}
    kept = [line for line in lines.splitlines() if line.partition(":")[0] not in own]
    file.write_text("\n".join([*kept, *(f"{key}: {value}" for key, value in own.items())]) + "\n")
    return local_node.part(node, home)


@contextmanager
def _running(part: Part) -> Iterator[subprocess.Popen[bytes]]:
    part.log.parent.mkdir(parents=True, exist_ok=True)
    with part.log.open("wb") as words:
        process = subprocess.Popen(
            part.command,
            stdout=words,
            stderr=subprocess.STDOUT,
            cwd=part.folder,
            env=part.environment,
            user=part.uid,
            group=part.gid,
            extra_groups=None if part.uid is None else [],
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(part.folder)


@contextmanager
def pair(folder: Path, sidecar_url: str) -> Iterator[Elasticsearch]:
    """A client of the first of two nodes that know of each other."""
    transports = {name: free_port() for name in NAMES}
    ports = {name: free_port() for name in NAMES}
    parts = [_part(folder, name, transports, ports[name], sidecar_url) for name in NAMES]
    with ExitStack() as stack:
        started = [stack.enter_context(_running(part)) for part in parts]
        es = stack.enter_context(
            Elasticsearch(f"http://127.0.0.1:{ports[NAMES[0]]}", request_timeout=60, max_retries=0)
        )

        def joined() -> bool:
            assert all(it.poll() is None for it in started), [it.log.read_text() for it in parts]
            try:
                return bool(es.cluster.health()["number_of_nodes"] == len(NAMES))
            except (ApiError, TransportError):
                return False

        until(joined, "two nodes join", 400)
        yield es
