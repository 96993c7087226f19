"""Degraded beats down: each part taken away in turn, the reason in the answer."""

import dataclasses
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import numpy as np
import orjson
import pytest
import redis
import torch
from elasticsearch import Elasticsearch, helpers
from flask.testing import FlaskClient

from indexer import settings as server_settings
from indexer.catalogue import card, card_store, generation
from indexer.catalogue.generation import Generation
from indexer.catalogue.mapping import IndexConfig
from indexer.embedding.encoder import open_encoder
from indexer.embedding.recipe import Recipe
from indexer.errors import EncoderUnavailable
from reranker.app import create_app
from reranker.experiments.experiment import Experiment
from reranker.experiments.experiment_book import ExperimentBook
from reranker.fusion.registry import Registry, for_policy
from reranker.learning import policy_artifact
from reranker.learning.slate_policy import SlatePolicy
from reranker.retrieval.node import Nodes
from reranker.serving import completing
from reranker.serving.memory import Memory
from reranker.serving.models import Loaded, Models
from reranker.serving.phrasebook import Phrasebook
from reranker.serving.pins import Pins
from reranker.serving.process import Process, open_process
from reranker.serving.recorder import Recorder, Search, journalled
from reranker.serving.refill import Refill
from reranker.settings import Settings
from reranker.signals import definition, served
from reranker.signals.served import PRIOR
from tests.conftest import Stack, free_port
from tests.reranker.artifacts import promote_untrained
from tests.reranker.silent_node import SilentNode

DIMS = 32
TITLES = {
    "lamp-a": "red desk lamp",
    "lamp-b": "blue desk lamp",
    "lamp-c": "green floor lamp",
    "mug": "red mug",
}
QUERY = {"match": {"title": "desk lamp"}}


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Generation]:
    """A small index of the test encoder, with cards."""
    with Elasticsearch(stack.es_url) as es, redis.Redis.from_url(stack.valkey_url) as valkey:
        name = f"answer-{time.time_ns():x}"
        config = IndexConfig(encoder=f"hashed:{DIMS}", similarity_floor=-1.0)
        made = generation.create(es, name, config)
        vectors = open_encoder(made.recipe).encode(list(TITLES.values()), role="passage")
        helpers.bulk(es, documents(made, vectors), refresh=True)
        cards = {
            item: (1, card.pack(title=title, vector=vector, available=item != "lamp-a"))
            for (item, title), vector in zip(TITLES.items(), vectors, strict=True)
        }
        card_store.put(valkey, name, cards)
        yield made
        es.indices.delete(index=made.concrete)


def documents(made: Generation, vectors: Any) -> Iterator[dict[str, Any]]:
    for (item, title), vector in zip(TITLES.items(), vectors, strict=True):
        source = {"title": title, "embedding": vector.tolist(), "hitweave": {"id": item}}
        yield {"_index": made.concrete, "_id": item, "_source": source}


@pytest.fixture
def process(stack: Stack, tmp_path: Path) -> Iterator[Process]:
    """A sidecar's parts in this process, on the stack's servers."""
    opened = open_process(
        server_settings.load().model_copy(update={"models": tmp_path / "models"}),
        Settings(deadline_ms=20_000, model_poll_seconds=0.05),
    )
    yield opened
    opened.close()


def client(process: Process, **parts: Any) -> FlaskClient:
    return create_app(dataclasses.replace(process, **parts)).test_client()


def search(asked: FlaskClient, shop: Generation, mode: str = "fused", **body: Any) -> Any:
    ext = {"hitweave": {"mode": mode, "record": body.pop("record", False)}}
    sent = {"query": QUERY, "ext": ext, **body}
    answer = asked.post(f"/{shop.index}/_search", json=sent)
    return answer.status_code, answer.get_json()


def ids(answer: Any) -> list[str]:
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def nowhere() -> redis.Redis:
    """A Valkey that is not there."""
    return redis.Redis(port=free_port(), socket_connect_timeout=0.2)


