"""A node that knows its clients, a Valkey with a password, a worker and a sidecar beside them."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
from elasticsearch import Elasticsearch

from compose.local import distribution, ground, java_runtime, valkey
from compose.local.home import Home
from tests.compose.waiting import until
from tests.conftest import HITWEAVE, free_port
from tests.plugin import official

PASSWORD = "told-to-nobody"
ES_CONFIG = "elasticsearch.yml"
ROLES = """\
hitweave:
  cluster: [monitor]
  indices:
    - names: ["shop*", "hitweave_*", "ubi_events", "ubi_queries"]
      privileges: [read, write, manage]
reader:
  indices: [{names: [shop], privileges: [read]}]
stranger:
  indices: [{names: [elsewhere], privileges: [read]}]
part:
  indices: [{names: [shop_acme], privileges: [read]}]
proxy:
  run_as: [reader, stranger]
"""
USERS = dict.fromkeys(("reader", "stranger", "part", "proxy"), "") | {"service": "hitweave"}
USERS = {name: role or name for name, role in USERS.items()} | {"boss": "superuser"}


@dataclass(frozen=True)
class Shop:
    """Where everything is, and how it is asked."""

    es_url: str
    valkey_url: str
    sidecar_url: str
    folder: Path

    def settings(self, **changes: str) -> dict[str, str]:
        """The variables of Hitweave's processes."""
        host = self.es_url.removeprefix("http://")
        return {
            "HITWEAVE_ELASTICSEARCH_URL": f"http://service:{PASSWORD}@{host}",
            "HITWEAVE_VALKEY_URL": self.valkey_url,
            "HITWEAVE_SIDECAR_URL": self.sidecar_url,
            "HITWEAVE_HOME": str(self.folder / "home"),
            **changes,
        }

    def run(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """A hitweave command with these settings."""
        return subprocess.run(
            [str(HITWEAVE), *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, **self.settings(**changes)},
        )

    def ask(
        self,
        who: str | None,
        route: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """The sidecar's answer to one of the users, or to nobody."""
        named = urllib3.make_headers(basic_auth=f"{who}:{PASSWORD}") if who else {}
        return urllib3.request(
            "GET" if body is None else "POST",
            f"{self.sidecar_url}{route}",
            json=body,
            headers={**named, **(headers or {})},
            timeout=30,
        )

    def boss(self) -> Elasticsearch:
        """A client that may do everything."""
        return Elasticsearch(self.es_url, basic_auth=("boss", PASSWORD), request_timeout=30)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ground.Ground]:
    """A node's folder that the node's user can reach."""
    home = Home(tmp_path_factory.mktemp("secured") / "home")
    home.make()
    found = ground.prepare(home)
    found.own(found.node)
    yield found
    shutil.rmtree(found.node)


@pytest.fixture(scope="session")
def shop(place: ground.Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """All of it, with an index and goods in it."""
    java = java_runtime.choose(place)
    if not java.complete:
        pytest.skip("no JDK 21 or later with jdk.jdi is here: bin/elasticsearch needs one")
    made = distribution.unpacked(place.distributions, java)
    node = official.copy(place, java, made, as_from_elastic=False)
    ports = [free_port() for _ in range(4)]
    folder = tmp_path_factory.mktemp("shop")
    found = Shop(
        f"http://127.0.0.1:{ports[0]}",
        f"redis://:{PASSWORD}@127.0.0.1:{ports[1]}/0",
        f"http://127.0.0.1:{ports[2]}",
        folder,
    )
    official.configure(node, ports[0], ports[3], found.sidecar_url)
    _let_in(node, place)
    with ExitStack() as open_parts:
        open_parts.enter_context(node.running(folder / "node.log"))
        open_parts.enter_context(_valkey(found, ports[1]))
        assert found.run("create", "shop").returncode == 0
        worker = [str(HITWEAVE), "worker"]
        open_parts.enter_context(running(found, worker, folder / "worker.log"))
        sidecar = [str(HITWEAVE), "serve", "--port", str(ports[2]), "--processes", "1"]
        open_parts.enter_context(running(found, sidecar, folder / "sidecar.log"))
        until(lambda: is_ready(found.sidecar_url), "the sidecar is ready", 120)
        _fill(found)
        yield found


def is_ready(sidecar_url: str) -> bool:
    """Whether a sidecar answers at full speed."""
    try:
        return urllib3.request("GET", f"{sidecar_url}/health/ready", retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


@contextmanager
def running(shop: Shop, command: list[str], log: Path, **changes: str) -> Iterator[None]:
    """One process beside the servers."""
    with log.open("ab") as words:
        process = subprocess.Popen(
            command,
            stdout=words,
            stderr=words,
            env={**os.environ, **shop.settings(**changes)},
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def _let_in(node: official.Official, place: ground.Ground) -> None:
    """Users of the file realm; all have one password, whose hash is made once."""
    config = node.home / "config"
    without_plugin = re.sub(r"(?m)^attention_fusion.*$", "", (config / ES_CONFIG).read_text())
    (config / ES_CONFIG).write_text(without_plugin)
    (config / "roles.yml").write_text(ROLES)
    node.run("elasticsearch-users", "useradd", "boss", "-p", PASSWORD, "-r", "superuser")
    digest = (config / "users").read_text().strip().partition(":")[2]
    (config / "users").write_text("".join(f"{name}:{digest}\n" for name in USERS))
    named = "".join(f"{role}:{name}\n" for name, role in USERS.items())
    (config / "users_roles").write_text(named)
    for name in ("roles.yml", "users", "users_roles"):
        place.give(config / name)


@contextmanager
def _valkey(shop: Shop, port: int) -> Iterator[None]:
    command = [str(valkey.find_program()), "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--dir", str(shop.folder), "--requirepass", PASSWORD]
    with running(shop, command, shop.folder / "valkey.log"):
        yield


def _fill(shop: Shop) -> None:
    feed = shop.folder / "feed.jsonl"
    lines = [
        f'{{"id": "{n}", "title": "red mug {n}", "brand": "{("acme", "bolt")[n % 2]}"}}\n'
        for n in range(40)
    ]
    feed.write_text("".join(lines))
    done = shop.run("catalogue", "shop", str(feed))
    assert done.returncode == 0, done.stderr
    with shop.boss() as es:
        es.indices.create(index="elsewhere")
        es.indices.put_alias(
            index="shop-000001", name="shop_acme", filter={"term": {"brand": "acme"}}
        )
