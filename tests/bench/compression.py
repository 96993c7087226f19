"""`python -m tests.bench.compression`: size, speed and quality of each way to store less.

On a running stack with a trained model. What ranking is made of (model, item cards, co-purchase)
is judged by the mean reciprocal rank of cases, every variant over the same candidates; the
vector index by how many of the exact nearest neighbours it finds. One table, one JSON object.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch, helpers
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from compose.local.home import Home
from indexer import identity
from indexer import settings as server_settings
from indexer.behaviour import copurchase
from indexer.catalogue.generation import Generation, resolve
from reranker import settings
from reranker.evaluation import judgements
from reranker.evaluation.baselines import Fitted, in_process
from reranker.evaluation.compare import paired
from reranker.evaluation.replay import Asking, Search
from reranker.fusion import artifact
from reranker.fusion.registry import Registry
from reranker.fusion.scorer import Scorer
from reranker.serving.process import open_process
from reranker.serving.ranking import Ranking
from reranker.signals.build import assemble
from reranker.signals.situation import Situation
from tests.bench import codes, vector_index

Vectors = NDArray[np.float32]
SEED = 7
VECTORS_MAX = 100_000
console = Console()


@dataclass(frozen=True)
class Case:
    """One list, made once: what was known, and which row was bought (None: not retrieved)."""

    situation: Situation
    row: int | None


def main() -> None:
    """Measure, print."""
    args = arguments()
    home = str(Path(args.home).resolve())
    os.environ.update(Home(Path(home)).environment())
    os.environ["HITWEAVE_DEADLINE_MS"] = "60000"
    addresses = json.loads((Path(home) / "stack.json").read_text("utf-8"))
    rows: list[dict[str, Any]] = []
    with Elasticsearch(addresses["elasticsearch_url"], request_timeout=300) as es:
        generation = resolve(es, args.index)
        table = stored_vectors(es, generation)
        if args.cases:
            cases, scorers = prepared(args, addresses["sidecar_url"])
            rows += of_model(cases, scorers)
            rows += of_cards(cases, scorers["int8"][0], *table)
            rows += of_partners(cases, scorers["int8"][0])
        rows += vector_index.measured(es, table[1], SEED)
    show(rows)
    print(json.dumps(rows))


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.compression", description=__doc__)
    parser.add_argument("--home", default=os.environ.get("HITWEAVE_HOME", ".hitweave"))
    parser.add_argument("--index", required=True)
    parser.add_argument(
        "--cases",
        type=Path,
        help="as `hitweave evaluate --cases`; without it the vector index alone is measured",
    )
    parser.add_argument("--query", type=int, default=0)
    parser.add_argument("--limit", type=int, default=1000)
    return parser.parse_args()


def stored_vectors(es: Elasticsearch, generation: Generation) -> tuple[list[str], Vectors]:
    """Ids and float vectors of the catalogue, at most VECTORS_MAX, of length 1."""
    ids: list[str] = []
    vectors: list[list[float]] = []
    field = generation.config.vector_field
    body = {"query": {"exists": {"field": field}}, "_source": False, "fields": [field]}
    for hit in helpers.scan(es, index=generation.concrete, query=body, size=1000):
        ids.append(hit["_id"])
        vectors.append(hit["fields"][field])
        if len(ids) == VECTORS_MAX:
            break
    found = np.array(vectors, dtype=np.float32)
    return ids, found / np.linalg.norm(found, axis=1, keepdims=True)


def prepared(
    args: argparse.Namespace, url: str
) -> tuple[list[Case], dict[str, tuple[Scorer, int]]]:
    """The cases as lists, and the model with float and with int8 weights, by size."""
    process = open_process(server_settings.load(), settings.load())
    models_dir = server_settings.load().models_dir
    asking = Asking(url=url, index=args.index, size=100, window=300)
    read = judgements.read_cases(args.cases).cases[: args.limit]
    try:
        ranks = in_process(process, asking, Fitted("", {}), models_dir)
        cases = []
        for case in read:
            ranking = ranks.rank(Search(case.queries[args.query], case.user_id))
            if ranking.fused.situation is not None:
                cases.append(Case(ranking.fused.situation, row_of(ranking, case.target)))
    finally:
        process.close()
    registry = Registry(models_dir, args.index)
    version = registry.current()
    if version is None:
        raise SystemExit(f"no model serves {args.index}: `hitweave train {args.index}` first")
    return cases, scorers(registry.path(version))


def row_of(ranking: Ranking, target: str) -> int | None:
    """Where the target stands among the candidates that the model saw."""
    seen = ranking.fused.situation
    assert seen is not None
    return seen.candidates.ids.index(target) if target in seen.candidates.ids else None


def scorers(folder: Path) -> dict[str, tuple[Scorer, int]]:
    """The network of one version before and after quantisation; nothing else differs."""
    from reranker.learning.export import quantised

    whole = artifact.load(folder, measured=True)
    small = replace(whole, model=quantised(whole.model))
    return {
        "float32": (Scorer(whole), len(whole.model)),
        "int8": (Scorer(small), len(small.model)),
    }


def of_model(
    cases: Sequence[Case], found: Mapping[str, tuple[Scorer, int]]
) -> list[dict[str, Any]]:
    """The fusion model's weights."""
    return compared(
        "model weights",
        {name: (lambda it: it, scorer, size) for name, (scorer, size) in found.items()},
        cases,
    )