class NoEncoder:
    """Query vectors of an encoder that this machine does not have."""

    def of(self, text: str, recipe: Recipe) -> Any:
        raise EncoderUnavailable("the model is not here")


class Fails:
    """A scorer whose runtime breaks."""

    def score(self, model_input: Any) -> Any:
        raise RuntimeError("no memory left")

    residual = score


class OneModel(Models):
    """A registry with one model."""

    def found(self, index: str, recipe_digest: str) -> tuple[Loaded | None, bool]:
        return Loaded("v1", Fails(), None, recipe_digest), True  # type: ignore[arg-type]


def test_with_all_parts_there_nothing_is_degraded(process: Process, shop: Generation) -> None:
    status, answer = search(client(process), shop)
    assert (status, answer["hitweave"]["degraded"]) == (200, None)
    # lamp-a and lamp-b match best, and lamp-a is sold out.
    assert ids(answer)[0] == "lamp-b"
    assert ids(answer)[-1] == "lamp-a"
    assert answer["hits"]["total"]["value"] == len(TITLES)


def test_without_valkey_the_legs_alone_decide(process: Process, shop: Generation) -> None:
    away = Memory(nowhere(), entries_max=10)
    asked = client(process, memory=away, pins=Pins(away, ttl_seconds=5))
    for _ in range(2):
        status, answer = search(asked, shop)
        assert (status, answer["hitweave"]["degraded"]) == (200, "valkey_unavailable")
        assert set(ids(answer)[:2]) == {"lamp-a", "lamp-b"}


def test_suggestions_say_that_they_are_without_valkey(process: Process, shop: Generation) -> None:
    path = f"/{shop.index}/_suggest?q=l"
    assert client(process).get(path).get_json()["degraded"] is None
    without = Phrasebook(Memory(nowhere(), entries_max=10))
    answer = client(process, phrases=without).get(path)
    assert answer.status_code == 200
    assert answer.get_json()["degraded"] == "valkey_unavailable"


def test_suggestions_say_that_they_are_without_the_catalogue(
    process: Process, shop: Generation
) -> None:
    path = f"/{shop.index}/_suggest?q=l"
    hurried = process.settings.model_copy(update={"deadline_ms": 100})
    with SilentNode() as silent:
        url = {"elasticsearch_url": silent.url}
        nodes = Nodes(server_settings.load().model_copy(update=url))
        asked = client(process, nodes=nodes, settings=hurried)
        assert asked.get(path).get_json()["degraded"] == "deadline"
    nodes = Nodes(server_settings.load().model_copy(update=url))  # nobody listens there any more
    assert client(process, nodes=nodes).get(path).get_json() == {
        "took": ANY,
        "degraded": "elasticsearch_unavailable",
        "suggestions": [],
        "did_you_mean": None,
    }
    with pytest.raises(completing.Incomplete, match="elasticsearch_refused"):
        completing.ask(
            process.nodes,
            "no-such-index",
            shop.config,
            "l",
            narrowing=(),
            headers={},
            timeout_seconds=10,
        )


def test_without_an_encoder_the_keywords_find(process: Process, shop: Generation) -> None:
    status, answer = search(client(process, vectors=NoEncoder()), shop)
    assert (status, answer["hitweave"]["degraded"]) == (200, "encoder_unavailable")
    assert set(ids(answer)) == {"lamp-a", "lamp-b", "lamp-c"}
    status, answer = search(client(process, vectors=NoEncoder()), shop, mode="knn")
    assert (status, answer["hitweave"]["degraded"]) == (200, "encoder_unavailable")
    assert "lamp-b" in ids(answer)


def test_a_model_that_breaks_leaves_the_prior(
    process: Process, shop: Generation, tmp_path: Path
) -> None:
    _, wanted = search(client(process), shop)
    broken = OneModel(tmp_path, poll_seconds=60)
    status, answer = search(client(process, models=broken), shop)
    assert (status, answer["hitweave"]["degraded"]) == (200, "model_failed")
    assert ids(answer) == ids(wanted)


