"""Training lists survive the way through Parquet."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest

from reranker.learning import training_set
from reranker.signals import definition
from tests.reranker.learning import lists

IDS = [f"i{n}" for n in range(lists.GOODS)]
QUERIES = [f"q{n}" for n in range(lists.QUERIES)]


def test_every_row_keeps_its_list_labels_and_signals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_set, "LISTS_AT_ONCE", 5)
    train, held_out = lists.list_set(12, seed=1), lists.list_set(7, seed=2)
    path = tmp_path / "out" / "training.parquet"
    parts = {"train": train, "held_out": held_out, "late": None}
    rows = training_set.write(path, parts, QUERIES, IDS, {"index": "goods"})
    table = pq.read_table(path)
    assert rows == table.num_rows == len(train.item) + len(held_out.item)
    frame = table.to_pandas()
    assert frame.groupby("list").size().tolist() == [
        int(b - a) for it in (train, held_out) for a, b in pairwise(it.start)
    ]
    for part, made in (("train", train), ("held_out", held_out)):
        own = frame[frame.part == part]
        np.testing.assert_array_equal(
            own[list(definition.NAMES)].to_numpy(), made.signals.astype(np.float32)
        )
        np.testing.assert_array_equal(own["label_purchase"], made.labels[:, 2])
        assert own["item_id"].tolist() == [IDS[row] for row in made.item]
        assert own.groupby("list")["query"].first().tolist() == [QUERIES[q] for q in made.query]
    said = orjson.loads(table.schema.metadata[b"hitweave"])
    assert said == {"index": "goods", "signals": definition.digest()}
    assert [it.name for it in path.parent.iterdir()] == ["training.parquet"]
