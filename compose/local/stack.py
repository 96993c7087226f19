"""One local stack as a whole: brought up, looked at, taken down."""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import psutil

from compose.local import elasticsearch, ports, processes, servers, valkey
from compose.local.archive import Progress
from compose.local.home import Addresses, Home, write_json
from compose.local.part import Part, Plan
from compose.local.readiness import is_ready
from compose.local.running import processes_of
from indexer import settings
from indexer.errors import AskedWrongly, StackFailed

WORKERS = processes.WORKERS
ALL_PARTS = (elasticsearch.NAME, valkey.NAME, *WORKERS, processes.SIDECAR)
STOP_SECONDS = 120.0
LOG_BYTES_MAX = 10_000_000
SUPERVISOR_LOG = "supervisor.log"


@dataclass(frozen=True)
class Wish:
    """What `up` was asked for; a URL stands for a server that is not ours to start."""

    es_port: int
    valkey_port: int
    sidecar_port: int
    only: frozenset[str]
    es_url: str | None = None
    valkey_url: str | None = None
    es_heap: str = "1g"
    worker_processes: int = 1

    def starts(self, name: str) -> bool:
        """Whether this part is ours to start."""
        given = {elasticsearch.NAME: self.es_url, valkey.NAME: self.valkey_url}
        return name in self.only and given.get(name) is None

    def addresses(self) -> Addresses:
        """Where everything will answer."""
        return Addresses(
            elasticsearch_url=self.es_url or f"http://{ports.LOOPBACK}:{self.es_port}",
            valkey_url=self.valkey_url or f"redis://{ports.LOOPBACK}:{self.valkey_port}/0",
            sidecar_url=f"http://{ports.LOOPBACK}:{self.sidecar_port}",
        )


def parts_named(text: str | None) -> frozenset[str]:
    """Parts from `--only a,b`; `workers` stands for all of them; None means every part."""
    if text is None:
        return frozenset(ALL_PARTS)
    names: set[str] = set()
    for name in (word.strip() for word in text.split(",")):
        if name == "workers":
            names.update(WORKERS)
        elif name in ALL_PARTS:
            names.add(name)
        else:
            raise AskedWrongly(f"no part {name!r}: --only takes workers, {', '.join(ALL_PARTS)}")
    return frozenset(names)


def check_ports(wish: Wish) -> None:
    """Raise AskedWrongly for the first port in use."""
    for name, port, option in (
        (elasticsearch.NAME, wish.es_port, "--es-port"),
        (valkey.NAME, wish.valkey_port, "--valkey-port"),
        (processes.SIDECAR, wish.sidecar_port, "--port"),
    ):
        if wish.starts(name):
            ports.require_free(port, option)


def check_servers(wish: Wish) -> None:
    """Raise for the first server that our processes need and that is not ours and not there."""
    ours = {name for name in ALL_PARTS if wish.starts(name)}
    for name in servers.used_but_not_ours(ours):
        problem = servers.problem(name, wish.addresses())
        if problem:
            raise problem


def plan(home: Home, wish: Wish, progress: Progress | None = None) -> Plan:
    """Prepare everything that the supervisor needs, and write it down."""
    write_json(home.addresses_file, wish.addresses().model_dump())
    parts: list[Part] = []
    if wish.starts(elasticsearch.NAME):
        sidecar_url = wish.addresses().sidecar_url
        node = elasticsearch.prepare(home, wish.es_port, wish.es_heap, sidecar_url, progress)
        parts.append(elasticsearch.part(node, home))
    if wish.starts(valkey.NAME):
        parts.append(valkey.part(home, wish.valkey_port))
    started = tuple(part.name for part in parts)
    broker = tuple(name for name in started if name == valkey.NAME)
    parts += [
        processes.worker(queue, home, wish.worker_processes, broker)
        for queue in processes.QUEUES
        if wish.starts(processes.WORKER_OF[queue])
    ]
    known = settings.load()
    if wish.starts(processes.WORKER_OF["behaviour"]):
        if known.retrain_hours is not None:
            parts.append(processes.learner(home, broker))
        if known.kafka_servers:
            parts.append(processes.consumer(home, known.kafka_servers, started))
    if wish.starts(processes.SIDECAR):
        parts.append(processes.sidecar(home, wish.sidecar_port, started))
    made = Plan(stack_id=str(home.id()), parts=tuple(parts))
    write_json(home.plan_file, made.model_dump(mode="json"))
    return made


