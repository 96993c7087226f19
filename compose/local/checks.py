"""What `hitweave doctor` looks at: one function a subject; they change nothing."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elasticsearch import ApiError, Elasticsearch

from compose.local import archive, ground, java_runtime, ports, stack, valkey
from compose.local.action_checks import check_actions
from compose.local.drift_checks import check_drift
from compose.local.finding import Finding, Level
from compose.local.home import Home
from compose.local.index_checks import check_indices
from compose.local.item_checks import check_items
from compose.local.kafka_checks import check_kafka
from compose.local.part import Readiness
from compose.local.processes import QUEUES
from compose.local.readiness import is_ready
from compose.local.rights_checks import check_rights
from indexer import addresses, connections, settings
from indexer.behaviour import applications
from indexer.errors import CouldNotReach, HitweaveError
from reranker import settings as serving_settings
from reranker.fusion import artifact
from reranker.fusion.registry import CURRENT, Registry

DEFAULT_PSEUDONYM_KEY = "hitweave-local"
FREE_BYTES_MIN = 5_000_000_000
FREE_SHARE_MIN = 0.05
PING_SECONDS = 3.0


def examine(home: Home) -> Iterator[Finding]:
    """Every check, in the order in which faults are best mended."""
    yield from check_settings(home)
    yield from check_programs(home)
    yield from check_disk(home)
    yield from check_ports(home)
    usable = _settings()
    if usable is None:
        return  # everything below needs them, and the first check said so
    yield from check_elasticsearch(usable)
    yield from check_valkey(usable)
    yield from check_workers(usable)
    yield from check_kafka(usable)
    yield from check_sidecar(usable)
    yield from check_models(usable)


def check_settings(home: Home) -> Iterator[Finding]:
    """Values that cannot work, alone or together, and a key that everyone knows."""
    for load in (settings.load, serving_settings.load):
        try:
            load()
        except HitweaveError as error:
            for problem in error.message.split("; "):
                yield Finding("settings", "fault", problem, "change this HITWEAVE_* variable")
            return
    key = settings.load().pseudonym_key.get_secret_value()
    if home.pseudonym_key() not in (None, key):
        found = f"HITWEAVE_PSEUDONYM_KEY is not the key of the stack in {home.folder}"
        advice = "unset it: under another key `erase-user` and imports miss the stack's shoppers"
        yield Finding("settings", "fault", found, advice)
    if key == DEFAULT_PSEUDONYM_KEY and home.pseudonym_key() is None:
        yield Finding(
            "settings",
            "warning",
            "HITWEAVE_PSEUDONYM_KEY is the published default: user ids can be guessed back",
            "set a secret of your own and keep it; another key makes every shopper a new one",
        )
    yield Finding("settings", "ok", "every HITWEAVE_* value can work")


def check_programs(home: Home) -> Iterator[Finding]:
    """Java and the Valkey server that `hitweave up` would run; nothing is made or downloaded."""
    place = ground.find(home)
    java = java_runtime.find(place)
    if java is None:
        advice = "install a JDK 21 or later, or `pip install 'hitweave[local]'`"
        yield Finding("java", "warning", "no Java that runs the local node", advice)
    else:
        note = "" if java.complete else "a JDK 21 or later adds entitlements and vector speed"
        yield Finding("java", "ok", java.describe(), note)
    try:
        program = valkey.find_program()
        number = ".".join(map(str, valkey.version(program)))
        yield Finding("valkey program", "ok", f"{program} {number}")
    except HitweaveError as error:
        yield Finding("valkey program", "warning", error.message)


def check_disk(home: Home) -> Iterator[Finding]:
    """Free space where the stack writes."""
    place = ground.find(home)
    folders = {"home": home.folder, "cache": archive.cache_folder(), "node": place.distributions}
    for name, folder in folders.items():
        there = next(path for path in (folder, *folder.parents) if path.exists())
        usage = shutil.disk_usage(there)
        found = f"{usage.free / 1e9:.1f} GB free at {folder} ({name})"
        scarce = usage.free < FREE_BYTES_MIN or usage.free < FREE_SHARE_MIN * usage.total
        advice = "the local node does not stop writing by itself: make room" if scarce else ""
        yield Finding("disk", "warning" if scarce else "ok", found, advice)


def check_ports(home: Home) -> Iterator[Finding]:
    """Whether the ports of a stack that is down are free."""
    addresses = home.addresses()
    if stack.is_supervised(home) or addresses is None:
        return
    for name, option in (("elasticsearch", "--es-port"), ("valkey", "--valkey-port")):
        port = ports.of_url(getattr(addresses, f"{name}_url"))
        if port and not ports.is_free(port):
            found = f"port {port} is in use by {ports.holder(port) or 'another process'}"
            yield Finding("ports", "warning", found, f"end it, or `hitweave up {option}` another")


def check_elasticsearch(usable: settings.Settings) -> Iterator[Finding]:
    """Version, health, the stamp of every index, what its events are called and what they name."""
    with connections.elasticsearch(usable, request_timeout=10, max_retries=0) as client:
        try:
            number = connections.check_elasticsearch(client, usable)
        except HitweaveError as error:
            yield _refused("elasticsearch", error)
            return
        try:
            yield from _of_the_cluster(client, usable, number)
        except ApiError as error:
            yield _refused("elasticsearch", connections.told(error))


def _of_the_cluster(
    client: Elasticsearch, usable: settings.Settings, number: str
) -> Iterator[Finding]:
    yield from check_rights(client, sorted(applications.read(client).named))
    health = client.cluster.health().body
    level: Level = "fault" if health["status"] == "red" else "ok"
    found = (
        f"{number} at {addresses.shown(usable.elasticsearch_url)} (supported: "
        f"{connections.SUPPORTED_MAJOR}.{connections.SUPPORTED_MINOR_FROM} and later "
        f"{connections.SUPPORTED_MAJOR}.x), health {health['status']}"
    )
    advice = "shards are missing: see `GET _cluster/allocation/explain`" if level != "ok" else ""
    yield Finding("elasticsearch", level, found, advice)
    yield from check_indices(client)
    yield from check_actions(client)
    yield from check_items(client)


def check_valkey(usable: settings.Settings) -> Iterator[Finding]:
    """Version, and whether the server may forget what it was told."""
    with connections.valkey(usable) as client:
        try:
            number = connections.check_valkey(client, usable)
        except HitweaveError as error:
            yield _refused("valkey", error)
            return
        server: Any = client.info("server")
        memory: Any = client.info("memory")
        persistence: Any = client.info("persistence")
    name = f"Valkey {server['valkey_version']}" if "valkey_version" in server else f"Redis {number}"
    yield Finding("valkey", "ok", f"{name} at {addresses.shown(usable.valkey_url)}")
    policy = str(memory.get("maxmemory_policy"))
    if policy != "noeviction":
        advice = "set maxmemory-policy noeviction: broker and cards share it, tasks would be lost"
        yield Finding("valkey", "fault", f"maxmemory-policy is {policy}", advice)
    if not persistence.get("aof_enabled"):
        advice = "set appendonly yes: queued tasks and counters are lost when it restarts"
        yield Finding("valkey", "warning", "no append-only file", advice)


def check_workers(usable: settings.Settings) -> Iterator[Finding]:
    """Whether every queue has someone who works on it."""
    import celery

    broker = usable.celery_broker_url
    if not is_ready(Readiness(kind="valkey", url=broker)):
        advice = "start it first, or set HITWEAVE_BROKER_URL"
        yield Finding("workers", "fault", "their broker does not answer", advice, unreachable=True)
        return
    app = celery.Celery(broker=broker, set_as_current=False)
    try:
        answers = app.control.inspect(timeout=PING_SECONDS).active_queues() or {}
    finally:
        app.close()
    served = {queue["name"] for queues in answers.values() for queue in queues}
    for queue in QUEUES:
        if queue in served:
            yield Finding("workers", "ok", f"queue {queue} has a worker")
        else:
            advice = f"`hitweave up` starts one, or `hitweave worker -Q {queue}`"
            yield Finding("workers", "fault", f"nobody works on queue {queue}", advice, True)


def check_sidecar(usable: settings.Settings) -> Iterator[Finding]:
    """Whether the sidecar is ready."""
    if is_ready(Readiness(kind="http", url=f"{usable.sidecar_url}/health/ready"), 5):
        yield Finding("sidecar", "ok", f"ready at {usable.sidecar_url}")
    else:
        advice = "`hitweave up` starts one, or `hitweave serve`; its log says what it waits for"
        found = f"not ready at {usable.sidecar_url}"
        yield Finding("sidecar", "fault", found, advice, True)


def check_models(usable: settings.Settings) -> Iterator[Finding]:
    """Whether each promoted model is whole and of these signals."""
    indices = sorted(path.parent.name for path in usable.models_dir.glob(f"*/{CURRENT}"))
    if not indices:
        yield _none_serves(usable.models_dir)
    for index in indices:
        registry = Registry(usable.models_dir, index)
        yield _examine_model(registry)
        yield from check_drift(usable, registry)


def _none_serves(models_dir: Path) -> Finding:
    """What was trained says so itself: that it may not serve is no reason to train again."""
    trained = sorted({path.parent.parent.name for path in models_dir.glob("*/*/manifest.json")})
    if not trained:
        advice = "fused searches use the untrained order until `hitweave train INDEX`"
        return Finding("models", "note", f"no model in {models_dir}", advice)
    advice = (
        "fused searches use the untrained order: the gate let none serve, or it was rolled back; "
        "`hitweave models list` shows what each measured, more behaviour may help"
    )
    return Finding("models", "note", f"no model serves, trained: {', '.join(trained)}", advice)


def _examine_model(registry: Registry) -> Finding:
    name, version = registry.folder.name, registry.current()
    try:
        artifact.load(registry.path(str(version)))
    except HitweaveError as error:
        advice = f"`hitweave models rollback`, or `hitweave train {name}` again"
        return Finding("models", "fault", f"{name}: {error.message}", advice)
    return Finding("models", "ok", f"{name}: {version} is whole")


def _refused(subject: str, error: HitweaveError) -> Finding:
    found, _, advice = error.message.partition(": ")
    return Finding(subject, "fault", found, advice, isinstance(error, CouldNotReach))


def _settings() -> settings.Settings | None:
    try:
        serving_settings.load()
        return settings.load()
    except HitweaveError:
        return None
