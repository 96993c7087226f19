import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from compose.local.commands import offpolicy
from indexer.errors import AskedWrongly
from reranker.evaluation import explored, logged_choices, reward_table
from reranker.evaluation.reward_table import Shown

ITEMS, POSITIONS, ROWS = 8, 3, 12_000
REWARD = np.linspace(0.02, 0.4, ITEMS) * np.array([[1.0], [0.6], [0.4]])
OLD = np.linspace(2.0, 0.6, ITEMS) / np.linspace(2.0, 0.6, ITEMS).sum()
UNIFORM_VALUE = float(REWARD.mean())


def write_log(path: Path, seed: int = 20) -> Path:
    rng = np.random.default_rng(seed)
    position = rng.integers(0, POSITIONS, ROWS)
    item = rng.choice(ITEMS, size=ROWS, p=OLD)
    clicked = rng.random(ROWS) < REWARD[position, item]
    with gzip.open(path, "wt", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp", "item_id", "position", "click", "propensity_score"])
        for at in range(ROWS):
            rows.writerow(["t", item[at], position[at] + 1, int(clicked[at]), OLD[item[at]]])
    return path


def run(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(offpolicy.command, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    decoded: dict[str, Any] = json.loads(result.stdout.strip().splitlines()[-1])
    return decoded


def test_the_uniform_policy_is_estimated_from_the_log_of_another(tmp_path: Path) -> None:
    said = run(str(write_log(tmp_path / "log.csv.gz")))
    for name in ("ips", "snips", "dr"):
        low, high = said[name]["interval"]
        assert low <= UNIFORM_VALUE <= high, name
    assert not said["on_policy"]["interval"][0] <= UNIFORM_VALUE <= said["on_policy"]["interval"][1]
    assert said["dr"]["standard_error"] < said["ips"]["standard_error"]


def test_the_greedy_policy_is_learned_on_one_half_and_is_better(tmp_path: Path) -> None:
    said = run(str(write_log(tmp_path / "log.csv.gz")), "--target", "greedy")
    assert 0.4 * ROWS < said["impressions"] < 0.6 * ROWS
    assert said["snips"]["interval"][0] > UNIFORM_VALUE


def test_items_that_were_never_shown_count_where_their_number_is_given(tmp_path: Path) -> None:
    log = logged_choices.read(write_log(tmp_path / "log.csv.gz"), items=20)
    assert log.shown.items == 20
    np.testing.assert_allclose(logged_choices.uniform(log), 1 / 20)


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("item_id,click\n1,0\n")
    with pytest.raises(AskedWrongly, match="position, propensity_score"):
        logged_choices.read(path)


def shown(reward: list[float]) -> Shown:
    return Shown(
        item=np.array([0, 0, 1, 1]),
        position=np.array([0, 0, 0, 0]),
        reward=np.array(reward),
        items=3,
        positions=1,
    )


def test_means_are_shrunk_towards_the_mean_of_the_position() -> None:
    table = reward_table.means(shown([1, 1, 0, 0]), np.ones(4, dtype=bool), prior=2.0)
    assert table.tolist() == [[(2 + 2 * 0.5) / 4, (0 + 2 * 0.5) / 4, 0.5]]


def test_no_reward_is_used_to_predict_itself() -> None:
    fold = np.array([0, 1, 0, 1])
    policy = np.array([[0.5, 0.5, 0.0]])
    before, _ = reward_table.cross_fitted(shown([1, 1, 0, 0]), policy, fold)
    after, _ = reward_table.cross_fitted(shown([0, 1, 0, 0]), policy, fold)
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_rows_of_one_search_are_in_one_fold() -> None:
    group = np.repeat(np.arange(50), 4)
    fold = reward_table.folds(200, seed=1, group=group)
    assert all(len(set(fold[group == number])) == 1 for number in range(50))
    assert len(set(fold)) == reward_table.FOLDS


def test_searches_that_explored_are_a_log_that_can_be_judged(tmp_path: Path) -> None:
    searches = [
        {
            "query_id": f"q{number}",
            "query_response_hit_ids": ["a", "b"] if number % 2 else ["b", "a"],
            "query_attributes": {
                "from": "2" if number > 7 else 0,
                "exploration": {"explored": True, "propensities": ["0.5", None]},
            },
        }
        for number in range(10)
    ]
    others = [{"query_id": "plain", "query_response_hit_ids": ["a"]}]
    path = tmp_path / "choices.csv.gz"
    found = explored.choices([*searches, *others], {("q1", "a"), ("q3", "b")})
    assert explored.write(path, found) == 10
    log = logged_choices.read(path)
    assert log.shown.item.tolist() == [1, 0] * 5
    assert log.shown.position.tolist() == [0] * 8 + [2] * 2
    assert log.shown.reward.sum() == 1.0  # b was clicked where its chance is not known
    assert log.group is not None
    assert len(set(log.group.tolist())) == 10
