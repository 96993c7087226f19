"""Checks whether the signals that sidecars serve are still those that their model learned from."""

import time
from collections.abc import Iterator

from redis.exceptions import RedisError

from compose.local.finding import Finding
from indexer import connections
from indexer.settings import Settings
from reranker.fusion.registry import Registry
from reranker.serving import drift_watch

NAMED_MAX = 5


def check_drift(usable: Settings, registry: Registry) -> Iterator[Finding]:
    """What the sidecars found of the model that serves; nothing while they have seen too little."""
    index, version = registry.folder.name, registry.current()
    try:
        with connections.valkey(usable) as client:
            told = drift_watch.read_told(client, index, time.time())
    except RedisError:
        return  # the check of Valkey says so
    found = [it for it in told if it.version == version]
    if not found:
        return
    lists = sum(it.lists for it in found)
    moved: dict[str, float] = {}
    for it in found:
        moved |= {name: max(value, moved.get(name, 0.0)) for name, value in it.moved.items()}
    if not moved:
        yield Finding("signals", "ok", f"{index}: served as {version} learned them, {lists} lists")
        return
    farthest = sorted(moved.items(), key=lambda it: -it[1])[:NAMED_MAX]
    named = ", ".join(f"{name} {value:.2f}" for name, value in farthest)
    more = f" and {len(moved) - NAMED_MAX} more" if len(moved) > NAMED_MAX else ""
    yield Finding(
        "signals",
        "warning",
        f"{index}: {len(moved)} signals drift from what {version} learned: {named}{more}",
        f"`hitweave train {index}`; a signal that jumped may also mean a feed that broke",
    )