def test_a_model_that_cannot_be_loaded_is_refused_and_named(
    process: Process, shop: Generation, tmp_path: Path
) -> None:
    folder = tmp_path / "models" / shop.index
    (folder / "v1").mkdir(parents=True)
    (folder / "v1" / "manifest.json").write_text("{}")
    (folder / "current").write_text("v1")
    process.models.look()
    status, answer = search(client(process), shop)
    assert (status, answer["hitweave"]["degraded"]) == (200, "model_unavailable")
    assert answer["hitweave"]["model"] is None
    (folder / "current").unlink()
    process.models.look()
    assert search(client(process), shop)[1]["hitweave"]["degraded"] is None


def test_a_promoted_model_takes_over_and_explains_itself(
    process: Process, shop: Generation, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    asked = client(process)
    assert search(asked, shop)[1]["hitweave"]["model"] is None
    for version in ("v1", "v2"):
        promote_untrained(folder, shop, version, seed=int(version[1:]))
        process.models.look()
        status, answer = search(asked, shop)
        assert (status, answer["hitweave"]["degraded"]) == (200, None)
        assert answer["hitweave"]["model"] == version
    (folder / shop.index / "v2" / "model.onnx").write_bytes(b"altered")
    (folder / shop.index / "current").touch()
    process.models.look()
    ext = {"hitweave": {"record": False, "explain": True}}
    answer = asked.post(f"/{shop.index}/_search", json={"query": QUERY, "ext": ext}).get_json()
    assert answer["hitweave"]["model"] == "v2"  # the one in memory goes on
    for hit in answer["hits"]["hits"]:
        prior, residual, *_moved = hit["_explanation"]["details"]
        assert residual["value"] != 0
        assert "Shapley" in residual["description"]
        assert prior["description"] == "prior, sum of:"
        adds_up(hit["_explanation"])
        assert hit["_explanation"]["value"] == hit["_score"]
        told = answer["hitweave"]["explained"][hit["_id"]]
        assert told["sentence"]
        assert sum(told["attention"]["tokens"].values()) == pytest.approx(1.0, abs=1e-4)


def adds_up(explanation: Mapping[str, Any]) -> None:
    """Every level is the sum of the one below."""
    details = explanation["details"]
    if details:
        found = sum(detail["value"] for detail in details)
        assert found == pytest.approx(explanation["value"], rel=1e-6, abs=1e-9)
    for detail in details:
        adds_up(detail)


class SlowProxy:
    """Hands bytes on to the node, its answers late."""

    def __init__(self, url: str, delay_seconds: float) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._to = (host, int(port))
        self._delay_seconds = delay_seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._to)
            threading.Thread(target=_copy, args=(near, far, 0.0), daemon=True).start()
            late = self._delay_seconds
            threading.Thread(target=_copy, args=(far, near, late), daemon=True).start()

    def close(self) -> None:
        self._listener.close()


def _copy(source: socket.socket, sink: socket.socket, delay_seconds: float) -> None:
    try:
        while read := source.recv(65536):
            time.sleep(delay_seconds)
            sink.sendall(read)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_node_that_answers_late_is_waited_for_without_ranking(
    stack: Stack, process: Process, shop: Generation
) -> None:
    proxy = SlowProxy(stack.es_url, delay_seconds=0.5)
    slow = Nodes(server_settings.load().model_copy(update={"elasticsearch_url": proxy.url}))
    hurried = process.settings.model_copy(update={"deadline_ms": 200})
    search(client(process), shop)  # the generation is known
    status, answer = search(client(process, nodes=slow, settings=hurried), shop)
    proxy.close()
    assert (status, answer["hitweave"]["degraded"]) == (200, "deadline")
    with Elasticsearch(stack.es_url) as es:
        assert ids(answer) == ids(es.search(index=shop.index, query=QUERY))


