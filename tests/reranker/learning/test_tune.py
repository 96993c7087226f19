"""Tuning: within its time, the same for the same seed, and blind to the held-out weeks."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from reranker.learning import plan, schedule, tune
from reranker.learning.schedule import Schedule
from reranker.learning.tune import Budget, Ground
from tests.reranker.learning import shop

SMALL = Schedule(
    cases=150,
    held_out_cases=60,
    held_out_days=15,
    moment_spacing_days=7,
    gap_days_max=15,
    tables=1,
    taste_width=4,
    text_width=6,
    width=32,
    layers=1,
    epochs=1,
    baseline=False,
)


@pytest.fixture(scope="module")
def ground() -> Ground:
    found = tune.ground(shop.material(), SMALL)
    assert found is not None
    return found


def ticking(seconds: float) -> Budget:
    """A clock that goes on by one second each time it is looked at."""
    return Budget(seconds, itertools.count().__next__, 0)


def test_nothing_of_the_held_out_time_is_looked_at(ground: Ground) -> None:
    events = shop.events()
    assert ground.cut == plan.cut_of(events, SMALL)
    assert events[-1].timestamp > ground.cut
    assert ground.lists.train.time.max() <= ground.plan.cut < ground.cut
    assert ground.plan.cut < ground.lists.held_out.time.min()
    assert ground.lists.held_out.time.max() <= ground.cut
    later = plan.plan(events, [], shop.material().titles, SMALL)
    assert later is not None
    assert min(case.time for case in later.held_out) > ground.lists.held_out.time.max()


def test_the_schedule_itself_is_always_tried_to_its_end(ground: Ground) -> None:
    found = tune.search(ground, SMALL, ticking(0))
    assert (found.trials, found.pruned) == (1, 0)
    assert found.best["layers"] == 1
    assert found.mrr == found.default_mrr > 0


def test_equal_seeds_try_equal_settings_and_the_best_is_no_worse_than_the_default(
    ground: Ground,
) -> None:
    found = [tune.search(ground, SMALL, ticking(90)) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].trials > 2
    assert found[0].mrr >= found[0].default_mrr


def test_the_time_is_counted_to_its_end(ground: Ground) -> None:
    told: list[int] = []
    tune.search(ground, SMALL, ticking(60), told.append)
    assert sum(told) == 60
    assert min(told) >= 0


def test_what_is_written_is_a_config_of_training(ground: Ground, tmp_path: Path) -> None:
    found = tune.search(ground, SMALL, ticking(30))
    file = tmp_path / "tuned.yaml"
    file.write_text(yaml.safe_dump({"schedule": "quick", **found.best}), "utf-8")
    read = schedule.read(file)
    assert read.name == "quick"
    assert {name: getattr(read, name) for name in tune.TUNED} == found.best


def test_a_trial_below_the_others_ends_early(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With values that fall from trial to trial each later one is under the median."""
    falling = itertools.count()

    def value_of(*_: Any) -> Any:
        level = 1.0 / (1 + next(falling))
        return lambda _network: level

    monkeypatch.setattr(tune.run, "value_of", value_of)
    found = tune.search(ground, SMALL, ticking(120))
    assert found.trials > tune.BEFORE_PRUNING
    assert found.pruned >= found.trials - tune.BEFORE_PRUNING
    assert found.mrr == 1.0