def of_cards(
    cases: Sequence[Case], scorer: Scorer, ids: Sequence[str], vectors: Vectors
) -> list[dict[str, Any]]:
    """The text vectors on the item cards; bytes an item."""
    place = {name: row for row, name in enumerate(ids)}
    place_of_hash = {number: row for row, number in enumerate(identity.hashes(ids).tolist())}

    def with_vectors(decoded: Vectors) -> Callable[[Situation], Situation]:
        def changed(situation: Situation) -> Situation:
            rows = [place.get(name, -1) for name in situation.candidates.ids]
            past = [place_of_hash.get(int(item), -1) for item in situation.history["item"]]
            return substituted(situation, taken(decoded, rows), taken(decoded, past))

        return changed

    variants = {
        code.name: (with_vectors(code.decoded), scorer, code.bytes_an_item)
        for code in codes.all_of(vectors, SEED)
    }
    return compared("card vectors", variants, cases)


def of_partners(cases: Sequence[Case], scorer: Scorer) -> list[dict[str, Any]]:
    """Co-purchase rows cut to the strongest; bytes a row, against a dense row of two floats."""

    def cut(most: int) -> Callable[[Situation], Situation]:
        def changed(situation: Situation) -> Situation:
            rows = tuple(row[:most] for row in situation.partners)
            past = replace(situation.past, partners=rows).prepare()
            return replace(situation, partners=rows, prepared=past)

        return changed

    kept = [row for case in cases for row in case.situation.partners]
    variants = {
        f"sparse, at most {most} partners": (
            cut(most),
            scorer,
            round(
                statistics.mean(min(len(row), most) for row in kept) * copurchase.PARTNER.itemsize
            ),
        )
        for most in (copurchase.PARTNERS_MAX, 64, 32, 16)
    }
    return compared("co-purchase", variants, cases)


def taken(vectors: Vectors, rows: Sequence[int]) -> Vectors:
    """Rows of `vectors`, zero where there is none (-1)."""
    found = vectors[np.array(rows, dtype=np.intp)] if len(rows) else vectors[:0]
    return np.where(np.array(rows)[:, None] < 0, 0, found).astype(np.float32)


def substituted(situation: Situation, items: Vectors, history: Vectors) -> Situation:
    """The same list with other text vectors; nothing that was computed from the old ones stays."""
    past = replace(situation.past)
    if past.vectors is not None:
        past.__dict__["vectors"] = history
    past.prepare()
    found = replace(situation, prepared=past)
    found.__dict__["vectors"] = items
    return found


Variant = tuple[Callable[[Situation], Situation], Scorer, int]


def compared(
    part: str, variants: Mapping[str, Variant], cases: Sequence[Case]
) -> list[dict[str, Any]]:
    """Each variant by size, time and reciprocal rank, paired with the first one's."""
    first: NDArray[np.float64] | None = None
    rows = []
    for name, (change, scorer, size) in variants.items():
        reciprocal, took = measured(cases, change, scorer)
        first = reciprocal if first is None else first
        mrr = round(float(reciprocal.mean()), 4)
        row = {"part": part, "variant": name, "bytes": size, "p50_ms": took, "mrr": mrr}
        if reciprocal is not first:
            told = paired(reciprocal, first, SEED)
            row |= {"difference": round(told.mean_difference, 4), "p": round(told.p_value, 3)}
        rows.append(row)
    return rows


def measured(
    cases: Sequence[Case], change: Callable[[Situation], Situation], scorer: Scorer
) -> tuple[NDArray[np.float64], float]:
    """Reciprocal rank of each case's target, and the median milliseconds of the model."""
    reciprocal, took = [], []
    for case in cases:
        inputs = assemble(change(replace(case.situation, item_table=scorer.item_table)))
        started = time.perf_counter()
        scores = scorer.score(inputs).scores
        took.append(time.perf_counter() - started)
        better = 0 if case.row is None else int((scores > scores[case.row]).sum())
        reciprocal.append(0.0 if case.row is None else 1.0 / (1 + better))
    return np.array(reciprocal), round(statistics.median(took) * 1000, 2)


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """The table."""
    columns = ("part", "variant", "bytes", "p50_ms", "mrr", "difference", "p", "recall@100")
    table = Table(*columns)
    for row in rows:
        table.add_row(*("" if row.get(name) is None else str(row[name]) for name in columns))
    console.print(table)


if __name__ == "__main__":
    main()
