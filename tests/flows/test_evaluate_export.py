"""Measuring and exporting a small shop, through the real sidecar, Elasticsearch and Valkey."""

import json
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow.parquet as pq
import pytest
import redis
from click.testing import CliRunner
from elasticsearch import Elasticsearch

from compose.local.commands import evaluate, export
from indexer.errors import UnknownIndex
from reranker.evaluation import catalogue_facts, frames
from tests.conftest import Stack

DIMS = 64
TITLES = ("red lunch bag", "blue lunch bag", "jumbo bag", "tea cup", "tea towel", "green cup")
PRODUCTS: list[dict[str, Any]] = [
    {"id": f"p{n}", "title": title, "price": 1.5 + n, "categories": ["home"], "colour": title[0]}
    for n, title in enumerate(TITLES)
]
BOUGHT = ["p0", "p0", "p3", "p4", "p0"]


def lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def run_here(command: click.Command, *words: str) -> Any:
    """Run a command in this process, which reads the stack's addresses; its JSON result."""
    result = CliRunner().invoke(command, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def shop(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Six products and five purchases."""
    folder, index = tmp_path_factory.mktemp("shop"), f"t{uuid.uuid4().hex[:12]}"
    config = folder / "index.yaml"
    config.write_text(f"encoder: hashed:{DIMS}\n")
    stack.run("create", index, "--config", str(config))
    stack.run("catalogue", index, lines(folder / "products.jsonl", PRODUCTS))
    events = [
        {
            "application": index,
            "action_name": "purchase",
            "user_id": f"u{n % 2}",
            "timestamp": f"2026-01-0{n + 1}T10:00:00.000Z",
            "event_attributes": {"object": {"object_id": item}, "quantity": n + 1},
        }
        for n, item in enumerate(BOUGHT)
    ]
    stack.run("events", lines(folder / "events.ndjson", events))
    return index


def test_judgements_are_measured_through_the_serving_path(
    stack: Stack, shop: str, tmp_path: Path
) -> None:
    judged = tmp_path / "judged.csv"
    judged.write_text("query,docid,rating\nlunch bag,p0,2\nlunch bag,p1,1\ntea cup,p3,3\n")
    said: Any = stack.run_json(
        "evaluate", shop, "--judgements", str(judged), "--report", str(tmp_path / "report")
    )
    assert said["queries"] == 2
    bm25 = said["modes"]["bm25"]
    assert (bm25["mrr"], bm25["recall@10"], bm25["degraded"]) == (1.0, 1.0, 0)
    assert set(said["modes"]) == {"bm25", "knn", "rrf", "fused"}
    for measured in said["modes"].values():
        assert 0 < measured["coverage@10"] <= 1
        assert measured["novelty@10"] > 0
        assert 0 < measured["diversity@10"] < 2
    assert "<svg" in (tmp_path / "report" / "report.html").read_text()


def test_cases_tell_new_items_by_the_journal_before_them(
    stack: Stack, shop: str, tmp_path: Path
) -> None:
    rows = [
        {"user_id": "u0", "queries": ["lunch bag"], "target": "p0", "bought_before": True},
        {"user_id": "u0", "queries": ["tea towel"], "target": "p4", "bought_before": False},
        {"user_id": "u1", "queries": ["green cup"], "target": "p5", "bought_before": False},
    ]
    cases = lines(
        tmp_path / "cases.jsonl", [{**row, "as_of": "2026-01-03T12:00:00.000Z"} for row in rows]
    )
    said = run_here(evaluate.command, shop, "--cases", cases, "--modes", "bm25,rrf")
    assert said["cases"] == 3
    bm25 = said["modes"]["bm25"]
    assert bm25["new_to_shopper"]["cases"] == 2
    assert bm25["segments"]["new_items"]["cases"] == 2  # p4 was bought only after as_of
    assert bm25["hit@10"] == 1.0


def test_the_title_is_searched_under_the_name_that_the_index_gives_it(
    stack: Stack, index_name: str, tmp_path: Path
) -> None:
    config = tmp_path / "index.yaml"
    config.write_text(f"encoder: hashed:{DIMS}\nfields: {{title: headline}}\n")
    stack.run("create", index_name, "--config", str(config))
    articles = [{"id": f"a{n}", "headline": title} for n, title in enumerate(TITLES)]
    stack.run("catalogue", index_name, lines(tmp_path / "articles.jsonl", articles))
    judged = tmp_path / "judged.csv"
    judged.write_text("query,docid,rating\njumbo bag,a2,1\n")
    said = run_here(evaluate.command, index_name, "--judgements", str(judged), "--modes", "bm25")
    assert said["modes"]["bm25"]["mrr"] == 1.0


def test_what_an_index_chose_to_search_is_what_is_measured(
    stack: Stack, index_name: str, tmp_path: Path
) -> None:
    config = tmp_path / "index.yaml"
    chosen = "search_fields: [code^8, title]\nmappings: {code: {type: keyword}}\n"
    config.write_text(f"encoder: hashed:{DIMS}\n{chosen}")
    stack.run("create", index_name, "--config", str(config))
    coded = [{"id": f"a{n}", "title": title, "code": f"C{n}"} for n, title in enumerate(TITLES)]
    stack.run("catalogue", index_name, lines(tmp_path / "coded.jsonl", coded))
    judged = tmp_path / "judged.csv"
    judged.write_text("query,docid,rating\nC2,a2,1\n")
    command = [index_name, "--judgements", str(judged), "--modes", "bm25"]
    assert run_here(evaluate.command, *command)["modes"]["bm25"]["mrr"] == 1.0
    said = run_here(evaluate.command, *command, "--field", "title")
    assert said["modes"]["bm25"]["mrr"] == 0.0


def test_measuring_leaves_no_trace_in_the_journal(es: Elasticsearch, shop: str) -> None:
    es.indices.refresh(index="ubi_queries")
    recorded = es.count(index="ubi_queries", query={"term": {"hitweave.index": shop}})["count"]
    assert recorded == 0


def test_an_index_that_is_not_there_is_said_so(stack: Stack, tmp_path: Path) -> None:
    judged = tmp_path / "judged.csv"
    judged.write_text("query,docid,rating\nbag,p0,1\n")
    with pytest.raises(UnknownIndex, match="nosuch"):
        run_here(evaluate.command, "nosuch", "--judgements", str(judged))
    with pytest.raises(UnknownIndex, match="nosuch"):
        run_here(export.command, "nosuch", str(tmp_path / "x.parquet"))


def test_the_catalogue_becomes_a_parquet_file_with_everything_in_it(
    stack: Stack, shop: str, valkey: redis.Redis, tmp_path: Path
) -> None:
    path = tmp_path / "out" / "catalogue.parquet"
    said = run_here(export.command, shop, str(path), "--vectors")
    rows = {row["id"]: row for row in pq.read_table(path).to_pylist()}
    assert said["rows"] == len(rows) == len(PRODUCTS)
    for product in PRODUCTS:
        row = rows[product["id"]]
        assert {name: row[name] for name in ("title", "price", "categories")} == {
            name: product[name] for name in ("title", "price", "categories")
        }
        assert json.loads(row["other"]) == {"colour": product["colour"]}
    cards = catalogue_facts.vectors(valkey, shop, ["p0", "absent"])
    assert list(cards) == ["p0"]
    np.testing.assert_allclose(rows["p0"]["vector"], cards["p0"], atol=0.01)
    assert [it.name for it in path.parent.iterdir()] == ["catalogue.parquet"]


def test_events_become_a_parquet_file_and_keep_their_free_parts(
    stack: Stack, shop: str, tmp_path: Path
) -> None:
    path = tmp_path / "events.parquet"
    until = "2026-01-04T00:00:00Z"
    run_here(export.command, shop, str(path), "--what", "events", "--until", until)
    rows = sorted(pq.read_table(path).to_pylist(), key=lambda row: row["timestamp"])
    assert [row["object_id"] for row in rows] == BOUGHT[:3]
    assert json.loads(rows[2]["event_attributes"]) == {"quantity": 3}
    assert all(row["user_id"] not in {"u0", "u1", None} for row in rows)


def test_eland_and_the_parquet_file_say_the_same(
    stack: Stack, shop: str, es: Elasticsearch, tmp_path: Path
) -> None:
    path = tmp_path / "catalogue.parquet"
    run_here(export.command, shop, str(path))
    exported = pq.read_table(path).to_pandas()
    frame = frames.catalogue(es, shop)
    assert frame.shape[0] == len(exported)
    assert frame["price"].mean() == pytest.approx(exported["price"].mean())
    dear = frame[frame["price"] > 4].to_pandas()
    assert set(dear.index) == set(exported[exported["price"] > 4]["id"])
    bags = frame.es_match("bag", columns=["title"]).to_pandas()
    assert set(bags.index) == {"p0", "p1", "p2"}
    counted = frames.events(es, shop)["event_attributes.object.object_id"].value_counts()
    assert counted.to_dict() == dict(Counter(BOUGHT))
