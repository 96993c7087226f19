"""Sums of units from searches and deeds in the order of time."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.experiments import rendering, report
from reranker.experiments.experiment import Experiment, Trial
from reranker.experiments.metric import COLUMN, METRICS, PREFERENCE
from reranker.experiments.tally import Tally, revenue

START = 1_700_000_000.0
HOUR, DAY = 3600.0, 86_400.0
AB: dict[str, Any] = {"name": "try", "index": "shop", "arms": [{"name": "a"}, {"name": "b"}]}


def at(seconds: float) -> str:
    return datetime.fromtimestamp(START + seconds, UTC).isoformat()


def search(unit: str, arm: str | None, seconds: float, name: str, **told: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = {"from": told.pop("start", 0)}
    hits = told.pop("hits", ["x", "y"])
    if arm is not None:
        attributes["experiment"] = {"name": "try", "arm": arm, "took_ms": 10.0, **told}
    return {
        "timestamp": at(seconds),
        "user_id": unit,
        "query_id": name,
        "query_attributes": attributes,
        "query_response_hit_ids": hits,
    }


def deed(action: str, unit: str, seconds: float, query: str | None = None, **more: Any) -> Any:
    attributes = {"object": {"object_id": more.pop("item", "x")}, **more}
    said = {"timestamp": at(seconds), "action_name": action, "user_id": unit}
    return {**said, "event_attributes": attributes, **({"query_id": query} if query else {})}


def counted(*documents: Any, **definition: Any) -> Any:
    tally = Tally(Experiment.model_validate({**AB, **definition}), START)
    for document in documents:
        tally.take(document)
    return tally.counted()


def sums(found: Any, arm: int, column: str, *, past: bool = False) -> list[float]:
    table = (found.past if past else found.arms)[arm]
    return [float(value) for value in table[:, COLUMN[column]]]


def test_units_are_counted_once_and_their_searches_added_up() -> None:
    found = counted(
        search("u", "a", 0, "q1"),
        search("u", "a", 10, "q2", hits=[]),
        search("u", "a", 11, "q2", start=10),
        search("v", "b", 12, "q3", degraded="deadline"),
    )
    assert (sums(found, 0, "searches"), sums(found, 0, "empty_searches")) == ([2.0], [1.0])
    assert sums(found, 0, "took_ms") == [20.0]
    assert sums(found, 1, "degraded_searches") == [1.0]


def test_a_search_has_a_click_or_none_however_often_it_is_clicked() -> None:
    found = counted(
        search("u", "a", 0, "q1"),
        deed("click", "u", 5, "q1"),
        deed("click", "u", 6, "q1", item="y"),
        deed("click", "u", 7, "unknown"),
    )
    assert sums(found, 0, "clicked_searches") == [1.0]


def test_a_click_of_a_clock_that_is_behind_waits_for_its_search() -> None:
    found = counted(deed("click", "u", 1, "q1"), search("u", "a", 3, "q1"))
    assert sums(found, 0, "clicked_searches") == [1.0]
    late = counted(deed("click", "u", 1, "q1"), search("u", "a", 500, "q1"))
    assert sums(late, 0, "clicked_searches") == [0.0]


def test_what_comes_after_the_window_is_not_counted() -> None:
    found = counted(
        search("u", "a", 0, "q1"),
        deed("click", "u", 25 * HOUR, "q1"),
        deed("purchase", "u", 25 * HOUR, price=5),
    )
    assert (sums(found, 0, "clicked_searches"), sums(found, 0, "bought")) == ([0.0], [0.0])


def test_a_purchase_counts_with_and_without_its_search() -> None:
    found = counted(
        search("u", "a", 0, "q1"),
        search("v", "b", 0, "q2"),
        deed("purchase", "somebody", 60, "q1", price=5, quantity=3),
        deed("purchase", "v", 60, price="2.5"),
        deed("add-to-cart", "v", 61),
        deed("purchase", "stranger", 62, price=100),
    )
    assert (sums(found, 0, "bought"), sums(found, 0, "revenue")) == ([1.0], [15.0])
    assert (sums(found, 1, "revenue"), sums(found, 1, "carted")) == ([2.5], [1.0])


def test_who_saw_two_arms_is_left_out_and_counted() -> None:
    found = counted(search("u", "a", 0, "q1"), search("u", "b", 1, "q2"), search("v", "b", 2, "q3"))
    assert ([len(arm) for arm in found.arms], found.crossed) == ([0, 1], 1)


def test_other_experiments_and_searches_outside_of_any_are_not_counted() -> None:
    other = search("u", "a", 0, "q1")
    other["query_attributes"]["experiment"]["name"] = "another"
    strange = search("w", "no-such-arm", 0, "q2")
    found = counted(other, strange, search("v", None, 1, "q3"), deed("click", "v", 2, "q3"))
    assert [len(arm) for arm in found.arms] == [0, 0]


def test_the_past_ends_where_the_experiment_begins() -> None:
    found = counted(
        search("u", None, -DAY, "q0"),
        deed("click", "u", -DAY + 5, "q0"),
        deed("purchase", "u", -HOUR, price=7),
        search("u", None, -10, "q1"),
        search("u", "a", 10, "q2"),
        deed("click", "u", 20, "q1"),
        search("new", "a", 30, "q3"),
    )
    assert sums(found, 0, "searches", past=True) == [2.0, 0.0]
    assert sums(found, 0, "clicked_searches", past=True) == [1.0, 0.0]
    assert sums(found, 0, "revenue", past=True) == [7.0, 0.0]
    assert sums(found, 0, "clicked_searches") == [0.0, 0.0]


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), max_size=40))
def test_sums_of_units_add_up_to_what_happened(steps: list[tuple[int, bool, int]]) -> None:
    documents, clicked = [], 0
    for number, (unit, has_click, bought) in enumerate(steps):
        arm = "ab"[unit % 2]
        documents.append(search(f"u{unit}", arm, 10 * number, f"q{number}"))
        documents += [deed("click", f"u{unit}", 10 * number + 1, f"q{number}")] * has_click
        clicked += has_click
        documents += [deed("purchase", f"u{unit}", 10 * number + 2, price=3) for _ in range(bought)]
    found = counted(*documents)
    whole = np.concatenate(found.arms)
    assert len(whole) == len({unit for unit, *_ in steps})
    assert whole[:, COLUMN["searches"]].sum() == len(steps)
    assert whole[:, COLUMN["clicked_searches"]].sum() == clicked
    assert whole[:, COLUMN["revenue"]].sum() == 3 * sum(step[2] for step in steps)


def test_clicks_on_drafted_hits_go_to_their_team() -> None:
    found = counted(
        search("u", "interleaved", 0, "q1", hits=["x", "y", "z"], teams=["b", "a", None]),
        search("u", "interleaved", 1, "q1", start=3, hits=["w"], teams=["b"]),
        deed("click", "u", 5, "q1", item="w"),
        deed("click", "u", 5, "q1", item="x"),
        deed("click", "u", 6, "q1", item="y"),
        search("v", "interleaved", 7, "q2", teams=["b", "a"]),
        deed("click", "v", 8, "q2", item="x"),
        deed("click", "v", 9, "q2", item="y"),
        kind="interleave",
    )
    (preference,) = found.sums(PREFERENCE)
    assert preference.top.tolist() == [1.0, 0.0]
    assert preference.bottom.tolist() == [1.0, 1.0]


def test_clicks_on_balanced_hits_are_compared_by_rank() -> None:
    found = counted(
        search("u", "interleaved", 0, "q1", hits=["x", "y"], ranks=["1,5", "5,1"]),
        deed("click", "u", 5, "q1", item="y"),
        kind="interleave",
        method="balanced",
    )
    assert found.sums(PREFERENCE)[0].top.tolist() == [1.0]


@pytest.mark.parametrize(
    ("attributes", "worth"),
    [
        ({"revenue": 9.5, "price": 1}, 9.5),
        ({"price": 2, "quantity": 3}, 6.0),
        ({"price": "2.5"}, 2.5),
        ({"object": {"price": 4}, "quantity": 2}, 8.0),
        ({"price": "unknown"}, 0.0),
        ({"price": True, "quantity": 1}, 0.0),
        ({"revenue": float("nan")}, 0.0),
        ({}, 0.0),
    ],
)
def test_what_a_purchase_brought_is_read_in_every_spelling(
    attributes: dict[str, Any], worth: float
) -> None:
    assert revenue(attributes) == worth


def many(lift: float, *, share: float = 0.5, **definition: Any) -> Any:
    """Two arms of 3,000 searches, one by each unit; the second's are clicked more often."""
    rng = np.random.default_rng(8)
    documents = []
    for number in range(3000):
        arm = int(rng.random() < share)
        documents.append(search(f"u{number}", "ab"[arm], number, f"q{number}"))
        if rng.random() < 0.3 + lift * arm:
            documents.append(deed("click", f"u{number}", number + 0.5, f"q{number}"))
    return counted(*documents, **definition)


