"""Graded judgements: what becomes of them in a plan, what is learned of them, how they are kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import AskedWrongly
from reranker.evaluation import metrics
from reranker.learning import judged, measure, run
from reranker.learning.launch import Asked
from reranker.learning.measure import Yardstick
from reranker.learning.schedule import Schedule
from tests.reranker.learning import shop
from tests.reranker.learning.lists import list_set

SMALL = Schedule(
    cases=200,
    held_out_cases=100,
    visit_cases=0,
    moments_max=6,
    tables=1,
    windows=(100,),
    epochs=2,
    width=16,
    layers=1,
    attention_heads=2,
    taste_width=8,
    text_width=8,
    learning_rate=1e-2,
    baseline=False,
)
AT = [float(day) for day in range(10)]
QUERIES = [f"{colour} {kind}" for colour in shop.COLOURS for kind in shop.KINDS]


def others_of_the_kind(query: str) -> dict[str, float]:
    """Goods of the query's kind in any colour but its own: what no purchase and no text says."""
    goods, kind = shop.goods(), query.split()[1]
    return {
        item: 1.0
        for item, title in zip(goods.ids, goods.titles, strict=True)
        if title.endswith(kind) and title != query
    }


GRADES = {query: others_of_the_kind(query) for query in QUERIES}


def test_queries_are_learned_from_before_the_cut_or_measured_at_it_never_both() -> None:
    found = judged.cases({"a b": {"1": 3.0, "2": 1.0, "3": 0.0}, **GRADES}, AT, 6, SMALL)
    learned, measured = ({case.query for case in part} for part in (found.train, found.held_out))
    assert learned | measured == {"a b", *QUERIES}
    assert not learned & measured
    assert 0 < len(measured) < len(learned)
    assert {case.moment for case in found.held_out} == {6}
    assert all(case.moment < 6 and case.user is None and case.judged for case in found.train)
    assert len(found.train) == judged.TIMES_MAX * len(learned)
    assert {case.query for case in found.late} == {"a b", *QUERIES}
    (gains,) = {tuple(c.labels.items()) for c in found.late if c.query == "a b"}
    assert dict(gains) == {"1": (0.0, 0.0, 1.0), "2": (0.0, 0.0, pytest.approx(1 / 7))}


def test_a_ranker_learns_what_judges_say_of_queries_that_it_never_saw() -> None:
    def reached(grades: judged.Grades) -> float:
        material = replace(shop.material(), judged=GRADES)
        prepared = run.prepare(material, SMALL)
        assert prepared is not None
        made, world = prepared
        if not grades:
            made = replace(made, train=[case for case in made.train if not case.judged])
        learned = run.learn(material, made, world, SMALL)
        assert learned is not None
        values = Yardstick(learned.held_out).values(learned.scores["fused"])
        return float(values[learned.held_out.judged].mean())

    taught = reached(GRADES)
    assert taught > 0.9
    assert taught > reached({}) + 0.15


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_a_judged_search_is_measured_as_trec_eval_does_and_others_by_their_first(seed: int) -> None:
    random = np.random.default_rng(seed)
    lists = list_set(6, seed=seed % 1000, items=(3, 30))
    lists = replace(lists, judged=random.random(6) < 0.5)
    grades = random.integers(0, 4, len(lists.item)) * lists.judged.repeat(np.diff(lists.start))
    grades[lists.start[:-1]] = 3  # of each list one is relevant
    labels = lists.labels.copy()
    judged_rows = lists.judged.repeat(np.diff(lists.start))
    labels[judged_rows, measure.PURCHASE] = ((2.0**grades - 1) / 7)[judged_rows]
    lists = replace(lists, labels=labels)
    scores = random.permutation(len(lists.item)).astype(np.float64)
    found = Yardstick(lists).values(scores)
    expected = measure.reciprocal(scores, lists)
    for row in np.flatnonzero(lists.judged).tolist():
        own = np.arange(*lists.start[row : row + 2].tolist())
        ranked = [str(i) for i in own[np.argsort(-scores[own])]]
        qrels = {"q": {str(i): float(grades[i]) for i in own}}
        expected[row] = metrics.per_query({"q": ranked}, qrels, ["ndcg@10"])["ndcg@10"][0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_equal_scores_earn_nothing_by_the_order_of_the_list() -> None:
    lists = list_set(1, items=(20, 21))
    labels = np.zeros_like(lists.labels)
    labels[0, measure.PURCHASE] = 1.0
    lists = replace(lists, labels=labels, judged=np.array([True]))
    assert Yardstick(lists).values(np.zeros(20)).tolist() == [0.0]


def test_what_was_given_is_kept_until_other_judgements_or_none_take_its_place(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "models" / "goods"
    assert judged.kept(folder) == {}
    judged.keep(folder, GRADES)
    assert judged.kept(folder) == GRADES
    judged.keep(folder, {"红色 card": {"7": 2.0}})
    assert judged.kept(folder) == {"红色 card": {"7": 2.0}}
    judged.keep(folder, {})
    assert judged.kept(folder) == {}
    judged.keep(folder, {})
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"q": 3}', b'{"q": {"a": "much"}}'])
def test_a_kept_file_that_is_none_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / judged.KEPT).write_bytes(content)
    with pytest.raises(AskedWrongly, match="--judgements"):
        judged.kept(tmp_path)


def test_asked_for_judgements_reach_every_process_of_a_run(tmp_path: Path) -> None:
    file = tmp_path / "judged.tsv"
    file.write_text("query\tdocid\trating\nred card\t1\t2\n", "utf-8")
    asked = Asked("goods", None, None, "full", judgements=file)
    assert asked.judged() == {"red card": {"1": 2.0}}
    assert asked.arguments()[-2:] == ["--judgements", str(file)]
    forgetting = Asked("goods", None, None, "full", forget=True)
    assert forgetting.judged() == {}
    assert forgetting.arguments()[-1] == "--forget-judgements"
    assert Asked("goods", None, None, "full").judged() is None
    with pytest.raises(AskedWrongly, match="contradict"):
        Asked("goods", None, None, "full", judgements=file, forget=True).judged()
