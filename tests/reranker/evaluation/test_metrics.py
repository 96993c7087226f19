import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.evaluation import metrics

GRADES = {"a": 3.0, "b": 1.0, "c": 0.0, "d": 2.0}
LIST = ["x", "b", "a", "c"]


def one(name: str, ids: list[str] = LIST, grades: dict[str, float] = GRADES) -> float:
    return float(metrics.per_query({"q": ids}, {"q": grades}, [name])[name][0])


def test_ndcg_is_the_exponential_gain_over_log2_of_one_plus_rank() -> None:
    gained = 1 / math.log2(1 + 2) + 7 / math.log2(1 + 3)
    ideal = 7 / math.log2(1 + 1) + 3 / math.log2(1 + 2) + 1 / math.log2(1 + 3)
    assert one("ndcg@10") == pytest.approx(gained / ideal)


def test_ndcg_is_cut_in_the_list_and_in_the_ideal() -> None:
    assert one("ndcg@2") == pytest.approx((1 / math.log2(3)) / (7 + 3 / math.log2(3)))


def test_judged_only_ndcg_drops_what_nobody_judged() -> None:
    gained = 1 / math.log2(1 + 1) + 7 / math.log2(1 + 2)
    ideal = 7 / math.log2(1 + 1) + 3 / math.log2(1 + 2) + 1 / math.log2(1 + 3)
    assert one("judged_ndcg@10") == pytest.approx(gained / ideal)


def test_reciprocal_rank_is_of_the_first_relevant_item() -> None:
    assert one("mrr") == 1 / 2


def test_average_precision_counts_relevant_items_that_are_missing() -> None:
    assert one("map") == pytest.approx((1 / 2 + 2 / 3) / 3)


def test_precision_divides_by_the_cut_and_recall_by_the_relevant() -> None:
    assert one("precision@10") == pytest.approx(2 / 10)
    assert one("precision@2") == pytest.approx(1 / 2)
    assert one("recall@10") == pytest.approx(2 / 3)


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    assert one("f1@10") == pytest.approx(2 * (2 / 10) * (2 / 3) / (2 / 10 + 2 / 3))


def test_f1_of_a_list_that_found_nothing_is_zero() -> None:
    assert one("f1@10", ["x", "y"]) == 0.0


def test_hit_says_whether_anything_relevant_is_above_the_cut() -> None:
    assert (one("hit@1"), one("hit@2")) == (0.0, 1.0)


def test_fractional_grades_keep_their_gain() -> None:
    gained = (2**0.5 - 1) / math.log2(2) + (2**1.5 - 1) / math.log2(3)
    ideal = (2**1.5 - 1) / math.log2(2) + (2**0.5 - 1) / math.log2(3)
    found = one("ndcg@10", ["low", "high"], {"low": 0.5, "high": 1.5})
    assert found == pytest.approx(gained / ideal, abs=1e-3)


def test_a_query_without_hits_counts_as_zero_and_stays_in_its_place() -> None:
    qrels = {"first": {"a": 1.0}, "second": {"a": 1.0}}
    found = metrics.per_query({"second": ["a"]}, qrels, ["mrr", "ndcg@10"])
    assert found["mrr"].tolist() == [0.0, 1.0]
    assert found["ndcg@10"].tolist() == [0.0, 1.0]


def test_an_id_listed_twice_counts_once_at_its_better_rank() -> None:
    assert one("mrr", ["x", "a", "a"]) == 1 / 2
    assert one("precision@3", ["x", "a", "a"]) == pytest.approx(1 / 3)


def test_an_unknown_metric_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown metric 'bleu@4'.*ndcg"):
        one("bleu@4")


def test_a_mean_of_no_query_is_absent_and_not_zero() -> None:
    assert metrics.means({"mrr": np.array([])}) == {"mrr": None}
    assert metrics.means({"mrr": np.array([1.0, 0.5])}) == {"mrr": 0.75}


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30))
def test_ranks_of_one_target_give_what_lists_with_one_relevant_item_give(ranks: list[int]) -> None:
    names = ["mrr", "ndcg@10", "hit@10", "precision@10", "recall@10", "f1@10", "map"]
    qrels = {str(number): {"t": 1.0} for number in range(len(ranks))}
    run = {
        str(number): [f"x{n}" for n in range(rank - 1)] + ["t"] if rank else ["x"]
        for number, rank in enumerate(ranks)
    }
    direct, listed = metrics.of_ranks(ranks, names), metrics.per_query(run, qrels, names)
    for name in names:
        np.testing.assert_allclose(direct[name], listed[name], atol=1e-12, err_msg=name)


@given(st.permutations(["a", "b", "c", "d", "x", "y"]), st.permutations(["q1", "q2", "q3"]))
def test_the_order_of_queries_changes_no_value(ids: list[str], queries: list[str]) -> None:
    qrels = {
        query: {item: grade for item, grade in GRADES.items() if item != query[-1]}
        for query in ("q1", "q2", "q3")
    }
    run = {"q1": ids, "q2": ids[::-1], "q3": ids[2:]}
    shuffled = {query: qrels[query] for query in queries}
    straight, other = metrics.per_query(run, qrels), metrics.per_query(run, shuffled)
    for name, values in straight.items():
        by_query = dict(zip(qrels, values, strict=True))
        assert dict(zip(shuffled, other[name], strict=True)) == by_query


@given(st.permutations(list(GRADES)))
def test_moving_a_better_item_up_never_lowers_ndcg(ids: list[str]) -> None:
    swaps = [(at, at + 1) for at in range(len(ids) - 1) if GRADES[ids[at]] < GRADES[ids[at + 1]]]
    for upper, lower in swaps:
        better = list(ids)
        better[upper], better[lower] = ids[lower], ids[upper]
        assert one("ndcg@10", better) > one("ndcg@10", ids)
