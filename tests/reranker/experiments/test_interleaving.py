"""Two rankers in one list: nothing lost, nobody favoured, clicks to whom they are due."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.experiments import interleaving
from reranker.experiments.interleaving import Interleaved

ROWS = range(12)
ranking = st.permutations(list(ROWS))
Mix = Callable[[list[int], list[int], Iterator[int]], Interleaved]


@pytest.mark.parametrize("mix", [interleaving.team_draft, interleaving.balanced])
@given(one=ranking, other=ranking, text=st.text(max_size=10))
def test_every_candidate_is_placed_once(
    mix: Mix, one: list[int], other: list[int], text: str
) -> None:
    found = mix(one, other, interleaving.coins(text))
    assert sorted(found.rows) == list(ROWS)
    assert len(found.teams) == len(ROWS)
    assert found == mix(one, other, interleaving.coins(text))


@given(one=ranking, other=ranking, text=st.text(max_size=10))
def test_drafted_teams_are_never_more_than_one_apart(
    one: list[int], other: list[int], text: str
) -> None:
    teams = interleaving.team_draft(one, other, interleaving.coins(text)).teams
    for length in range(0, len(ROWS) + 1, 2):
        assert teams[:length].count(0) == teams[:length].count(1)


@given(one=ranking, other=ranking, text=st.text(max_size=10))
def test_each_team_places_its_best_that_is_not_there_yet(
    one: list[int], other: list[int], text: str
) -> None:
    found = interleaving.team_draft(one, other, interleaving.coins(text))
    for at, (row, team) in enumerate(zip(found.rows, found.teams, strict=True)):
        own = (one, other)[team]
        assert row == next(it for it in own if it not in found.rows[:at])


@given(one=ranking, other=ranking, text=st.text(max_size=10))
def test_a_balanced_prefix_is_made_of_prefixes(one: list[int], other: list[int], text: str) -> None:
    rows = interleaving.balanced(one, other, interleaving.coins(text)).rows
    for length in range(1, len(ROWS) + 1):
        shown = set(rows[:length])
        taken = [
            (a, b)
            for a, b in itertools.product(range(len(ROWS) + 1), repeat=2)
            if abs(a - b) <= 1 and set(one[:a]) | set(other[:b]) == shown
        ]
        assert taken


@pytest.mark.parametrize("mix", [interleaving.team_draft, interleaving.balanced])
def test_each_team_is_first_equally_often(mix: Mix) -> None:
    one, other = list(ROWS), list(reversed(ROWS))
    first = [mix(one, other, interleaving.coins("q", str(n))).teams[0] for n in range(4000)]
    assert abs(sum(first) / len(first) - 0.5) < 0.027  # 3.4 standard errors


def test_coins_are_fair_and_go_on() -> None:
    bits = list(itertools.islice(interleaving.coins("a"), 10_000))
    assert abs(sum(bits) / len(bits) - 0.5) < 0.02
    assert bits[:512] != bits[512:1024]


def test_clicks_at_random_prefer_nobody() -> None:
    """Every place clicked alike: what both rankers are worth cannot matter."""
    one, other = list(ROWS), [*ROWS[3:], *ROWS[:3]]
    for mix in (interleaving.team_draft, interleaving.balanced):
        total = 0
        for number in range(6000):
            found = mix(one, other, interleaving.coins("q", str(number)))
            item = str(found.rows[number % 4])
            if mix is interleaving.team_draft:
                teams = {str(row): team for row, team in zip(found.rows, found.teams, strict=True)}
                total += interleaving.credit([item], teams)
            else:
                ranks = {str(row): (one.index(row) + 1, other.index(row) + 1) for row in ROWS}
                total += interleaving.preference([item], ranks)
        assert abs(total) < 3.5 * 6000**0.5


def test_a_ranker_whose_items_are_clicked_wins() -> None:
    teams = {"a": 0, "b": 1, "c": 1, "x": None}
    assert interleaving.credit(["b", "c", "a"], teams) == 1
    assert interleaving.credit(["a"], teams) == -1
    assert interleaving.credit(["a", "b"], teams) == 0
    assert interleaving.credit(["x", "unknown"], teams) == 0
    assert interleaving.credit(["b", "b", "a"], teams) == 0  # a second click on one item is none


def test_balanced_clicks_count_down_to_the_lowest_click() -> None:
    ranks = {"a": (1, 4), "b": (4, 1), "c": (2, 2)}
    assert interleaving.preference(["a"], ranks) == -1
    assert interleaving.preference(["b"], ranks) == 1
    assert interleaving.preference(["c"], ranks) == 0
    assert interleaving.preference(["a", "c"], ranks) == -1
    assert interleaving.preference([], ranks) == 0
