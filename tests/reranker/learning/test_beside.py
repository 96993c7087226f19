"""Work in a process beside: its answer, errors and progress are seen here, and it never stays."""

import subprocess
import sys
from collections.abc import Callable
from queue import Queue

import psutil
import pytest

from indexer.errors import InvalidConfig, TrainingFailed
from reranker.learning import beside
from reranker.learning.progress import silent
from tests.flows.worker_process import REPOSITORY, wait_until
from tests.reranker.learning import beside_work


def test_its_answer_and_its_progress_are_seen_here() -> None:
    seen: list[tuple[str, int]] = []

    def progress(name: str, total: int) -> Callable[[int], None]:
        seen.append((name, total))
        return lambda done: seen.append((name, -done))

    with beside.carried_out(beside_work.added, ([3, 4],), progress) as answer:
        assert answer() == 7
    assert seen == [
        *[("numbers", 2), ("more", 1)],
        *[("numbers", -1), ("numbers", -1), ("more", -1)],
    ]


def test_its_error_is_raised_here() -> None:
    with (
        beside.carried_out(beside_work.refused, ("write a number",), silent) as answer,
        pytest.raises(InvalidConfig, match="write a number"),
    ):
        answer()


def test_one_that_is_killed_is_an_error_and_not_waited_for() -> None:
    with (
        beside.carried_out(beside_work.killed, (), silent) as answer,
        pytest.raises(TrainingFailed, match="exit code -9"),
    ):
        answer()


def test_what_is_under_way_ends_with_what_it_stands_beside() -> None:
    begun: Queue[int] = Queue()

    def progress(_name: str, total: int) -> Callable[[int], None]:
        begun.put(total)
        return lambda _: None

    with beside.carried_out(beside_work.endless, (), progress):
        process = psutil.Process(begun.get(timeout=60))
        assert process.is_running()
    assert not process.is_running()


def test_it_ends_with_a_starter_that_is_killed() -> None:
    line = [sys.executable, "-m", "tests.reranker.learning.beside_work"]
    with subprocess.Popen(line, cwd=REPOSITORY, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        process = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
        wait_until(lambda: not process.is_running(), 60)
