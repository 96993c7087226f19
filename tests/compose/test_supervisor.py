"""The supervisor on small real processes: order, restarts, failures, and nothing left behind."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from compose.local import stack
from compose.local.home import Home, write_json
from compose.local.part import Part, Plan, Readiness
from compose.local.running import processes_of
from compose.local.supervisor import pause_seconds
from tests.compose.waiting import until
from tests.conftest import free_port

SERVER = """
import subprocess, sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
child = subprocess.Popen(["sleep", "600"])
print("child", child.pid, flush=True)
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), SimpleHTTPRequestHandler).serve_forever()
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVER


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home whose processes are gone after the test."""
    made = Home(tmp_path / "home")
    made.make()
    yield made
    stack.take_down(made)


def part(home: Home, name: str, program: str = SERVER, **changes: Any) -> Part:
    """A part that serves HTTP, with a child process of its own."""
    port = free_port()
    return Part(
        **{
            "name": name,
            "command": (sys.executable, "-c", program, str(port)),
            "environment": {},
            "inherits": True,
            "folder": home.folder,
            "log": home.logs / f"{name}.log",
            "readiness": Readiness(kind="http", url=f"http://127.0.0.1:{port}/"),
            "stop_seconds": 5,
            "advice": "read the log",
            **changes,
        }
    )


def start(home: Home, *parts: Part) -> list[dict[str, Any]]:
    """All reports of the supervisor until the stack is ready or has failed."""
    plan = Plan(stack_id=str(home.id()), parts=parts)
    write_json(home.plan_file, plan.model_dump(mode="json"))
    return list(stack.supervise(home))


def described(home: Home, name: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.last_report(home)["parts"][name]
    return found


def is_ready_again(home: Home, name: str, restarts: int) -> bool:
    now = described(home, name)
    return bool(now["state"] == "ready" and now["restarts"] == restarts)


def test_a_part_starts_when_those_before_it_are_ready(home: Home) -> None:
    reports = start(home, part(home, "second", after=("first",)), part(home, "first"))
    assert reports[-1]["phase"] == "ready"
    states = [(r["parts"]["first"]["state"], r["parts"]["second"]["state"]) for r in reports]
    assert ("starting", "waiting") in states
    assert all(first == "ready" for first, second in states if second != "waiting")


def test_a_part_that_dies_is_restarted_and_its_children_end(home: Home) -> None:
    start(home, part(home, "one"), part(home, "other"))
    before, other = described(home, "one")["pid"], described(home, "other")["pid"]
    child = psutil.Process(before).children()[0]
    os.kill(before, signal.SIGKILL)
    until(lambda: is_ready_again(home, "one", 1), "one is ready again")
    assert described(home, "one")["pid"] != before
    assert described(home, "other")["pid"] == other
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_pauses_double_up_to_half_a_minute() -> None:
    assert [pause_seconds(deaths) for deaths in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


def test_a_part_is_restarted_each_time_it_dies(home: Home) -> None:
    start(home, part(home, "one"))
    for restarts in (1, 2):
        os.kill(described(home, "one")["pid"], signal.SIGKILL)
        until(lambda n=restarts: is_ready_again(home, "one", n), f"restart {restarts}")
    assert (home.logs / "one.log").read_text().count("child") == 3


def test_down_ends_parts_that_ignore_the_signal_and_their_children(home: Home) -> None:
    start(home, part(home, "stubborn", STUBBORN, stop_seconds=0.5), part(home, "mild"))
    stack_id = str(home.id())
    assert len(processes_of(stack_id, {})) == 4
    assert sorted(stack.take_down(home)) == ["mild", "stubborn"]
    assert processes_of(stack_id, {}) == []
    assert stack.last_report(home)["phase"] == "stopped"


def test_a_part_that_cannot_start_ends_all_and_says_why(home: Home) -> None:
    broken = part(home, "broken", "import sys; print('no fuel'); sys.exit(7)")
    reports = start(home, part(home, "sound"), broken)
    assert reports[-1]["phase"] == "failed"
    assert reports[-1]["failure"] == {
        "part": "broken",
        "reason": "ended with code 7",
        "advice": "read the log",
    }
    assert "no fuel" in stack.log_tail(home, "broken")
    until(lambda: not stack.is_supervised(home), "the supervisor has ended")
    assert processes_of(str(home.id()), {}) == []


def test_a_program_that_does_not_exist_is_a_failure_of_its_part(home: Home) -> None:
    reports = start(home, part(home, "absent", command=("/does/not/exist",)))
    assert reports[-1]["failure"]["part"] == "absent"
    assert "cannot be run" in reports[-1]["failure"]["reason"]


def test_a_part_that_is_never_ready_fails_at_its_deadline(home: Home) -> None:
    sleeper = part(home, "sleeper", "import time; time.sleep(600)", ready_seconds=1)
    reports = start(home, sleeper)
    assert "was not ready after 1 seconds" in reports[-1]["failure"]["reason"]


def test_what_a_killed_supervisor_leaves_is_found_and_ended(home: Home) -> None:
    start(home, part(home, "one"))
    os.kill(stack.last_report(home)["supervisor"]["pid"], signal.SIGKILL)
    until(lambda: not stack.is_supervised(home), "the lock is free")
    assert stack.status(home)["phase"] == "lost"
    assert stack.status(home)["ready"] is False
    stack.take_down(home)
    assert processes_of(str(home.id()), {}) == []
    assert stack.status(home)["phase"] == "down"


def test_removing_the_home_of_a_running_stack_ends_it(home: Home) -> None:
    start(home, part(home, "one", folder=Path("/")))
    stack_id = str(home.id())
    shutil.rmtree(home.folder)
    until(lambda: processes_of(stack_id, {}) == [], "its processes have ended")


def test_the_plan_on_disk_holds_no_secret(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_PASSWORD", "swordfish")
    show = "import os; print(os.environ['A_PASSWORD'], os.environ['HITWEAVE_PSEUDONYM_KEY'])\n"
    start(home, part(home, "one", show + SERVER))
    seen = (home.logs / "one.log").read_text()
    assert seen.startswith(f"swordfish {home.pseudonym_key()}\n")
    plan = home.plan_file.read_text()
    assert "swordfish" not in plan
    assert str(home.pseudonym_key()) not in plan


def test_a_home_has_one_supervisor(home: Home) -> None:
    start(home, part(home, "one"))
    assert stack.is_supervised(home)
    assert list(stack.supervise(home)) == []
    assert described(home, "one")["pid"] is not None
    assert stack.status(home)["ready"] is True


def test_status_asks_the_part_and_not_the_report(home: Home) -> None:
    start(home, part(home, "one"))
    process = psutil.Process(described(home, "one")["pid"])
    process.suspend()
    try:
        assert stack.status(home)["parts"]["one"]["ready"] is False
    finally:
        process.resume()
    assert stack.status(home)["ready"] is True
