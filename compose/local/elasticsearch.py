"""The local Elasticsearch node as a part of the stack: its configuration and its command."""

import re
import shutil
from dataclasses import dataclass

from compose.local import distribution, ground, java_runtime
from compose.local.archive import ELASTICSEARCH_VERSION, Progress
from compose.local.home import Home
from compose.local.part import Part, Readiness
from compose.local.ports import LOOPBACK
from indexer.catalogue.product import RESERVED
from indexer.errors import AskedWrongly

NAME = "elasticsearch"
TRANSPORT_OFFSET = 100
# 408 until every primary shard is there: after a restart the node answers before its data does.
HEALTH = "/_cluster/health?wait_for_status=yellow&timeout=1s"
HEAP = re.compile(r"[1-9]\d*[kmgKMG]")
ADVICE = (
    "read the log above; often the heap does not fit into memory (lower --es-heap) or the data "
    "was written by a newer version (remove --home for a fresh stack)"
)
# Small disks must not block writes; doctor says when one is nearly full.
SETTINGS = """\
cluster.name: hitweave-local
node.name: hitweave
discovery.type: single-node
network.host: {loopback}
http.port: {port}
transport.port: {transport_first}-{transport_last}
path.data: "{data}"
path.logs: "{logs}"
cluster.routing.allocation.disk.threshold_enabled: false
"""
SECURITY_SETTINGS = """\
xpack.security.enabled: false
xpack.license.self_generated.type: basic
"""
PLUGIN_SETTINGS = """\
attention_fusion.url: "{sidecar_url}"
attention_fusion.id_field: {id_column}
"""
LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%p][%c{1}] [%node_name]%marker %m%consoleException%n
appender.header_warning.type = HeaderWarningAppender
appender.header_warning.name = header_warning
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
logger.deprecation.name = org.elasticsearch.deprecation
logger.deprecation.level = WARN
logger.deprecation.appenderRef.header_warning.ref = header_warning
logger.deprecation.additivity = false
"""
# The archive's own options log every garbage collection.
OPTIONS = (
    "-Xlog:disable\n-Xlog:all=warning:stderr:utctime,level,tags\n-XX:-HeapDumpOnOutOfMemoryError\n"
)
# What the archive's own launcher says, as far as it holds without Java modules.
CLASS_PATH_OPTIONS = (
    *("-Xss1m", "-XX:+UseG1GC", "-XX:+ExitOnOutOfMemoryError", "-XX:-OmitStackTraceInFastThrow"),
    *("-Djava.awt.headless=true", "-Dfile.encoding=UTF-8", "-Djava.locale.providers=CLDR"),
    *("-Dio.netty.noUnsafe=true", "-Dio.netty.noKeySetOptimization=true"),
    *("-Dlog4j.shutdownHookEnabled=false", "-Dlog4j2.disable.jmx=true"),
    "-Dorg.apache.lucene.store.defaultReadAdvice=normal",
    "-Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1",
    "--enable-native-access=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED",
    "-Des.distribution.type=zip",
)


@dataclass(frozen=True)
class Node:
    """Everything that a command line needs of the node."""

    ground: ground.Ground
    java: java_runtime.Java
    distribution: distribution.Distribution
    port: int
    heap: str


def prepare(
    home: Home, port: int, heap: str, sidecar_url: str, progress: Progress | None = None
) -> Node:
    """Find Java, unpack the archive where needed and write the node's configuration."""
    if not HEAP.fullmatch(heap):
        raise AskedWrongly(f"--es-heap is {heap!r}: give a size such as 512m or 1g")
    place = ground.prepare(home)
    java = java_runtime.choose(place)
    node = Node(place, java, distribution.unpacked(place.distributions, java, progress), port, heap)
    _configure(node, sidecar_url)
    return node


def part(node: Node, home: Home) -> Part:
    """The node as a process that the supervisor runs."""
    return Part(
        name=NAME,
        command=_command(node),
        environment=_environment(node),
        folder=node.ground.node,
        log=home.logs / f"{NAME}.log",
        readiness=Readiness(kind="http", url=f"http://{LOOPBACK}:{node.port}{HEALTH}"),
        uid=node.ground.uid,
        gid=node.ground.gid,
        stop_seconds=45,
        advice=ADVICE,
        note=_note(node),
    )


def _note(node: Node) -> str:
    missing = node.distribution.plugin_missing
    without = f"; without the retriever attention_fusion: {missing}" if missing else ""
    return f"Elasticsearch {ELASTICSEARCH_VERSION}, {node.java.describe()}{without}"


def _configure(node: Node, sidecar_url: str) -> None:
    place = node.ground
    folders = {name: place.own(place.node / name) for name in ("config", "data", "logs", "tmp")}
    text = SETTINGS.format(
        loopback=LOOPBACK,
        port=node.port,
        transport_first=node.port + TRANSPORT_OFFSET,
        transport_last=node.port + TRANSPORT_OFFSET + 99,
        data=folders["data"],
        logs=folders["logs"],
    )
    config = folders["config"]
    shutil.copy(node.distribution.folder / "config" / "jvm.options", config / "jvm.options")
    place.own(config / "jvm.options.d")
    (config / "jvm.options.d" / "hitweave.options").write_text(OPTIONS)
    security = SECURITY_SETTINGS if node.java.complete else ""
    plugin = "" if node.distribution.plugin_missing else PLUGIN_SETTINGS
    plugin = plugin.format(sidecar_url=sidecar_url, id_column=f"{RESERVED}.id")
    (config / "elasticsearch.yml").write_text(text + security + plugin)
    (config / "log4j2.properties").write_text(LOGGING)
    for file in config.rglob("*"):
        place.give(file)


def _environment(node: Node) -> dict[str, str]:
    folder = node.ground.node
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "ES_JAVA_HOME": str(node.java.home),
        "ES_PATH_CONF": str(folder / "config"),
        "ES_TMPDIR": str(folder / "tmp"),
        "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1",  # the launcher is idle once the node runs
        "ES_JAVA_OPTS": f"-Xms{node.heap} -Xmx{node.heap} -XX:-AlwaysPreTouch",
    }


def _command(node: Node) -> tuple[str, ...]:
    if node.java.complete:
        return (str(node.distribution.program),)
    tmp = node.ground.node / "tmp"
    return (
        str(node.java.program),
        *(f"-Xms{node.heap}", f"-Xmx{node.heap}", f"-Djava.io.tmpdir={tmp}", *CLASS_PATH_OPTIONS),
        f"-Des.path.home={node.distribution.class_path_home}",
        f"-Des.path.conf={node.ground.node / 'config'}",
        *("-cp", node.distribution.class_path, "hitweave.node.Launcher"),
    )
