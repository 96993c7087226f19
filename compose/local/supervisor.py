"""Runs the parts of one stack: starts, awaits, restarts and ends them.

    python -m compose.local.supervisor HOME

Lives in its own session until SIGTERM. It writes what it knows to run.json, and tells the `up` that
started it the same on stdout, one JSON object a line, until the stack is ready or has failed.
A part that dies before it was ever ready is a fault of the set-up: all is ended. Later it is
restarted, with growing pauses.
"""

import contextlib
import fcntl
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

import orjson

from compose.local.home import PSEUDONYM_KEY, Home, write_json
from compose.local.part import Plan
from compose.local.running import Exited, Ready, Running, State

PAUSE_FIRST_SECONDS = 1.0
PAUSE_LONGEST_SECONDS = 30.0
STEADY_SECONDS = 60.0
LOOK_SECONDS = 5.0


class Stop:
    """Someone asks the supervisor to end everything."""


class Supervisor:
    """The parts of one plan and what became of them; one thread changes its state."""

    def __init__(self, plan: Plan, home: Home, report: TextIO) -> None:
        self.home = home
        self.report: TextIO | None = report
        self.events: queue.SimpleQueue[Exited | Ready | Stop] = queue.SimpleQueue()
        self.parts = {part.name: Running(part, plan.stack_id, self.events) for part in plan.parts}
        self.phase = "starting"
        self.failure: dict[str, str] | None = None
        self.started_at = time.time()
        self.ready_after_seconds: float | None = None

    def run(self) -> int:
        """Start all parts and keep them until asked to stop; 0, or 1 when one could not start."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.events.put(Stop()))
        self._start_those_due()
        self._tell()
        while self.phase in ("starting", "ready"):
            with contextlib.suppress(queue.Empty):
                self._handle(self.events.get(timeout=self._seconds_to_next_look()))
            if self.home.id() is None:
                self.phase = "stopping"  # somebody removed the home of a running stack
            self._start_those_due()
            self._tell()
        self._end()
        return 1 if self.failure else 0

    def _handle(self, event: Exited | Ready | Stop) -> None:
        if isinstance(event, Stop):
            self.phase = "stopping"
            return
        part = self.parts[event.name]
        if event.run != part.run:
            return  # of a process that was replaced meanwhile
        if isinstance(event, Ready):
            part.became_ready()
        elif part.was_ready:
            part.restart_after(self._pause_seconds(part))
        else:
            self._fail(part, event)
        if self.phase == "starting" and all(p.state is State.READY for p in self.parts.values()):
            self.phase = "ready"
            self.ready_after_seconds = round(time.time() - self.started_at, 2)

    def _fail(self, part: Running, event: Exited) -> None:
        part.state = State.FAILED
        self.phase = "failed"
        self.failure = {"part": event.name, "reason": event.reason, "advice": part.part.advice}

    def _pause_seconds(self, part: Running) -> float:
        """Grows while the part keeps dying, begins anew after a steady minute."""
        if part.seconds_up() > STEADY_SECONDS:
            part.deaths_in_a_row = 0
        part.deaths_in_a_row += 1
        return pause_seconds(part.deaths_in_a_row)

    def _start_those_due(self) -> None:
        if self.phase not in ("starting", "ready"):
            return
        for part in self.parts.values():
            if part.is_due() and all(
                self.parts[name].state is State.READY for name in part.part.after
            ):
                part.start()

    def _seconds_to_next_look(self) -> float:
        waits = [part.seconds_to_start() for part in self.parts.values()]
        return min([LOOK_SECONDS, *(wait for wait in waits if wait is not None)])

    def _end(self) -> None:
        """End the parts in the opposite order of their start, side by side where they allow it."""
        left = dict(self.parts)
        while left:
            needed = {name for part in left.values() for name in part.part.after}
            last = [part for name, part in left.items() if name not in needed]
            threads = [threading.Thread(target=part.end) for part in last]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            left = {name: part for name, part in left.items() if part not in last}
        if not self.failure:
            self.phase = "stopped"
        self._tell()

    def _tell(self) -> None:
        state = {
            "phase": self.phase,
            "failure": self.failure,
            "supervisor": {"pid": os.getpid(), "started_at": self.started_at},
            "ready_after_seconds": self.ready_after_seconds,
            "parts": {name: part.describe() for name, part in self.parts.items()},
        }
        with contextlib.suppress(FileNotFoundError):  # the home was removed
            write_json(self.home.run_file, state)
        if self.report is None:
            return
        try:
            self.report.write(orjson.dumps(state).decode() + "\n")
            self.report.flush()
        except OSError:  # `up` was interrupted; the stack goes on
            self.report = None
        if self.phase in ("ready", "stopped"):
            self._let_go()

    def _let_go(self) -> None:
        """End of the report: `up` returns, and nothing more goes to its pipe."""
        self.report = None
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def pause_seconds(deaths_in_a_row: int) -> float:
    """How long to wait before the next start: doubled each time, up to half a minute."""
    return min(PAUSE_LONGEST_SECONDS, PAUSE_FIRST_SECONDS * 2.0 ** (deaths_in_a_row - 1))


def main(folder: str) -> int:
    """Supervise the plan of one home; 3 when another supervisor has it."""
    home = Home(Path(folder))
    lock = home.lock_file.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 3
    key = home.pseudonym_key()
    if key:
        os.environ[PSEUDONYM_KEY] = key
    plan = Plan.model_validate_json(home.plan_file.read_bytes())
    return Supervisor(plan, home, sys.stdout).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
