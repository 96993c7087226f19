"""Rejected lines where an operator finds them: an index for all jobs, a file for those run here.

A line is kept once however often its chunk is done again.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk

from indexer.catalogue.generation import REJECTED
from indexer.catalogue.product import iso
from indexer.catalogue.tally import Rejection


def keep(es: Elasticsearch, job: str, rejections: Sequence[Rejection], *, now_ms: int) -> None:
    """Put rejected lines into the index `hitweave_rejected`."""
    if not rejections:
        return
    documents: list[dict[str, Any]] = [
        {
            "_index": REJECTED,
            "_id": f"{job}/{one.key}",
            "_source": {"job": job, "at": iso(now_ms), **asdict(one)},
        }
        for one in rejections
    ]
    bulk(es, documents, raise_on_error=False)


def append(folder: Path, job: str, rejections: Sequence[Rejection]) -> Path:
    """Append rejected lines to `<folder>/<job>.ndjson`; the path of that file."""
    path = folder / f"{job}.ndjson"
    if rejections:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.writelines(orjson.dumps(asdict(one)) + b"\n" for one in rejections)
    return path