def test_a_node_that_says_nothing_is_waited_for_so_long_and_no_longer(
    process: Process, shop: Generation
) -> None:
    search(client(process), shop)  # the generation is known
    hurried = process.settings.model_copy(update={"deadline_ms": 100, "late_ms": 100})
    with SilentNode() as silent:
        url = {"elasticsearch_url": silent.url}
        nodes = Nodes(server_settings.load().model_copy(update=url))
        asked = client(process, nodes=nodes, settings=hurried)
        for mode in ("fused", "rrf", "bm25"):
            began = time.monotonic()
            status, answer = search(asked, shop, mode)
            assert time.monotonic() - began < 10  # its own patience is 30 s
            assert (status, answer["status"]) == (503, 503)
            assert answer["error"]["type"] == "no_node_available_exception"
            assert f"{silent.url} does not answer in time" in answer["error"]["reason"]


def test_a_client_that_names_a_longer_time_has_it(
    stack: Stack, process: Process, shop: Generation
) -> None:
    search(client(process), shop)  # the generation is known
    hurried = process.settings.model_copy(update={"deadline_ms": 100, "late_ms": 0})
    proxy = SlowProxy(stack.es_url, delay_seconds=0.3)
    slow = Nodes(server_settings.load().model_copy(update={"elasticsearch_url": proxy.url}))
    asked = client(process, nodes=slow, settings=hurried)
    assert search(asked, shop)[0] == 503
    status, answer = search(asked, shop, timeout="20s")
    proxy.close()
    assert (status, answer["hitweave"]["degraded"]) == (200, "deadline")


def test_without_elasticsearch_the_error_has_its_shape(process: Process, shop: Generation) -> None:
    search(client(process), shop)
    url = f"http://127.0.0.1:{free_port()}"
    away = Nodes(server_settings.load().model_copy(update={"elasticsearch_url": url}))
    status, answer = search(client(process, nodes=away), shop)
    assert (status, answer["status"]) == (503, 503)
    assert answer["error"]["type"] == "no_node_available_exception"
    assert url in answer["error"]["reason"]


def test_documents_that_somebody_else_wrote_are_found_too(
    process: Process, es: Elasticsearch, shop: Generation
) -> None:
    source = {"title": "desk lamp desk lamp", "embedding": [1.0] + [0.0] * (DIMS - 1)}
    es.index(index=f"{shop.index}-write", id="foreign", document=source, refresh=True)
    try:
        for _ in range(2):
            status, answer = search(client(process), shop)
            assert status == 200
            assert "foreign" in ids(answer)
    finally:
        es.delete(index=f"{shop.index}-write", id="foreign", refresh=True)


@pytest.fixture
def recorded() -> Iterator[tuple[Recorder[Search], list[tuple[str, Sequence[Search]]]]]:
    """A recorder, and the batches it hands on."""
    taken: list[tuple[str, Sequence[Search]]] = []
    recorder: Recorder[Search] = Recorder(
        lambda *batch: taken.append(batch), queue_max=10, batch_max=10
    )
    yield recorder, taken
    recorder.close()


def test_a_search_is_recorded_with_the_ids_it_showed(
    process: Process, shop: Generation, recorded: Any
) -> None:
    recorder, taken = recorded
    asked = client(process, recorder=recorder)
    _, silent = search(asked, shop, record=False)
    _, answer = search(asked, shop, record=True, size=2)
    recorder.close()
    ((index, searches),) = taken
    assert index == shop.index
    documents = [search.document for search in searches]
    assert [d["query_id"] for d in documents] == [answer["ext"]["ubi"]["query_id"]]
    assert documents[0]["query_response_hit_ids"] == ids(answer)
    assert documents[0]["user_query"] == "desk lamp"
    assert silent["ext"]["ubi"]["query_id"] != answer["ext"]["ubi"]["query_id"]


