"""What a process does once before it takes requests."""

import dataclasses

import pytest

from indexer import settings as server_settings
from indexer.catalogue.generation import Generation
from reranker import answer, recommending, rehearsal
from reranker.recommend.wish import Wish
from reranker.retrieval.node import Nodes
from reranker.serving.process import Process
from tests.conftest import free_port
from tests.reranker.test_answer import TITLES, process, shop

__all__ = ["process", "shop"]


def test_each_index_is_ranked_and_recommended_from_and_nothing_is_recorded(
    process: Process, shop: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranked, wished = {}, []
    rank, recommend = answer.rank, recommending.recommend

    def ranking(process: Process, call: answer.Call) -> answer.Ranking:
        found = ranked[call.generation.index] = rank(process, call)
        return found

    def recommended(*asked: object) -> recommending.Advice:
        wished.append(asked[1])
        return recommend(*asked)  # type: ignore[arg-type]

    recorded: list[object] = []
    monkeypatch.setattr(answer, "rank", ranking)
    monkeypatch.setattr(recommending, "recommend", recommended)
    monkeypatch.setattr(process.recorder, "record", lambda *_: recorded.append(_))
    monkeypatch.setattr(process.drift, "sample", lambda *_: recorded.append(_))
    rehearsal.rehearse(process)
    mine = [wish for wish in wished if isinstance(wish, Wish) and wish.generation == shop]
    assert ranked[shop.index].degraded is None
    assert set(ranked[shop.index].placed.ids) == set(TITLES)
    assert [len(wish.seeds) for wish in mine] == [1, 0]
    assert not recorded


def test_a_cluster_that_is_away_keeps_no_process_from_starting(
    process: Process, shop: Generation
) -> None:
    assert process.generations.find(shop.index) is not None
    url = f"http://127.0.0.1:{free_port()}"
    away = Nodes(server_settings.load().model_copy(update={"elasticsearch_url": url}))
    rehearsal.rehearse(dataclasses.replace(process, nodes=away))
