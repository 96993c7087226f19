"""`hitweave export-plugin`: the serving model for the plugin, where no sidecar is."""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import orjson
import redis

from indexer import connections, settings
from indexer.behaviour import state, store, watermark
from indexer.catalogue import generation
from indexer.errors import AskedWrongly

PAGE = 1000


@click.command("export-plugin")
@click.argument("index")
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
def command(index: str, out: Path) -> None:
    """Write the serving model of INDEX, and what is known of its items now, to the file OUT.

    Put it into config/hitweave/ of a node and name it in attention_fusion.models. It scores like
    the sidecar for a shopper of whom nothing is known, as of this moment: write it anew when goods
    or models have changed. The file is replaced whole. The last line of stdout is one JSON object.
    """
    from reranker.fusion import artifact, node_model
    from reranker.fusion.registry import Registry
    from reranker.learning import goods

    started = time.monotonic()
    known = settings.load()
    es, valkey = connections.elasticsearch(known), connections.valkey(known)
    connections.check_elasticsearch(es, known)
    connections.check_valkey(valkey, known)
    where = generation.resolve(es, index)
    registry = Registry(known.models_dir, where.index)
    version = registry.current()
    if version is None:
        raise AskedWrongly(f"no model serves {index!r}: run `hitweave train {index}` first")
    loaded = artifact.load(registry.path(version))
    if loaded.manifest.recipe_digest != where.recipe.digest():
        raise AskedWrongly(f"model {version} was trained on other vectors: train again")
    now, found = datetime.now(UTC), goods.read(es, valkey, where)
    (mark,) = store.read(valkey, where.index, [state.WATERMARK])
    at = watermark.decode(mark).at
    items = node_model.stock(
        found.ids,
        found.cards,
        found.present,
        [*_counts(valkey, where.index, found.ids)],
        dims=where.recipe.dims,
        now=now.timestamp() if at is None else at,
        table=loaded.item_table,
    )
    made_at = now.isoformat(timespec="seconds")
    content = node_model.packed(loaded, items, concrete=where.concrete, made_at=made_at)
    _replace(out, content)
    result = {
        "index": index,
        "file": str(out),
        "bytes": len(content),
        "version": version,
        "items": len(found.ids),
        "seconds": round(time.monotonic() - started, 1),
    }
    click.echo(orjson.dumps(result).decode())


def _counts(valkey: redis.Redis, index: str, ids: Sequence[str]) -> Iterator[bytes | None]:
    for first in range(0, len(ids), PAGE):
        keys = [state.popularity_key(name) for name in ids[first : first + PAGE]]
        yield from store.read(valkey, index, keys)


def _replace(path: Path, content: bytes) -> None:
    """The node never sees half a file, and may read it whoever it runs as."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(name).chmod(0o644)
    Path(name).replace(path)
