"""A/A tests of the past, and plans by it."""

from typing import Any

import numpy as np
import pytest

from reranker.experiments.plan import DAYS, Rehearsal, Wish
from reranker.experiments.replay import Replay, share_interval
from tests.reranker.experiments.test_tally import DAY, START, deed, search


def past(units: int, days: int, seed: int) -> list[dict[str, Any]]:
    """Searches of so many units over the days before START, a third of them clicked."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(-days * DAY, 0, units * 4))
    documents = []
    for number, seconds in enumerate(times.tolist()):
        unit = f"u{rng.integers(units)}"
        documents.append(search(unit, None, seconds, f"q{number}"))
        if rng.random() < 0.33:
            documents.append(deed("click", unit, seconds, f"q{number}"))
    return documents


def test_a_replay_of_nothing_finds_nothing_beyond_its_rate() -> None:
    replay = Replay(Wish("shop"), START, days=28)
    for document in past(600, 56, seed=1):
        replay.take(document)
    said = replay.result(salts=150)
    assert (said["looks"], said["salts"]) == (28, 150)
    assert 500 < said["units"] <= 600
    assert said["share"] <= 0.05


def test_a_replay_can_find_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units whose arm decides what they do are told apart."""
    replay = Replay(Wish("shop"), START, days=28)
    for document in past(600, 28, seed=2):
        replay.take(document)
    units = list(replay._tally.units)
    clicked = replay._tally.counted().sums(replay._metric)[0].top > 1
    arms = dict(zip(units, clicked.astype(int).tolist(), strict=True))
    monkeypatch.setattr(
        "reranker.experiments.assignment.arm_of", lambda salt, unit, shares: arms[unit]
    )
    assert replay.result(salts=1)["alarms"] == 1


def test_a_plan_knows_the_windows_and_what_they_find() -> None:
    rehearsal = Rehearsal(Wish("shop", effect=0.1), START)
    for document in past(800, 56, seed=3):
        rehearsal.take(document)
    plan = rehearsal.result()
    windows = {it["days"]: it for it in plan["windows"]}
    assert tuple(windows) == DAYS
    units = [it["units"] for it in plan["windows"]]
    assert units == sorted(units)
    assert units[0] > 0
    assert windows[28]["mean"] == pytest.approx(0.33, abs=0.03)
    found = [it["detectable"] for it in plan["windows"]]
    assert found == sorted(found, reverse=True)
    assert all(it["detectable_if_looked_at_once"] < it["detectable"] for it in plan["windows"])
    assert plan["units_needed"] > units[-1]
    assert plan["days_needed"] > 28


def test_a_plan_for_an_effect_that_a_week_finds_takes_a_week() -> None:
    rehearsal = Rehearsal(Wish("shop", effect=0.9), START)
    for document in past(800, 56, seed=3):
        rehearsal.take(document)
    assert rehearsal.result()["days_needed"] == 7


def test_a_plan_without_a_past_says_so() -> None:
    plan = Rehearsal(Wish("shop"), START).result()
    assert (plan["units_needed"], plan["days_needed"]) == (None, None)


def test_the_interval_of_a_share_holds_it() -> None:
    for hits, tests in ((0, 10), (5, 100), (100, 100)):
        low, high = share_interval(hits, tests)
        assert 0 <= low <= hits / tests <= high <= 1
