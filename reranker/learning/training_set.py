"""Training lists as a Parquet file: one row a candidate, every signal under its name, and labels.

What the model learns from, for other tools. Rows of one list stand together and share `list`;
`part` says whether a list was trained or measured on. No shopper is named, not even by pseudonym.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from reranker.learning.dataset import ListSet
from reranker.learning.network import HEADS
from reranker.signals import definition

LISTS_AT_ONCE = 256
SCHEMA = pa.schema(
    [
        ("part", pa.string()),
        ("list", pa.int64()),
        ("time", pa.timestamp("ms", tz="UTC")),
        ("query", pa.string()),
        ("item_id", pa.string()),
        ("target", pa.bool_()),
        ("bought_before", pa.bool_()),
        *((f"label_{head}", pa.float32()) for head in HEADS),
        *((name, pa.float32()) for name in definition.NAMES),
    ]
)


def batches(
    part: str, lists: ListSet, first: int, queries: Sequence[str], ids: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Rows of `lists`, numbered from `first`; `queries` and `ids` are what its numbers mean."""
    for begin in range(0, len(lists), LISTS_AT_ONCE):
        picked = np.arange(begin, min(begin + LISTS_AT_ONCE, len(lists)))
        rows = slice(lists.start[picked[0]], lists.start[picked[-1] + 1])
        of = np.repeat(picked, np.diff(lists.start)[picked])
        signals = lists.signals[rows].astype(np.float32)
        columns: dict[str, Any] = {
            "part": [part] * len(of),
            "list": first + of,
            "time": (lists.time[of] * 1000).astype("datetime64[ms]"),
            "query": [queries[row] for row in lists.query[of]],
            "item_id": [ids[row] for row in lists.item[rows]],
            "target": lists.target[rows],
            "bought_before": lists.bought_before[of],
            **{f"label_{head}": lists.labels[rows, n] for n, head in enumerate(HEADS)},
            **{name: signals[:, n] for n, name in enumerate(definition.NAMES)},
        }
        yield pa.record_batch([pa.array(columns[f.name], f.type) for f in SCHEMA], schema=SCHEMA)


def write(
    path: Path,
    parts: Mapping[str, ListSet | None],
    queries: Sequence[str],
    ids: Sequence[str],
    note: Mapping[str, Any],
    on_rows: Callable[[int], None] = lambda _: None,
) -> int:
    """Write every part's rows; how many. The file appears under its name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    said = {**note, "signals": definition.digest()}
    schema = SCHEMA.with_metadata({"hitweave": orjson.dumps(said)})
    rows = first = 0
    try:
        with pq.ParquetWriter(partial, schema, compression="zstd") as file:
            for part, lists in parts.items():
                for batch in batches(part, lists, first, queries, ids) if lists else ():
                    file.write_batch(batch.replace_schema_metadata(schema.metadata))
                    rows += batch.num_rows
                    on_rows(batch.num_rows)
                first += len(lists) if lists else 0
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return rows
