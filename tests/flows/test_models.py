"""Models change under a running sidecar: no search fails, what is broken never serves."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
import urllib3
from elasticsearch import Elasticsearch

from compose.local.commands import evaluate, models
from indexer import settings
from indexer.catalogue import generation
from indexer.catalogue.generation import Generation
from reranker import settings as reader_settings
from reranker.fusion import artifact
from tests.conftest import Stack
from tests.flows.commands import config, created, feed, run, sent
from tests.reranker.artifacts import promote_untrained

TITLES = ("red desk lamp", "blue desk lamp", "green floor lamp", "red mug", "lamp shade")
SECONDS_MAX = 60.0
CLIENTS = 4
# What a busy machine may be to blame for; a model that comes or goes is not.
BUSY = ("valkey_unavailable", "deadline")


@pytest.fixture
def shop(stack: Stack, es: Elasticsearch, index_name: str, tmp_path: Path) -> Generation:
    """Five products that can be found by words and by vectors."""
    created(
        index_name, "--config", config(tmp_path, "encoder: hashed:32\nsimilarity_floor: -1.0\n")
    )
    sent(index_name, feed(tmp_path, *({"id": t.replace(" ", "-"), "title": t} for t in TITLES)))
    return generation.resolve(es, index_name)


class Searchers:
    """Clients that search without a pause; `seen` are the models, `failed` what went wrong."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._search) for _ in range(CLIENTS)]
        self.seen: list[str | None] = []
        self.failed: list[Any] = []

    def _search(self) -> None:
        body = {"query": {"match": {"title": "lamp"}}, "ext": {"hitweave": {"record": False}}}
        with urllib3.PoolManager(retries=False, timeout=30.0) as pool:
            while not self._stop.is_set():
                try:
                    answer = pool.request("POST", self._url, json=body)
                    said = answer.json()
                    degraded = said.get("hitweave", {}).get("degraded")
                    if answer.status != 200 or degraded not in (None, *BUSY):
                        self.failed.append((answer.status, degraded, said))
                    self.seen.append(said["hitweave"]["model"])
                except Exception as error:  # noqa: BLE001 - whatever went wrong, the test tells it
                    self.failed.append(error)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()


def wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS_MAX
    while not holds():
        assert time.monotonic() < until, "it did not come to it in time"
        time.sleep(0.05)


def serving(valkey: redis.Redis, index: str) -> set[str]:
    """What the sidecar's processes say that they serve; empty before all have said something."""
    told: Any = valkey.hgetall(f"hw:{index}:serving")
    every = len(told) == reader_settings.load().sidecar_processes
    return {value.split()[0].decode() for value in told.values()} if every else set()


def test_models_come_and_go_without_a_failed_search(
    stack: Stack, valkey: redis.Redis, shop: Generation
) -> None:
    models_dir, index = settings.load().models_dir, shop.index
    searchers = Searchers(f"{stack.sidecar_url}/{index}/_search")
    wait(lambda: serving(valkey, index) == {"none"})
    with searchers.at_work():
        for number, version in enumerate(("v1", "v2")):
            promote_untrained(models_dir, shop, version, seed=number)
            wait(lambda version=version: serving(valkey, index) == {version})  # type: ignore[misc]
        rolled = run(models.command, "rollback", "--index", index)
        wait(lambda: serving(valkey, index) == {"v1"})
        rolled_twice = run(models.command, "rollback", "--index", index)
        wait(lambda: serving(valkey, index) == {"none"})
    assert rolled["serving"] == "v1"
    assert rolled_twice["serving"] is None
    assert not searchers.failed
    assert set(searchers.seen) == {None, "v1", "v2"}


def test_a_broken_artifact_is_refused_and_the_old_one_serves_on(
    stack: Stack, valkey: redis.Redis, shop: Generation
) -> None:
    models_dir, index = settings.load().models_dir, shop.index
    promote_untrained(models_dir, shop, "good")
    wait(lambda: serving(valkey, index) == {"good"})
    searchers = Searchers(f"{stack.sidecar_url}/{index}/_search")
    with searchers.at_work():
        promote_untrained(models_dir / "aside", shop, "bad", seed=1)
        bad = models_dir / index / "bad"
        (models_dir / "aside" / index / "bad").rename(bad)
        (bad / artifact.MODEL).write_bytes(b"no graph")
        pointer = models_dir / index / ".pointer"
        pointer.write_text("bad")
        pointer.replace(models_dir / index / "current")
        wait(lambda: refusals(stack, index) == len(valkey.hgetall(f"hw:{index}:serving")))
        before = len(searchers.seen)
        wait(lambda: len(searchers.seen) > before + 20)
    assert serving(valkey, index) == {"good"}
    assert not searchers.failed
    assert set(searchers.seen) == {"good"}


def refusals(stack: Stack, index: str) -> int:
    """How many sidecar processes said that they refuse a model of the index."""
    log = (stack.home / "logs" / "sidecar.log").read_text()
    return sum("model_refused" in line and index in line for line in log.splitlines())


def test_baselines_are_measured_on_the_candidates_and_signals_of_the_served_model(
    stack: Stack, valkey: redis.Redis, shop: Generation, tmp_path: Path
) -> None:
    line = orjson.dumps({"weights": {"knn": 1.0}})
    backwards = {artifact.LINEAR: orjson.dumps({"weights": {"title_words": -1.0, "knn": 1e-3}})}
    judged = tmp_path / "judged.csv"
    judged.write_text("query,docid,rating\nlamp,green-floor-lamp,3\nlamp,lamp-shade,1\n")
    asked = (shop.index, "--judgements", str(judged), "--modes", "bm25,knn,fused")
    found = {}
    for version, optional in (("v1", {artifact.LINEAR: line}), ("v2", backwards)):
        models_dir = settings.load().models_dir
        promote_untrained(models_dir, shop, version, optional=optional)
        wait(lambda version=version: serving(valkey, shop.index) == {version})  # type: ignore[misc]
        found[version] = run(evaluate.command, *asked, "--run", str(tmp_path / f"{version}.txt"))
    assert list(found["v1"]["modes"]) == ["bm25", "knn", "fused", "linear"]
    assert set(found["v1"]["against"]) == {"bm25", "knn", "linear"}
    same = ("ndcg@10", "judged_ndcg@10", "mrr")
    nearest, by_cosine = (found["v1"]["modes"][mode] for mode in ("knn", "linear"))
    assert [nearest[name] for name in same] == [by_cosine[name] for name in same]
    shortest = (tmp_path / "v2.linear.txt").read_text().splitlines()[0]
    assert shortest.split()[2] in ("lamp-shade", "red-mug")
    without = run(evaluate.command, *asked, "--baselines", "none")
    assert list(without["modes"]) == ["bm25", "knn", "fused"]
