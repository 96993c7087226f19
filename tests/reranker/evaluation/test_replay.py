import socket

import pytest

from indexer.errors import AnsweredWrongly, AskedWrongly, SidecarUnavailable, UnknownIndex
from reranker.evaluation.replay import Answer, Asking, Search, Sidecar, degraded_reasons, latency_ms

from .conftest import ScriptedSidecar


def test_a_search_is_asked_as_the_benchmark_asks_it(sidecar: ScriptedSidecar) -> None:
    with Sidecar(Asking(sidecar.url, "shop", size=50, window=200)) as client:
        client.ask(Search("bag", "7"), "fused")
    asked = sidecar.requests[0]
    assert asked["path"] == "/shop/_search"
    assert asked["query"] == {"match": {"title": "bag"}}
    assert (asked["size"], asked["_source"]) == (50, False)
    assert asked["ext"] == {
        "ubi": {"user_query": "bag", "user_id": "7"},
        "hitweave": {"mode": "fused", "record": False, "rank_window_size": 200},
    }


def test_several_fields_are_asked_as_one_multi_match(sidecar: ScriptedSidecar) -> None:
    with Sidecar(Asking(sidecar.url, "shop", fields=("title^3", "brand"))) as client:
        client.ask(Search("bag"), "bm25")
    asked = sidecar.requests[0]
    assert asked["query"] == {"multi_match": {"query": "bag", "fields": ["title^3", "brand"]}}
    assert "user_id" not in asked["ext"]["ubi"]


def test_answers_come_in_the_order_of_the_searches(sidecar: ScriptedSidecar) -> None:
    queries = [f"q{n}" for n in range(40)]
    sidecar.lists = {"knn": {query: [query.upper()] for query in queries}}
    heard: list[None] = []
    with Sidecar(Asking(sidecar.url, "shop", concurrency=4)) as client:
        answers = client.replay(
            [Search(query) for query in queries], "knn", lambda: heard.append(None)
        )
    assert [it.ids for it in answers] == [(query.upper(),) for query in queries]
    assert len(heard) == len(queries)


def test_connections_are_kept(sidecar: ScriptedSidecar) -> None:
    with Sidecar(Asking(sidecar.url, "shop", concurrency=3)) as client:
        client.replay([Search(str(n)) for n in range(30)], "rrf")
    assert len(sidecar.connections) <= 3


def test_degraded_answers_are_counted_by_reason(sidecar: ScriptedSidecar) -> None:
    sidecar.degraded = "no_shopper"
    with Sidecar(Asking(sidecar.url, "shop")) as client:
        answers = client.replay([Search("a"), Search("b")], "fused")
    assert degraded_reasons([*answers, Answer((), 0.0)]) == {"no_shopper": 2}


def test_authorization_is_passed_on(sidecar: ScriptedSidecar) -> None:
    with Sidecar(Asking(sidecar.url, "shop", authorization="ApiKey abc")) as client:
        client.items()
    assert sidecar.requests[0]["headers"]["Authorization"] == "ApiKey abc"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, UnknownIndex), (400, AskedWrongly), (503, SidecarUnavailable), (500, AnsweredWrongly)],
)
def test_a_status_becomes_the_error_it_means(
    sidecar: ScriptedSidecar, status: int, kind: type[Exception]
) -> None:
    sidecar.failure = (status, "why it failed")
    with (
        Sidecar(Asking(sidecar.url, "shop")) as client,
        pytest.raises(kind, match="why it failed"),
    ):
        client.replay([Search("a")] * 5, "fused")


def test_an_answer_without_hits_is_refused(sidecar: ScriptedSidecar) -> None:
    sidecar.failure = (200, '{"hello": "world"}')
    with (
        Sidecar(Asking(sidecar.url, "shop")) as client,
        pytest.raises(AnsweredWrongly, match="is it a Hitweave sidecar"),
    ):
        client.ask(Search("a"), "bm25")


def test_a_sidecar_that_is_not_there_is_said_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with (
            Sidecar(Asking(url, "shop")) as client,
            pytest.raises(SidecarUnavailable, match="does not answer"),
        ):
            client.ask(Search("a"), "bm25")


def test_latency_percentiles_are_of_all_searches() -> None:
    answers = [Answer((), (n + 1) / 1000) for n in range(100)]
    assert latency_ms(answers) == {"p50": 51.0, "p95": 96.0, "p99": 100.0}
    assert latency_ms([]) == {}
