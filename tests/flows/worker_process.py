"""Celery workers of a test's own, on a broker that no other worker listens to."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import redis

from indexer import settings
from tests.conftest import Stack

REPOSITORY = Path(__file__).parents[2]


class WorkerProcess:
    """One worker with its children; ends with the test."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path, queues: str) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "celery", "-A", "indexer.worker:app", "worker"),
                    *("-Q", queues, "-n", name, "--concurrency", "2", "--loglevel", "info"),
                    *("--without-gossip", "--without-mingle"),
                ],
                cwd=REPOSITORY,
                env={**os.environ, **environment},
                stdout=output,
                stderr=output,
            )

    def is_ready(self) -> bool:
        """Whether it takes work."""
        return b" ready." in self.log.read_bytes()

    def children(self) -> list[psutil.Process]:
        """The processes that carry out tasks."""
        found: list[psutil.Process] = psutil.Process(self.process.pid).children()
        return found

    def stop_in_the_middle(self, is_busy: Callable[[], object], seconds: float = 60) -> None:
        """Halt all its processes at a moment when work is under way; they stay halted."""
        until = time.monotonic() + seconds
        while True:
            family = [psutil.Process(self.process.pid), *self.children()]
            for one in family:
                one.suspend()
            if is_busy():
                return
            for one in reversed(family):
                one.resume()
            assert time.monotonic() < until, "the worker was never busy"
            time.sleep(0.01)

    def resume(self) -> None:
        """Let halted processes go on: the parent last, which takes away children that ended."""
        for one in (*self.children(), psutil.Process(self.process.pid)):
            one.resume()

    def kill(self) -> None:
        """End it the hard way, as a machine that loses power would."""
        children = self.children()
        self.kill_parent()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, timeout=10)

    def kill_parent(self) -> None:
        """End the process that talks to the broker; its children are on their own."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@contextmanager
def private_broker(stack: Stack, database: int, **more: str) -> Iterator[redis.Redis]:
    """A broker of the test's own, with other settings than the stack's for the test's commands."""
    url = stack.valkey_url.removesuffix("/0") + f"/{database}"
    with pytest.MonkeyPatch.context() as patch, redis.Redis.from_url(url) as client:
        for name, value in {"BROKER_URL": url, **more}.items():
            patch.setenv(f"HITWEAVE_{name}", value)
        settings.load.cache_clear()
        client.flushdb()
        yield client
        client.flushdb()
    settings.load.cache_clear()


@contextmanager
def worker_process(
    name: str, environment: Mapping[str, str], log: Path, queues: str = "embed,index"
) -> Iterator[WorkerProcess]:
    """A worker that takes work."""
    worker = WorkerProcess(name, environment, log, queues)
    try:
        wait_until(lambda: worker.is_ready() or worker.process.poll() is not None, 60)
        assert worker.process.poll() is None, log.read_text()
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.kill()


def wait_until(condition: Callable[[], object], seconds: float) -> None:
    """Return when the condition holds; fails after so many seconds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the condition did not come to hold"
        time.sleep(0.02)