def said(found: Any, **definition: Any) -> Any:
    experiment = Experiment.model_validate({**AB, "units_planned": 3000, **definition})
    return report.of(Trial(experiment, "running", at(0)), found, START + DAY)


def test_a_report_finds_what_is_there() -> None:
    facts = said(many(0.1))
    (ctr,) = facts["metrics"]
    assert facts["verdict"] == ["b is better in ctr."]
    assert ctr["against"][0]["interval"][0] > 0
    assert facts["units"]["a"] + facts["units"]["b"] == 3000
    assert facts["detectable"]["now"] == pytest.approx(facts["detectable"]["planned"], rel=1e-3)


def test_a_report_finds_nothing_where_nothing_is() -> None:
    facts = said(many(0.0))
    assert facts["verdict"] == ["No difference in ctr so far."]
    assert facts["metrics"][0]["against"][0]["change"] is None


def test_a_lopsided_experiment_is_not_to_be_trusted() -> None:
    facts = said(many(0.1, share=0.4))
    assert facts["sample_ratio"]["alarm"]
    assert "trust nothing" in facts["verdict"][0]


def test_a_guardrail_that_is_harmed_is_named_first() -> None:
    facts = said(many(-0.1), metrics=["revenue"], guardrails=["ctr"])
    assert facts["verdict"][0] == "b harms ctr."


@pytest.mark.parametrize("kind", ["ab", "interleave"])
def test_reports_can_be_read_by_people_from_the_first_moment_on(kind: str) -> None:
    for facts in (said(counted(kind=kind), kind=kind, description="<b>|why"),):
        assert "Too early" in rendering.markdown(facts)
        page = rendering.page(facts)
        assert "<b>|why" not in page
        assert "&lt;b&gt;|why" in page
    if kind == "ab":
        told = rendering.markdown(said(many(0.1)))
        assert "| ctr |" in told
        assert "**b is better in ctr.**" in told


def test_every_metric_is_made_of_columns() -> None:
    for metric in [*METRICS.values(), PREFERENCE]:
        assert {metric.top, metric.bottom} <= set(COLUMN)