class Watches(OneModel):
    """The untrained prior, with what every model would have been given."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, poll_seconds=60)
        self.seen: list[Any] = []

    def found(self, index: str, recipe_digest: str) -> tuple[Loaded | None, bool]:
        return Loaded("v7", self, None, recipe_digest), True  # type: ignore[arg-type]

    def score(self, model_input: Any) -> Any:
        self.seen.append(model_input)
        raise RuntimeError("only looked")


def test_a_search_is_recorded_with_the_signals_that_ranked_it(
    process: Process, shop: Generation, recorded: Any, tmp_path: Path
) -> None:
    recorder, taken = recorded
    watch = Watches(tmp_path)
    asked = client(process, recorder=recorder, models=watch)
    _, answer = search(asked, shop, record=True, size=3)
    recorder.close()
    ((_, (only,)),) = taken
    assert only.served is not None
    assert (only.served.model, only.served.signals.dtype) == (PRIOR, np.float16)
    (seen,) = watch.seen
    all_of_them = [tuple(row) for row in seen["signals"].astype(np.float16).tolist()]
    shown = [tuple(row) for row in only.served.signals.tolist()]
    assert len(shown) == len(ids(answer)) == 3
    assert set(shown) <= set(all_of_them)
    available = definition.INDEX["available"]
    covered = definition.INDEX["query_covered"]
    assert [row[covered] for row in shown[:2]] == [1.0, 0.5]  # lamp-b, then lamp-c: in its order
    assert [row[available] for row in shown] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "how",
    [{"mode": "rrf"}, {"mode": "bm25"}, {"mode": "knn"}, {"signals": 0}],
    ids=["rrf", "bm25", "knn", "switched off"],
)
def test_what_no_model_looked_at_is_recorded_without_signals(
    process: Process, shop: Generation, recorded: Any, how: dict[str, Any]
) -> None:
    recorder, taken = recorded
    if "signals" in how:
        changed = process.settings.model_copy(update={"record_signals": how.pop("signals")})
        process = dataclasses.replace(process, settings=changed)
    search(client(process, recorder=recorder), shop, record=True, **how)
    recorder.close()
    ((_, (only,)),) = taken
    assert only.served is None
    assert "served" not in journalled(only, "key", time.time())


def test_a_page_of_a_kept_order_brings_no_signals_of_another_moment(
    process: Process, shop: Generation, recorded: Any
) -> None:
    recorder, taken = recorded
    asked = client(process, recorder=recorder)
    for start in (0, 2):
        search(asked, shop, record=True, size=2, **{"from": start})
    recorder.close()
    first, second = (one for _, batch in taken for one in batch)
    assert (first.document["query_attributes"], second.document["query_attributes"]) == (
        {"from": 0},
        {"from": 2},
    )
    assert first.served is not None
    assert second.served is None


def test_signals_survive_the_way_to_the_journal(
    process: Process, shop: Generation, recorded: Any
) -> None:
    recorder, taken = recorded
    search(client(process, recorder=recorder), shop, record=True)
    recorder.close()
    ((_, (only,)),) = taken
    document = orjson.loads(orjson.dumps(journalled(only, "key", time.time())))
    found = served.decode(document["served"])
    assert found is not None
    np.testing.assert_array_equal(found.signals, only.served.signals)
    assert found.seen.all()


class Runs(ExperimentBook):
    """One experiment that runs."""

    def __init__(self, shop: Generation, **definition: Any) -> None:
        document = {"name": "try", "index": shop.index, **definition}
        self._running = {(shop.index, "try"): Experiment.model_validate(document)}
        self._open = {shop.index: self._running[shop.index, "try"]}


def asked_by(asked: FlaskClient, shop: Generation, user: str, **body: Any) -> Any:
    ext = {"ubi": {"user_id": user}, "hitweave": body.pop("hitweave", {})}
    return asked.post(
        f"/{shop.index}/_search", json={"query": QUERY, "ext": ext, **body}
    ).get_json()


def test_the_record_of_a_search_says_what_it_was_exposed_to(
    process: Process, shop: Generation, recorded: Any
) -> None:
    recorder, taken = recorded
    runs = Runs(shop, arms=[{"name": "a", "mode": "rrf"}, {"name": "b", "mode": "bm25"}])
    asked = client(process, recorder=recorder, experiments=runs)
    answers = [asked_by(asked, shop, f"u{number}") for number in range(8)]
    forged = {"experiment": {"name": "other", "arm": "x"}}
    body = {"query": QUERY, "ext": {"ubi": {"query_attributes": forged}}}
    asked.post(f"/{shop.index}/_search", json=body)
    recorder.close()
    told = [it["hitweave"]["experiment"] for it in answers]
    assert {it["arm"] for it in told} == {"a", "b"}
    attributes = [it.document["query_attributes"] for _, batch in taken for it in batch]
    kept = [{**it["experiment"]} for it in attributes[:-1]]
    assert all(it.pop("took_ms") > 0 for it in kept)
    assert kept == told
    assert attributes[-1] == {"from": 0}


def test_what_is_late_or_without_a_part_stays_in_its_arm(
    process: Process, shop: Generation, recorded: Any
) -> None:
    """Leaving out the slow ones of one arm would make the arms differ."""
    recorder, taken = recorded
    runs = Runs(shop, kind="interleave", arms=[{"name": "a"}, {"name": "b", "mode": "knn"}])
    asked = client(process, recorder=recorder, experiments=runs, vectors=NoEncoder())
    answer = asked_by(asked, shop, "u")
    recorder.close()
    assert answer["hitweave"]["degraded"] == "encoder_unavailable"
    ((_, (only,)),) = taken
    told = only.document["query_attributes"]["experiment"]
    assert (told["name"], told["degraded"]) == ("try", "encoder_unavailable")


def test_two_models_can_be_arms_or_share_a_list(
    process: Process, shop: Generation, tmp_path: Path
) -> None:
    arms = [{"name": "one", "model": "v1"}, {"name": "two", "model": "v2"}]
    runs = Runs(shop, arms=arms)
    folder = tmp_path / "models"
    for version in ("v1", "v2", "v3"):
        promote_untrained(folder, shop, version, seed=int(version[1:]))
    models = Models(folder, poll_seconds=60, beside=runs.models)
    models.look()
    quiet = {"record": False, "experiment": "try"}
    asked = client(process, models=models, experiments=runs)
    answers = [asked_by(asked, shop, f"u{n}", hitweave=quiet)["hitweave"] for n in range(12)]
    assert {(it["experiment"]["arm"], it["model"]) for it in answers} == {
        ("one", "v1"),
        ("two", "v2"),
    }
    assert search(asked, shop)[1]["hitweave"]["model"] == "v3"
    both = Runs(shop, arms=arms, kind="interleave")
    told = asked_by(client(process, models=models, experiments=both), shop, "u", hitweave=quiet)
    assert told["hitweave"]["degraded"] is None
    assert set(told["hitweave"]["experiment"]["teams"]) == {"one", "two"}
    gone = Runs(shop, arms=[{"name": "x", "model": "v9"}, {"name": "y", "model": "v9"}])
    late = asked_by(client(process, models=models, experiments=gone), shop, "u", hitweave=quiet)
    assert late["hitweave"]["degraded"] == "model_unavailable"


def tries(process: Process, asked: FlaskClient, shop: Generation, **body: Any) -> Any:
    """The answer to the first search id that explores."""
    for number in range(60):
        ext = {"ubi": {"query_id": f"try-{number}", "user_id": "u"}, "hitweave": {}}
        sent = {"query": QUERY, "ext": ext, **body}
        answer = asked.post(f"/{shop.index}/_search", json=sent).get_json()
        if answer["hitweave"]["exploration"]["explored"]:
            return answer
    raise AssertionError("half of the traffic should explore")


def exploring(process: Process) -> Process:
    changed = process.settings.model_copy(update={"exploration_share": 0.5})
    return dataclasses.replace(process, settings=changed)


def test_what_is_tried_is_recorded_with_its_chances_and_kept_for_later_pages(
    process: Process, shop: Generation, recorded: Any
) -> None:
    recorder, taken = recorded
    asked = client(exploring(process), recorder=recorder)
    first = tries(process, asked, shop, size=2)
    query_id = first["ext"]["ubi"]["query_id"]
    ext = {"ubi": {"query_id": query_id, "user_id": "u"}, "hitweave": {}}
    sent = {"query": QUERY, "ext": ext, "from": 2, "size": 2}
    second = asked.post(f"/{shop.index}/_search", json=sent).get_json()
    explained = {"query": QUERY, "ext": {**ext, "hitweave": {"explain": True}}}
    whole = asked.post(f"/{shop.index}/_search", json=explained).get_json()
    recorder.close()
    assert ids(whole) == [*ids(first), *ids(second)]
    assert set(ids(whole)) == set(TITLES)
    assert ids(whole)[-1] == "lamp-a"  # what is sold out is last, whatever is tried
    for hit in whole["hits"]["hits"]:
        adds_up(hit["_explanation"])
        assert hit["_explanation"]["value"] == hit["_score"]
    said = [it["hitweave"]["exploration"] for it in (first, second)]
    kept = [it.document for _, batch in taken for it in batch]
    kept = [it["query_attributes"] for it in kept if it["query_id"] == query_id][:2]
    for start, told, attributes in zip((0, 2), said, kept, strict=True):
        assert attributes["from"] == start
        assert attributes["exploration"].items() >= told.items()
        assert all(0 < chance <= 1 for chance in told["propensities"])
    # The first page says what stood behind it too, so that another order can be judged.
    beside = kept[0]["exploration"]
    assert beside["further"] == ids(second)
    assert len(beside["scores"]) == len(TITLES)
    searches = [it for _, batch in taken for it in batch if it.document["query_id"] == query_id]
    assert searches[0].served is not None
    assert len(searches[0].served.signals) == len(TITLES)
    assert "further" not in kept[1]["exploration"]


def test_a_degraded_answer_tries_nothing(process: Process, shop: Generation) -> None:
    asked = client(exploring(process), vectors=NoEncoder())
    for _ in range(5):
        answer = search(asked, shop, record=True)[1]["hitweave"]
        assert answer["degraded"] == "encoder_unavailable"
        assert "exploration" not in answer
    plain = client(process)
    assert "exploration" not in search(plain, shop, record=True)[1]["hitweave"]


def test_a_promoted_slate_policy_serves_only_where_a_setting_says_so(
    process: Process, shop: Generation, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "models", for_policy(shop.index))
    torch.manual_seed(1)
    policy = SlatePolicy(len(definition.SIGNALS))
    torch.nn.init.normal_(policy.outer.weight)
    varied = np.random.default_rng(1).normal(size=(3, 9, len(definition.SIGNALS)))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    signals = varied.astype(np.float32)
    written = policy_artifact.write(registry, shop, policy, signals, {}, now)
    registry.promote(written.version)
    process.models.look()
    asks = {"query": QUERY, "ext": {"hitweave": {"record": False, "explain": True}}}
    allowed = process.settings.model_copy(update={"slate_policy": True})
    on, off = client(process, settings=allowed), client(process)

    def parts(asked: FlaskClient) -> set[str]:
        answer = asked.post(f"/{shop.index}/_search", json=asks).get_json()
        for hit in answer["hits"]["hits"]:
            adds_up(hit["_explanation"])
            assert hit["_explanation"]["value"] == hit["_score"]
        details = [
            part for hit in answer["hits"]["hits"] for part in hit["_explanation"]["details"]
        ]
        return {part["description"] for part in details if part["value"] != 0}

    named = f"slate policy {written.version}"
    assert named in parts(on)
    assert named not in parts(off)
    registry.rollback()
    process.models.look()
    assert named not in parts(on)


def test_a_slate_policy_that_breaks_leaves_the_order_without_it_and_is_named(
    process: Process, shop: Generation, tmp_path: Path
) -> None:
    class OnePolicy(OneModel):
        """A registry with a policy and no model."""

        def found(self, index: str, recipe_digest: str) -> tuple[Loaded | None, bool]:
            there = index == for_policy(shop.index)
            return super().found(index, recipe_digest) if there else (None, False)

    _, wanted = search(client(process), shop)
    broken = OnePolicy(tmp_path, poll_seconds=60)
    allowed = process.settings.model_copy(update={"slate_policy": True})
    status, answer = search(client(process, models=broken, settings=allowed), shop)
    assert (status, answer["hitweave"]["degraded"]) == (200, "policy_failed")
    assert ids(answer) == ids(wanted)
    away = Memory(nowhere(), entries_max=10)
    parts = {"models": broken, "settings": allowed, "memory": away}
    _, answer = search(client(process, **parts, pins=Pins(away, ttl_seconds=5)), shop)
    assert answer["hitweave"]["degraded"] == "valkey_unavailable"
    _, answer = search(client(process, models=broken), shop)
    assert answer["hitweave"]["degraded"] is None


def test_what_cannot_be_recorded_is_dropped_and_counted(shop: Generation) -> None:
    from reranker.serving import metrics

    def refuse(index: str, batch: Sequence[Search]) -> None:
        raise ConnectionError("the broker is away")

    def dropped(reason: str) -> float:
        return metrics.RECORDS_DROPPED.labels(reason)._value.get()  # type: ignore[no-any-return]

    full, failed = dropped("queue_full"), dropped("inbox_failed")
    recorder = Recorder(refuse, queue_max=2, batch_max=10)
    for _ in range(3):
        recorder.record(shop.index, Search({"query_id": "q"}))
    recorder.close()
    assert dropped("queue_full") == full + 1
    assert dropped("inbox_failed") == failed + 2


def test_a_missing_card_is_asked_for_once_in_a_while(
    process: Process, valkey: redis.Redis, shop: Generation
) -> None:
    taken: list[tuple[str, Sequence[str]]] = []
    now = [0.0]
    recorder: Recorder[str] = Recorder(
        lambda index, batch: taken.append((index, batch)), queue_max=10, batch_max=10
    )
    refill = Refill(recorder, clock=lambda: now[0])
    key, revision = card_store.key(shop.index, "mug"), card_store.revision_key(shop.index)
    kept = valkey.getdel(key)
    valkey.incr(revision)
    try:
        asked = client(process, refill=refill)
        assert "mug" in ids(search(asked, shop)[1])  # it is ranked by what is known of it
        search(asked, shop)
        now[0] = 61.0
        search(asked, shop)
    finally:
        valkey.set(key, kept)
        valkey.incr(revision)
        refill.close()
    assert [(index, item) for index, batch in taken for item in batch] == [
        (shop.index, "mug"),
        (shop.index, "mug"),
    ]


def test_alias_and_generation_name_are_the_same_index(process: Process, shop: Generation) -> None:
    asked = client(process)
    one = asked.post(f"/{shop.index}/_search", json={"query": QUERY}).get_json()
    other = asked.post(f"/{shop.concrete}/_search", json={"query": QUERY}).get_json()
    assert ids(one) == ids(other)


def test_filters_of_an_alias_hold(process: Process, es: Elasticsearch, shop: Generation) -> None:
    only_mugs = f"{shop.index}-mugs"
    es.indices.put_alias(index=shop.concrete, name=only_mugs, filter={"match": {"title": "mug"}})
    answer = client(process).post(f"/{only_mugs}/_search", json={"query": QUERY}).get_json()
    assert ids(answer) == ["mug"]


def test_nothing_is_answered_with_a_page_of_html(process: Process) -> None:
    asked = client(process)
    for answer in (
        asked.post("/rerank", data=b"\xff"),
        asked.put("/x/_doc/1", json={}),
        asked.get("/health/nothing/here"),
        asked.post("/embed", json=[]),
    ):
        assert answer.status_code >= 400
        assert answer.get_json()["error"]["reason"]
