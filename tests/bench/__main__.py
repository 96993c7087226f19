"""`make bench`: in one run, latency and throughput of the bare node and of the sidecar.

Kinds of requests take turns in short blocks, so that whatever else the machine does meets all of
them alike. Prints a table and writes tests/bench/latest.json.
"""

import argparse
import itertools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch
from rich.console import Console
from rich.table import Table

from compose.local.home import Home
from indexer import settings as server_settings
from tests.bench import catalogue, failing, scorer, shots
from tests.bench.load import Fired, Generator
from tests.bench.shots import Bench, Question

LATEST = Path(__file__).with_name("latest.json")
HITWEAVE = Path(sys.executable).with_name("hitweave")
INDEX = "bench"
BLOCK = 40
SCORED = 100
FAILING, FAILING_AT_ONCE = 200, 8
PLUGIN = "attention-fusion"
COLUMNS = ("p50_ms", "p95_ms", "p99_ms", "requests_per_second", "degraded_share")
SHORT = {"requests_per_second": "req/s", "degraded_share": "degraded"}
SHORT["p99_past_deadline_ms"] = "p99 past deadline"
RATIOS = (
    ("fused", "bare query + knn"),
    ("fused, ids only", "bare query + knn, ids only"),
    ("fused, words never asked before", "bare query + knn"),
    ("plugin", "bare query + knn"),
    ("plugin, ids only", "bare query + knn, ids only"),
)
console = Console()


def main() -> None:
    """Measure, print, write."""
    args = arguments()
    home = str(Path(args.home).resolve())
    started_here = not is_up(home)
    if started_here:
        hitweave(home, "up", "--detach")
    try:
        report = measure(args, home)
    finally:
        if started_here:
            hitweave(home, "down")
    LATEST.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    show(report)


def arguments() -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--home", default=os.environ.get("HITWEAVE_HOME", ".hitweave"))
    parser.add_argument(
        "--index", default=INDEX, help="an index that is there, or the one to build"
    )
    parser.add_argument("--items", type=int, default=100_000, help="products, where it is built")
    parser.add_argument(
        "--no-model", action="store_true", help="build without behaviour: the prior ranks"
    )
    parser.add_argument("--window", type=int, default=100)
    parser.add_argument("--size", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=10, help=f"blocks of {BLOCK} of each kind")
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--concurrency", default="1,8,32")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def measure(args: argparse.Namespace, home: str) -> dict[str, Any]:
    """The whole report."""
    addresses = json.loads((Path(home) / "stack.json").read_text("utf-8"))
    point_settings_at(home)
    with Elasticsearch(addresses["elasticsearch_url"], request_timeout=120) as es:
        if not es.indices.exists(index=args.index):
            build(home, args)
        es.indices.refresh(index=args.index)
        facts = about(es, args.index)
        titles = some_titles(es, args.index)
        has_plugin = plugin_is_there(es)
    bench = Bench(
        es_url=addresses["elasticsearch_url"],
        sidecar_url=addresses["sidecar_url"],
        index=args.index,
        window=args.window,
        size=args.size,
        field="embedding",
        num_candidates=100,
        has_plugin=has_plugin,
    )
    asked = shots.questions(bench, titles, catalogue.shoppers(), args.questions, args.seed)
    every = shots.kinds(bench, asked, fresh_questions(titles, args.seed))
    results = {
        str(concurrency): run(every, concurrency, args.rounds)
        for concurrency in map(int, args.concurrency.split(","))
    }
    return {
        **facts,
        "scorer": scorer.measure(bench, asked[:SCORED], server_settings.load().models_dir),
        "window": args.window,
        "size": args.size,
        "requests_of_each_kind": args.rounds * BLOCK,
        "load": "own process, http.client, one kept-alive connection a thread, same machine",
        "concurrency": results,
        "failing": without_a_sidecar(bench, every) if has_plugin else {},
    }


def plugin_is_there(es: Elasticsearch) -> bool:
    """Whether every node knows the retriever attention_fusion."""
    nodes = es.nodes.info(metric="plugins")["nodes"].values()
    return all(any(it["name"] == PLUGIN for it in node["plugins"]) for node in nodes)


