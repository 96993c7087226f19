"""Elastic's official archive with the plugin installed by its own command, security on."""

import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compose.local import archive, fusion_plugin
from compose.local.distribution import CLASS_PATH_HOME, MODULE, Distribution
from compose.local.ground import Ground
from compose.local.java_runtime import Java
from tests.compose.waiting import until

USER, PASSWORD = "tester", "testing-only"
CONFIG = """\
cluster.name: official
discovery.type: single-node
network.host: 127.0.0.1
http.port: {port}
transport.port: {transport}
path.data: "{data}"
path.logs: "{logs}"
cluster.routing.allocation.disk.threshold_enabled: false
xpack.security.enabled: true
xpack.security.http.ssl.enabled: false
xpack.security.transport.ssl.enabled: false
xpack.license.self_generated.type: basic
attention_fusion.url: "{sidecar_url}"
attention_fusion.timeout: 10s
"""


@dataclass(frozen=True)
class Official:
    """A copy of the archive for one test."""

    ground: Ground
    java: Java
    home: Path

    def run(self, program: str, *arguments: str) -> str:
        """One of the archive's own commands, as the node's user; its words."""
        done = subprocess.run(
            [str(self.home / "bin" / program), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.ground.node,
            env=self.environment(),
            user=self.ground.uid,
            group=self.ground.gid,
            extra_groups=None if self.ground.uid is None else [],
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def environment(self) -> dict[str, str]:
        """What the archive's scripts read."""
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.ground.node),
            "ES_JAVA_HOME": str(self.java.home),
            "ES_JAVA_OPTS": "-Xms512m -Xmx512m -XX:-AlwaysPreTouch",
        }

    @contextmanager
    def running(self, log: Path) -> Iterator[None]:
        """The node, started by bin/elasticsearch, until it says that it has started."""
        with log.open("w") as words:
            process = subprocess.Popen(
                [str(self.home / "bin" / "elasticsearch")],
                stdout=words,
                stderr=subprocess.STDOUT,
                cwd=self.ground.node,
                env=self.environment(),
                user=self.ground.uid,
                group=self.ground.gid,
                extra_groups=None if self.ground.uid is None else [],
            )
        try:
            until(
                lambda: process.poll() is not None or "] started " in log.read_text(),
                "the official node starts",
                180,
            )
            assert process.poll() is None, log.read_text()[-4000:]
            yield
        finally:
            process.terminate()
            process.wait(60)


def copy(
    ground: Ground, java: Java, distribution: Distribution, *, as_from_elastic: bool = True
) -> Official:
    """The archive as Elastic made it: without our module and our plugin.

    Otherwise with our module, which has what Elastic's downloads have and the archive has not.
    """
    home = ground.node / "official"
    module = [MODULE] if as_from_elastic else []
    ours = shutil.ignore_patterns(CLASS_PATH_HOME, *module, "plugins", "logs", "*.missing")
    shutil.copytree(distribution.folder, home, symlinks=True, ignore=ours)
    (home / "plugins").mkdir()
    return Official(ground, java, home)


def configure(official: Official, port: int, transport: int, sidecar_url: str) -> None:
    """Write the node's configuration and give everything to its user."""
    node = official.ground.node
    text = CONFIG.format(
        port=port,
        transport=transport,
        data=official.ground.own(node / "data"),
        logs=official.ground.own(node / "logs"),
        sidecar_url=sidecar_url,
    )
    (official.home / "config" / "elasticsearch.yml").write_text(text)
    for path in (official.home, *official.home.rglob("*")):
        if not path.is_symlink():
            official.ground.give(path)


def plugin_zip(distribution: Distribution, target: Path) -> Path:
    """The zip that a shop installs, of what the local stack has compiled."""
    made = distribution.folder / "plugins" / fusion_plugin.NAME
    path = target / f"{fusion_plugin.NAME}-{archive.ELASTICSEARCH_VERSION}.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for file in made.iterdir():
            packed.write(file, file.name)
    path.chmod(0o644)
    return path
