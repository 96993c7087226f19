"""`hitweave create INDEX`: the index with its aliases, stamped with what made it."""

from pathlib import Path

import click
import orjson

from indexer import connections, settings
from indexer.catalogue import generation, mapping
from indexer.errors import UnknownIndex


@click.command()
@click.argument("index")
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--if-missing", is_flag=True, help="Do nothing where the index exists already.")
def command(index: str, config: Path | None, if_missing: bool) -> None:
    """Create INDEX with its aliases, as CONFIG (YAML or JSON) says."""
    known = settings.load()
    with connections.elasticsearch(known) as es:
        connections.check_elasticsearch(es, known)
        made = None
        if if_missing:
            try:
                made = generation.resolve(es, index)
            except UnknownIndex:
                made = None
        created = made is None
        if made is None:
            made = generation.create(es, index, mapping.read_config(config, index))
    answer = {
        "index": index,
        "concrete": made.concrete,
        "encoder": made.recipe.encoder,
        "dims": made.recipe.dims,
        "created": created,
    }
    click.echo(orjson.dumps(answer))
