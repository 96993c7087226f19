"""What the diversity dial gives and costs, place by place."""

import numpy as np
import pytest

from compose.local.commands.evaluate import dial_table, dials_of
from indexer.errors import AskedWrongly
from reranker.evaluation import experiment, plots
from reranker.evaluation.dial import Place, Turned
from reranker.evaluation.experiment import Measured, Questions
from reranker.evaluation.replay import Answer, Asking, Search


def turned() -> Turned:
    queries = ("red lamp", "chair")
    questions = Questions(tuple(Search(it) for it in queries), {}, grades={})
    places = [
        Place(
            dial,
            Measured(
                [Answer(("a", "b"), 0.01), Answer(("c",), 0.01, degraded)],
                {"ndcg@10": np.array(values), "mrr": np.array(values)},
                {"diversity@10": distance, "coverage@10": 0.5},
            ),
        )
        for dial, values, distance, degraded in (
            (0.0, [1.0, 0.5], 0.4, None),
            (0.5, [1.0, 0.25], 0.6, "deadline"),
        )
    ]
    return Turned(questions, places)


def test_each_place_is_held_against_the_first() -> None:
    first, second = turned().result()["places"]
    assert first["ndcg@10 share"] == first["diversity@10 share"] == 1.0
    assert second["ndcg@10 share"] == pytest.approx(0.8333)
    assert second["diversity@10 share"] == pytest.approx(1.5)
    assert second["ndcg@10 against"]["difference"] == pytest.approx(-0.125)
    assert (first["degraded"], second["degraded"]) == (0, 1)
    assert "ndcg@10 against" not in first


def test_what_was_not_measured_is_left_out() -> None:
    assert turned().metrics == ["ndcg@10", "mrr", "diversity@10", "coverage@10"]


def test_the_chart_has_distance_coverage_and_relevance_and_is_the_same_each_time() -> None:
    drawn = plots.dial(turned())
    assert drawn == plots.dial(turned())
    for name in ("intra-list distance", "coverage", "ndcg@10", "mrr"):
        assert name in drawn


def test_the_table_has_a_row_a_place() -> None:
    table = dial_table(turned())
    assert (table.row_count, len(table.columns)) == (2, 5)


def test_places_are_numbers_from_0_to_1() -> None:
    assert dials_of("0.5, 0,1") == [0.0, 0.5, 1.0]
    for wrong in ("", "a", "2", "-0.1,0"):
        with pytest.raises(AskedWrongly):
            dials_of(wrong)


def test_the_dial_is_asked_only_where_it_is_named() -> None:
    asking = Asking("http://localhost", "shop")
    search = Search("lamp")
    assert "diversity" not in asking.body(search, "fused")["ext"]["hitweave"]
    assert asking.body(search, "fused", 0.0)["ext"]["hitweave"]["diversity"] == 0.0
    assert experiment.CANDIDATE == "fused"
