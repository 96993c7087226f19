import math
from pathlib import Path

import pytest

from indexer.errors import AskedWrongly
from reranker.evaluation import experiment, metrics, runs
from reranker.evaluation.experiment import Experiment, Measured
from reranker.evaluation.judgements import Case, Cases, Judgements
from reranker.evaluation.replay import Answer

CASES = Cases(
    "cases.jsonl",
    "d1g",
    tuple(
        Case("7", (f"word{n % 3}", f"two word{n}"), f"t{n}", bought_before=n % 4 == 0)
        for n in range(12)
    ),
)


def listed(*ranks: int) -> list[Answer]:
    """Answers whose target t0, t1, … stands at each rank; 0: not in the list."""
    return [
        Answer((*(f"x{n}" for n in range(rank - 1)), *([f"t{at}"] if rank else [])), 0.002)
        for at, rank in enumerate(ranks)
    ]


def of_cases(which_query: int = 0) -> Experiment:
    questions = experiment.of_cases(CASES, which_query, known_items={"t0", "t1"})
    ranks = {"bm25": [4, 0, 2] * 4, "rrf": [2, 3, 1] * 4, "fused": [1, 2, 1] * 4}
    measured = {}
    for mode, each in ranks.items():
        answers = listed(*each)
        measured[mode] = Measured(answers, questions.values(answers), {"coverage@10": 0.25})
    return experiment.build(questions, measured)


def test_cases_are_asked_with_the_query_and_the_shopper_chosen() -> None:
    searches = of_cases(which_query=1).questions.searches
    assert (searches[2].text, searches[2].user_id) == ("two word2", "7")
    assert of_cases(which_query=0).questions.searches[2].text == "word2"


def test_the_last_query_stands_for_a_case_that_has_fewer() -> None:
    cases = [Case("7", ("one", "two"), "a", False), Case("8", ("only",), "b", False)]
    asked = experiment.of_cases(Cases("cases.jsonl", "d1g", tuple(cases)), 1).searches
    assert [it.text for it in asked] == ["two", "only"]


def test_a_query_that_every_case_lacks_is_refused() -> None:
    with pytest.raises(AskedWrongly, match=r"--query 2: the cases of cases\.jsonl have 2 queries"):
        of_cases(which_query=2)


def test_the_result_of_cases_has_the_means_of_each_mode_and_segment() -> None:
    result = of_cases().result()
    assert result["cases"] == 12
    bm25 = result["modes"]["bm25"]
    assert bm25["mrr"] == pytest.approx((1 / 4 + 0 + 1 / 2) / 3)
    assert bm25["hit@10"] == pytest.approx(2 / 3, abs=1e-4)
    assert bm25["ndcg@10"] == pytest.approx((1 / math.log2(5) + 1 / math.log2(3)) / 3, abs=1e-4)
    assert bm25["new_to_shopper"]["cases"] == 9
    assert bm25["segments"]["new_items"]["cases"] == 10
    assert bm25["coverage@10"] == 0.25
    assert bm25["latency_ms"]["p50"] == 2.0
    assert bm25["degraded"] == 0


def test_the_fused_mode_is_compared_with_each_other_one() -> None:
    result = of_cases().result()
    assert result["candidate"] == "fused"
    assert list(result["against"]) == ["bm25", "rrf"]
    bm25 = result["against"]["bm25"]
    assert bm25["metric"] == "mrr"
    assert bm25["difference"] == pytest.approx((2.5 - 0.75) / 3, abs=1e-4)
    assert (bm25["wins"], bm25["losses"], bm25["ties"]) == (12, 0, 0)
    assert bm25["p"] <= bm25["p_holm"] <= 2 * bm25["p"] + 1e-9
    assert bm25["interval"][0] > 0
    assert set(bm25["metrics"]) == set(metrics.ONE_TARGET) - {"mrr"}
    assert bm25["segments"]["new_to_shopper"]["difference"] > 0


def test_without_a_fused_mode_the_last_one_is_the_candidate() -> None:
    built = of_cases()
    modes = {name: built.modes[name] for name in ("rrf", "bm25")}
    assert experiment.build(built.questions, modes).candidate == "bm25"


def test_one_mode_alone_is_compared_with_nothing() -> None:
    built = of_cases()
    alone = experiment.build(built.questions, {"fused": built.modes["fused"]})
    assert alone.result()["against"] == {}


def test_judgements_are_asked_once_a_query_by_nobody() -> None:
    judged = Judgements("j.csv", "d", {"bag": {"a": 3.0, "b": 1.0}, "red box": {"c": 1.0}})
    questions = experiment.of_judgements(judged)
    answers = [Answer(("b", "a"), 0.001, degraded="no_model"), Answer((), 0.001)]
    measured = {"bm25": Measured(answers, questions.values(answers))}
    result = experiment.build(questions, measured).result()
    assert [it.user_id for it in questions.searches] == [None, None]
    assert result["queries"] == 2
    ideal = 7 + 1 / math.log2(3)
    expected = (1 + 7 / math.log2(3)) / ideal / 2
    assert result["modes"]["bm25"]["ndcg@10"] == pytest.approx(expected, abs=1e-4)
    assert result["modes"]["bm25"]["degraded"] == 1
    assert result["modes"]["bm25"]["segments"]["one_word"]["queries"] == 1


def test_runs_are_written_as_trec_has_them_and_score_the_same_there(tmp_path: Path) -> None:
    import ir_measures

    built = of_cases()
    runs.write(tmp_path / "runs" / "run.txt", built)
    qrels = list(ir_measures.read_trec_qrels(str(tmp_path / "runs" / "run.qrels.txt")))
    for mode, measured in built.modes.items():
        run = list(ir_measures.read_trec_run(str(tmp_path / "runs" / f"run.{mode}.txt")))
        found = ir_measures.calc_aggregate([ir_measures.RR], qrels, run)[ir_measures.RR]
        assert found == pytest.approx(measured.values["mrr"].mean())
    topics = (tmp_path / "runs" / "run.topics.tsv").read_text().splitlines()
    assert topics[0] == "q00001\tword0"


def test_white_space_in_an_item_id_does_not_break_the_columns(tmp_path: Path) -> None:
    judged = Judgements("j.csv", "d", {"bag": {"a b": 1.0, "a%20b": 1.0}})
    questions = experiment.of_judgements(judged)
    answers = [Answer(("a b", "a%20b"), 0.001)]
    built = experiment.build(questions, {"bm25": Measured(answers, questions.values(answers))})
    runs.write(tmp_path / "run.txt", built)
    lines = (tmp_path / "run.bm25.txt").read_text().splitlines()
    assert [line.split() for line in lines] == [
        ["q00001", "Q0", "a%20b", "1", "1", "hitweave-bm25"],
        ["q00001", "Q0", "a%2520b", "2", "0.5", "hitweave-bm25"],
    ]