def supervise(home: Home) -> Iterator[dict[str, Any]]:
    """Start the supervisor in its own session; its reports until the stack is ready or failed."""
    for log in home.logs.glob("*.log"):
        if log.stat().st_size > LOG_BYTES_MAX:
            log.replace(log.with_suffix(".log.1"))
    with (home.logs / SUPERVISOR_LOG).open("ab") as errors:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "compose.local.supervisor", str(home.folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd="/",
            start_new_session=True,
        )
    assert supervisor.stdout is not None  # noqa: S101 - it was asked for
    for line in supervisor.stdout:
        yield orjson.loads(line)
    supervisor.stdout.close()


def is_supervised(home: Home) -> bool:
    """Whether a supervisor of this home is alive: it holds the lock for its whole life."""
    try:
        with home.lock_file.open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def last_report(home: Home) -> dict[str, Any]:
    """What the supervisor last wrote, empty before the first `up`."""
    try:
        report: dict[str, Any] = orjson.loads(home.run_file.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return report


def take_down(home: Home) -> list[str]:
    """End the supervisor with all parts, then whatever else carries the stack's mark.

    Returns the names of the parts that ran. Raises StackFailed where something cannot be ended.
    """
    report = last_report(home)
    ran = [name for name, part in report.get("parts", {}).items() if part["pid"]]
    if is_supervised(home):
        _end_supervisor(int(report["supervisor"]["pid"]))
    sweep_processes(home)
    return ran


def sweep_processes(home: Home) -> None:
    """Kill what a supervisor that was itself killed has left behind; raises StackFailed."""
    left = _processes(home)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    _, alive = psutil.wait_procs(left, timeout=10)
    if alive:
        raise StackFailed(f"these processes do not end: {[process.pid for process in alive]}")


def _processes(home: Home) -> list[psutil.Process]:
    stack_id = home.id()
    parts = last_report(home).get("parts", {}).values()
    recorded = {part["pid"]: part["created"] for part in parts if part["pid"]}
    return processes_of(stack_id, recorded) if stack_id else []


def wait_for_end(home: Home) -> None:
    """Return when the supervisor ends by itself."""
    with contextlib.suppress(psutil.NoSuchProcess, KeyError):
        psutil.Process(int(last_report(home)["supervisor"]["pid"])).wait()


def _end_supervisor(pid: int) -> None:
    try:
        supervisor = psutil.Process(pid)
        supervisor.terminate()
        supervisor.wait(STOP_SECONDS)
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied:
        raise StackFailed(
            f"the stack belongs to another user (process {pid}): take it down as that user"
        ) from None
    except psutil.TimeoutExpired:
        supervisor.kill()


def runs(home: Home, wish: Wish) -> bool:
    """Whether every part of this wish is up in this home, at these addresses."""
    state = status(home)
    wanted = {name for name in ALL_PARTS if wish.starts(name)}
    return bool(
        state["ready"] and wanted <= {*state["parts"]} and home.addresses() == wish.addresses()
    )


def status(home: Home) -> dict[str, Any]:
    """Every part of the stack, asked now; `ready` only when all of them are."""
    addresses = home.addresses()
    supervised = is_supervised(home)
    report = last_report(home) if supervised else {}
    parts = {name: dict(part) for name, part in report.get("parts", {}).items()}
    for part in _planned(home) if supervised else ():
        answers = is_ready(part.readiness)
        parts[part.name]["ready"] = answers and parts[part.name]["state"] == "ready"
    if addresses:
        for name in servers.used_but_not_ours({*parts}):
            ready = servers.problem(name, addresses) is None
            parts[name] = {"state": "not started here", "ready": ready}
    return {
        "home": str(home.folder),
        "ready": supervised and bool(parts) and all(part["ready"] for part in parts.values()),
        "phase": report.get("phase", "down") if supervised or not _processes(home) else "lost",
        "ready_after_seconds": report.get("ready_after_seconds"),
        **(addresses.model_dump() if addresses else {}),
        "parts": parts,
    }


def _planned(home: Home) -> tuple[Part, ...]:
    return Plan.model_validate_json(home.plan_file.read_bytes()).parts


def log_tail(home: Home, part: str, lines: int = 15) -> str:
    """The end of a part's log."""
    path = home.logs / f"{part}.log"
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 20_000), os.SEEK_SET)
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
