"""One part as a running process: its life from start to end.

A thread awaits its readiness, another its exit; both only put events into the supervisor's queue.
"""

import contextlib
import enum
import os
import queue
import signal
import subprocess
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from compose.local.part import Part
from compose.local.readiness import is_ready

STACK_VARIABLE = "HITWEAVE_STACK"
POLL_SECONDS = 0.1


class State(enum.Enum):
    """Where a part is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    ENDED = "ended"


@dataclass(frozen=True)
class Exited:
    """The process of a part is gone."""

    name: str
    run: int
    reason: str


@dataclass(frozen=True)
class Ready:
    """The process of a part can work."""

    name: str
    run: int


class Running:
    """A part and its present process; all times are of the monotonic clock."""

    def __init__(self, part: Part, stack_id: str, events: "queue.SimpleQueue[Any]") -> None:
        self.part = part
        self.stack_id = stack_id
        self.events = events
        self.state = State.WAITING
        self.run = 0
        self.was_ready = False
        self.deaths_in_a_row = 0
        self.start_due = 0.0
        self.ready_since = 0.0
        self.late = False
        self.process: subprocess.Popen[bytes] | None = None
        self.created: float | None = None

    def is_due(self) -> bool:
        """Whether it should be started now."""
        return (
            self.state in (State.WAITING, State.RESTARTING) and time.monotonic() >= self.start_due
        )

    def seconds_to_start(self) -> float | None:
        """How long until a restart is due, None where none is planned."""
        if self.state is not State.RESTARTING:
            return None
        return max(0.05, self.start_due - time.monotonic())

    def seconds_up(self) -> float:
        """How long it was ready, 0 when it was not."""
        return time.monotonic() - self.ready_since if self.ready_since else 0.0

    def start(self) -> None:
        """Start the process; a program that cannot be run at all is an exit too."""
        self.run += 1
        self.late = False
        self.ready_since = 0.0
        self.state = State.STARTING
        try:
            self.process = self._spawn()
            self.created = created(self.process.pid)
        except (OSError, subprocess.SubprocessError) as error:
            self.process = None
            self.events.put(Exited(self.part.name, self.run, f"cannot be run: {error}"))
            return
        for target in (self._await_exit, self._await_ready):
            threading.Thread(target=target, args=(self.process, self.run), daemon=True).start()

    def became_ready(self) -> None:
        """Note that it works."""
        self.state = State.READY
        self.was_ready = True
        self.ready_since = time.monotonic()

    def restart_after(self, pause_seconds: float) -> None:
        """Plan the next start, and end what the dead process left behind."""
        kill_groups([self.process.pid] if self.process else [])
        self.start_due = time.monotonic() + pause_seconds
        self.state = State.RESTARTING

    def end(self) -> None:
        """Ask the process to end, insist after `stop_seconds`; nothing of it is left."""
        process = self.process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.part.stop_seconds)
            kill_groups([process.pid])
            process.wait()
        if self.state is not State.FAILED:
            self.state = State.ENDED

    def describe(self) -> dict[str, Any]:
        """What status prints."""
        alive = self.process is not None and self.process.poll() is None
        return {
            "state": self.state.value,
            "pid": self.process.pid if alive and self.process else None,
            "created": self.created if alive else None,
            "restarts": max(0, self.run - 1),
            "log": str(self.part.log),
            "note": self.part.note,
        }

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.part.log.open("ab") as log:
            return subprocess.Popen(
                self.part.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.part.folder,
                env=self._environment(),
                start_new_session=True,
                user=self.part.uid,
                group=self.part.gid,
                extra_groups=None if self.part.uid is None else [],
            )

    def _environment(self) -> dict[str, str]:
        users = os.environ if self.part.inherits else {}
        return {**users, **self.part.environment, STACK_VARIABLE: self.stack_id}

    def _await_exit(self, process: "subprocess.Popen[bytes]", run: int) -> None:
        code = process.wait()
        reason = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        if self.late:
            reason = f"was not ready after {self.part.ready_seconds:.0f} seconds"
        self.events.put(Exited(self.part.name, run, reason))

    def _await_ready(self, process: "subprocess.Popen[bytes]", run: int) -> None:
        deadline = time.monotonic() + self.part.ready_seconds
        while process.poll() is None:
            if self._answers() and process.poll() is None:
                self.events.put(Ready(self.part.name, run))
                return
            if time.monotonic() > deadline:
                self.late = True
                kill_groups([process.pid])
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)

    def _answers(self) -> bool:
        try:
            return is_ready(self.part.readiness)
        except Exception:  # noqa: BLE001 - the thread must live to see the deadline
            traceback.print_exc()
            return False


def kill_groups(groups: Sequence[int]) -> None:
    """Kill process groups, gone ones included."""
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def created(pid: int) -> float | None:
    """When the process began, which tells it from a later one with its number; None if gone."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).create_time()
    return None


def processes_of(stack_id: str, recorded: Mapping[int, float | None]) -> list[psutil.Process]:
    """Every process that carries the mark of this stack or was recorded; this one excepted."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            known = recorded.get(process.pid) == process.create_time()
            marked = known or process.environ().get(STACK_VARIABLE) == stack_id
            if marked and process.pid != os.getpid():
                found.append(process)
    return found
