"""A real Kafka broker for tests: Apache's own jars from Maven Central, one node on loopback."""

import hashlib
import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from compose.local import archive, ground, java_runtime
from compose.local.home import Home
from tests.compose.waiting import until
from tests.conftest import free_port

GROUP, NAME, VERSION = "org.apache.kafka", "kafka_2.13", "4.4.0"
DIGEST = "c57745e6fae368511a219d6a71685d7ff19625bde847b8e8ea4363cff72e48ad"
OPTIONS = ("-Xms128m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
CONFIG = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=300
"""
SECONDS = 30.0


class Broker:
    """One node with its data in a folder; what a shop does with it."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.servers = f"127.0.0.1:{port}"
        self._config, self._log = folder / "server.properties", folder / "broker.log"
        self._config.write_text(CONFIG.format(port=port, controller=free_port(), folder=folder))
        java = java_runtime.find(ground.find(Home(folder / "home")))
        assert java is not None, "the tests of Kafka need the extra `local` or a JDK"
        self._java = [str(java.program), *OPTIONS, "-cp", class_path()]
        self._run: subprocess.Popen[bytes] | None = None
        identity = ("-t", "hitweave-test-cluster0")
        subprocess.run(
            [*self._java, "kafka.tools.StorageTool", "format", *identity, "-c", str(self._config)],
            check=True,
            capture_output=True,
        )

    def start(self) -> None:
        """Return when it answers; with what it held when it was killed."""
        with self._log.open("ab") as words:
            started = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(self._config)], stdout=words, stderr=words
            )
        self._run = started
        until(lambda: started.poll() is not None or self._answers(), "the broker answers")
        assert started.poll() is None, self._log.read_text()[-4000:]

    def kill(self) -> None:
        """End it the hard way."""
        if self._run is not None:
            self._run.kill()
            self._run.wait()

    def make_topic(self, name: str, partitions: int = 1, **config: str) -> str:
        """A new topic; dots in names of its settings are written as underscores."""
        settings = {key.replace("_", "."): value for key, value in config.items()}
        admin = self._admin()  # ends its requests when nobody holds it
        made = admin.create_topics([NewTopic(name, partitions, 1, config=settings)])
        made[name].result(SECONDS)
        return name

    def publish(self, topic: str, *values: Any, key: str | None = None, at_ms: int = 0) -> None:
        """Values as JSON, bytes and None as they are; spread over the partitions without a key."""
        scattered = {"linger.ms": 5, "sticky.partitioning.linger.ms": 0}
        producer = Producer({"bootstrap.servers": self.servers, **scattered})
        for value in values:
            plain = value is None or isinstance(value, bytes)
            told = value if plain else json.dumps(value).encode()
            producer.produce(topic, told, key=key, timestamp=at_ms)
        assert producer.flush(SECONDS) == 0

    def messages(self, topic: str) -> list[Message]:
        """All that a topic holds."""
        reader = Consumer({"bootstrap.servers": self.servers, "group.id": uuid.uuid4().hex})
        try:
            return [it for part in self._parts(topic) for it in _all(reader, part)]
        finally:
            reader.close()

    def committed(self, group: str, topic: str) -> int:
        """How many messages the group is done with, by its offsets."""
        reader = Consumer({"bootstrap.servers": self.servers, "group.id": group})
        found: list[TopicPartition] = []

        def asked() -> bool:
            try:
                found[:] = reader.committed(self._parts(topic), timeout=SECONDS)
            except KafkaException:  # a broker that has just started looks for its groups
                return False
            return True

        try:
            until(asked, "the group's offsets are known")
            return sum(max(0, part.offset) for part in found)
        finally:
            reader.close()

    def _parts(self, topic: str) -> list[TopicPartition]:
        about = self._admin().list_topics(topic, timeout=SECONDS).topics[topic]
        return [TopicPartition(topic, number) for number in about.partitions]

    def _answers(self) -> bool:
        try:
            return bool(self._admin().list_topics(timeout=1.0).brokers)
        except KafkaException:
            return False

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.servers, "log_level": 0})


def headers(message: Message) -> dict[str, str]:
    """A message's headers as text."""
    return {name: (value or b"").decode() for name, value in message.headers() or []}


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One broker for the session, with its data in a folder of its own."""
    made = Broker(tmp_path_factory.mktemp("kafka"))
    try:
        made.start()
        yield made
    finally:
        made.kill()


def class_path() -> str:
    """Kafka's jars with all that they need at run time, exactly those of DIGEST."""
    jars = _fetched()
    digest = hashlib.sha256()
    for jar in jars:
        digest.update(jar.name.encode() + hashlib.sha256(jar.read_bytes()).digest())
    if digest.hexdigest() != DIGEST:
        for jar in jars:
            jar.unlink()  # an interrupted download, or others than expected
        raise AssertionError(f"Kafka's jars are not the expected ones ({digest.hexdigest()})")
    return os.pathsep.join(map(str, jars))


def _fetched() -> list[Path]:
    from jgo.maven import MavenContext, PythonResolver

    cache = archive.cache_folder() / "maven"
    with archive.locked(cache):
        context = MavenContext(PythonResolver(), repo_cache=cache, timeout=30)
        kafka = context.project(GROUP, NAME).at_version(VERSION).artifact()
        _, needed = context.resolver.resolve(
            [context.create_dependency(f"{GROUP}:{NAME}:{VERSION}")]
        )
        artifacts = [kafka, *(it.artifact for it in needed if it.scope != "provided")]
        return sorted(Path(str(it.resolve())) for it in artifacts)


def _all(reader: Consumer, part: TopicPartition) -> Iterator[Message]:
    """What one partition holds now."""
    first, end = reader.get_watermark_offsets(part, timeout=SECONDS)
    reader.assign([TopicPartition(part.topic, part.partition, first)])
    while first < end:
        message = reader.poll(SECONDS)
        assert message is not None, "the broker does not send what it holds"
        assert message.error() is None, message.error()
        first = message.offset() + 1
        yield message