def without_a_sidecar(bench: Bench, every: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The plugin's figures while the sidecar is down or hangs."""
    with Elasticsearch(bench.es_url, request_timeout=60) as es:
        found = failing.measure(es, every["plugin"], FAILING_AT_ONCE, FAILING)
    return {
        name: figures([fired])
        | {"p99_past_deadline_ms": round(p99_ms(fired) - failing.DEADLINE_MS, 2)}
        for name, fired in found.items()
    }


def p99_ms(fired: Fired) -> float:
    """Milliseconds that one request in a hundred takes longer than."""
    return statistics.quantiles(fired.latencies, n=100, method="inclusive")[98] * 1000


def point_settings_at(home: str) -> None:
    """What is measured in this process reads the stack's addresses."""
    os.environ.update(Home(Path(home)).environment())
    os.environ["HITWEAVE_DEADLINE_MS"] = "60000"


def run(every: dict[str, Any], concurrency: int, rounds: int) -> dict[str, dict[str, float]]:
    """Blocks of each kind in turn; the first round of each warms up and is not counted."""
    generator = Generator()
    found: dict[str, list[Fired]] = {name: [] for name in every}
    numbers = {name: itertools.count() for name in every}
    for turn in range(rounds + 1):
        for name, shot in every.items():
            block = [shot(next(numbers[name])) for _ in range(BLOCK)]
            fired = generator.run(block, concurrency)
            if turn:
                found[name].append(fired)
    generator.close()
    return {name: figures(blocks) for name, blocks in found.items()}


def figures(blocks: list[Fired]) -> dict[str, float]:
    """Percentiles in milliseconds, requests a second, and the share of degraded answers."""
    latencies = [one for block in blocks for one in block.latencies]
    seconds, degraded = sum(it.seconds for it in blocks), sum(it.degraded for it in blocks)
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    found = {f"p{cut}_ms": round(cuts[cut - 1] * 1000, 2) for cut in (50, 95, 99)}
    found["requests_per_second"] = round(len(latencies) / seconds, 1)
    return found | {"degraded_share": round(degraded / len(latencies), 3)}


def build(home: str, args: argparse.Namespace) -> None:
    """Index, behaviour and model, all through the commands that a shop would use."""
    folder = Path(home) / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    products, events = folder / "products.jsonl", folder / "purchases.ndjson"
    catalogue.write_products(products, args.items, args.seed)
    hitweave(home, "create", args.index)
    hitweave(home, "catalogue", args.index, str(products))
    if args.no_model:
        return
    catalogue.write_purchases(events, args.index, args.items)
    hitweave(home, "events", str(events))
    hitweave(home, "train", args.index, "--schedule", "quick")


def about(es: Elasticsearch, index: str) -> dict[str, Any]:
    """Machine, versions, size of the index."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": f"{os.cpu_count()} x {cpu}",
        "load_average_before": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "elasticsearch": es.info()["version"]["number"],
        "index": index,
        "items": es.count(index=index)["count"],
        "segments": len(es.cat.segments(index=index, format="json").body),
    }


def some_titles(es: Elasticsearch, index: str, count: int = 5000) -> list[str]:
    """Titles of the index to make searches of."""
    found = es.search(index=index, query={"match_all": {}}, size=count, source_includes=["title"])
    return [hit["_source"]["title"] for hit in found["hits"]["hits"]]


def fresh_questions(titles: list[str], seed: int) -> Any:
    """Words in combinations that nobody asked before, without a vector."""
    chance = random.Random(seed + 1)  # noqa: S311 - repeatable, not secret
    words = sorted({word for title in titles for word in title.split()})
    numbers = itertools.count()

    def fresh() -> Question:
        text = f"{chance.choice(words)} {chance.choice(words)} {chance.choice(words)}"
        return Question(text, [], f"nobody-{next(numbers)}")

    return fresh


def is_up(home: str) -> bool:
    """Whether this home's stack answers."""
    done = subprocess.run([str(HITWEAVE), "--home", home, "status"], capture_output=True)
    return done.returncode == 0


def hitweave(home: str, *args: str) -> None:
    """Run one command on the stack; its output goes to ours."""
    console.print(f"[bold]$ hitweave {' '.join(args)}[/bold]")
    subprocess.run([str(HITWEAVE), "--home", home, *args], check=True)


def show(report: dict[str, Any]) -> None:
    """The figures as tables, and what they come to."""
    console.print(
        f"{report['items']:,} items in {report['segments']} segments, window {report['window']}, "
        f"{report['size']} hits; {report['machine']}, load {report['load_average_before']}"
    )
    for name, figure in report["scorer"].items():
        console.print(f"scorer, {name}: {figure}")
    for concurrency, kinds in report["concurrency"].items():
        console.print(table(f"concurrency {concurrency}", COLUMNS, kinds))
        for ranked, bare in RATIOS:
            if ranked in kinds:
                ratio = kinds[ranked]["p50_ms"] / kinds[bare]["p50_ms"]
                console.print(f"{ranked} / {bare}: {ratio:.2f} at p50")
    if report["failing"]:
        title = f"plugin, the sidecar failing, concurrency {FAILING_AT_ONCE}"
        console.print(table(title, (*COLUMNS, "p99_past_deadline_ms"), report["failing"]))


def table(title: str, columns: tuple[str, ...], rows: dict[str, dict[str, float]]) -> Table:
    """Figures by name."""
    made = Table(title=title, title_justify="left")
    made.add_column("request")
    for name in columns:
        made.add_column(SHORT.get(name, name), justify="right", no_wrap=True)
    for name, figure in rows.items():
        made.add_row(name, *(f"{figure[column]:g}" for column in columns))
    return made


if __name__ == "__main__":
    main()
