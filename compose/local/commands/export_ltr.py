"""`hitweave export-ltr`: the serving model, distilled for shops that have Elastic's own LTR."""

import time
from pathlib import Path

import click
import orjson

from compose.local import training_options
from indexer import connections, settings
from indexer.catalogue import generation


@click.command("export-ltr")
@click.argument("index")
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@training_options.schedule("How many lists to learn from.", default="quick")
@click.option("--import-as", metavar="NAME", help="Also send it to the cluster under this name.")
def command(index: str, out: Path, *, name: str, import_as: str | None) -> None:
    """Distil the serving model of INDEX into a LambdaMART for Elastic's Learning to Rank.

    OUT holds what `PUT _ml/trained_models/NAME` takes, made by eland, and how a search uses it. The
    student sees only what queries of Elasticsearch can tell: neither behaviour nor the shopper.
    --import-as needs a cluster whose licence has Learning to Rank. The last line of stdout is one
    JSON object with the held-out metrics of student, teacher and BM25.
    """
    from reranker.learning import distil, job, ltr_features, ltr_model, schedule
    from reranker.learning.bars import bars

    started = time.monotonic()
    known = settings.load()
    es, valkey = connections.elasticsearch(known), connections.valkey(known)
    connections.check_elasticsearch(es, known)
    where = generation.resolve(es, index)
    servers = job.Servers(es, valkey, known.models_dir)
    with bars() as progress:
        found = distil.distil(servers, where, schedule.read(None, name), progress)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(orjson.dumps(found.body()))
    if import_as:
        ltr_model.send(es, import_as, found.booster, ltr_features.model_config(found.features))
    result = {
        "index": index,
        "file": str(out),
        "bytes": out.stat().st_size,
        "teacher": found.teacher,
        "features": list(found.features),
        "trees": found.booster.num_trees(),
        "imported_as": import_as,
        "metrics": found.metrics,
        "seconds": round(time.monotonic() - started, 1),
    }
    click.echo(orjson.dumps(result).decode())
