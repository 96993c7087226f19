"""Who sees which arm: evenly, for ever, and under each salt anew."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.experiments import assignment
from reranker.experiments.assignment import Ids

UNITS = [f"shopper-{number}" for number in range(20_000)]


def chi_square(counts: list[int], shares: list[float]) -> float:
    expected = np.array(shares) / sum(shares) * sum(counts)
    return float(((np.array(counts) - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("shares", [[1, 1], [1, 1, 1], [0.7, 0.2, 0.1]])
def test_each_arm_has_its_share(shares: list[float]) -> None:
    arms = [assignment.arm_of("salt", unit, shares) for unit in UNITS]
    counts = [arms.count(number) for number in range(len(shares))]
    assert chi_square(counts, shares) < 13.8  # p = 0.001 with two degrees of freedom


@given(st.text(max_size=20), st.text(max_size=40), st.lists(st.floats(0.01, 5), min_size=2))
def test_the_same_unit_has_the_same_arm_for_ever(salt: str, unit: str, shares: list[float]) -> None:
    arm = assignment.arm_of(salt, unit, shares)
    assert 0 <= arm < len(shares)
    assert arm == assignment.arm_of(salt, unit, shares)


def test_arms_under_two_salts_are_independent() -> None:
    pairs = [
        2 * assignment.arm_of("one", unit, [1, 1]) + assignment.arm_of("two", unit, [1, 1])
        for unit in UNITS
    ]
    assert chi_square([pairs.count(number) for number in range(4)], [1] * 4) < 16.3  # p = 0.001


def test_who_takes_part_is_spread_evenly_over_the_arms() -> None:
    within = [unit for unit in UNITS if assignment.takes_part("salt", unit, 0.3)]
    arms = [assignment.arm_of("salt", unit, [1, 1]) for unit in within]
    assert abs(len(within) / len(UNITS) - 0.3) < 0.015
    assert chi_square([arms.count(0), arms.count(1)], [1, 1]) < 10.8


@given(st.text(max_size=20), st.text(max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_who_takes_part_still_does_when_traffic_grows(
    salt: str, unit: str, one: float, other: float
) -> None:
    less, more = sorted((one, other))
    if assignment.takes_part(salt, unit, less):
        assert assignment.takes_part(salt, unit, more)


def test_everyone_takes_part_in_all_of_the_traffic_and_nobody_in_none() -> None:
    assert all(assignment.takes_part("s", unit, 1.0) for unit in UNITS[:1000])
    assert not any(assignment.takes_part("s", unit, 0.0) for unit in UNITS[:1000])


@pytest.mark.parametrize(
    ("kind", "ids", "unit"),
    [
        ("user", Ids("u", "c", "s", "q"), "u"),
        ("user", Ids(None, "c", "s", "q"), "c"),
        ("user", Ids(None, None, "s", "q"), "s"),
        ("user", Ids(None, None, None, "q"), None),
        ("session", Ids("u", "c", "s", "q"), "s"),
        ("session", Ids("u", "c", None, "q"), "c"),
        ("query", Ids("u", "c", "s", "q"), "q"),
        ("query", Ids("u"), None),
    ],
)
def test_what_lasts_longest_stands_in_for_an_unknown_unit(
    kind: str, ids: Ids, unit: str | None
) -> None:
    assert assignment.unit_of(kind, ids) == unit
