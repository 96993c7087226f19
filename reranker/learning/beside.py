"""Work in a process of its own beside this one, so that both use a core; its progress is seen here.

What is carried out must be a function of a module, and it and its arguments must pickle. It is
called with `progress` besides. The process ends with the one that started it, however that ends.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

from indexer import settings, telemetry
from indexer.errors import TrainingFailed
from reranker.learning.progress import Progress

LEFT_BEHIND = 1  # exit code of a process whose starter is gone


@dataclass(frozen=True)
class _Begun:
    """A part of the work, numbered from 0 in the order of their beginnings."""

    name: str
    total: int


@dataclass(frozen=True)
class _Counted:
    part: int
    done: int


@dataclass(frozen=True)
class _Ended:
    answer: Any = None
    error: Exception | None = None


@contextmanager
def carried_out(
    function: Callable[..., Any], arguments: Sequence[Any], progress: Progress
) -> Iterator[Callable[[], Any]]:
    """Begin; gives what waits for the answer, and raises what was raised there.

    Raises TrainingFailed where the process ended without one. What is still under way when the
    context is left is ended.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    there.close()
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(_heard, here, (function, tuple(arguments)), progress)

        def answer() -> Any:
            told = ended.result()
            if told is None:
                process.join()
                raise TrainingFailed(
                    f"the process of {function.__name__} ended with exit code {process.exitcode}: "
                    "the reason stands above, or the machine ran out of memory"
                )
            if told.error is not None:
                raise told.error
            return told.answer

        try:
            yield answer
        finally:
            if not ended.done():
                process.terminate()
            process.join()


def _heard(here: Connection, work: tuple[Any, ...], progress: Progress) -> _Ended | None:
    """Hand over the work and follow it; None where the process ended without an answer."""
    counters: list[Callable[[int], None]] = []
    try:
        here.send(work)
        while not isinstance(told := here.recv(), _Ended):
            if isinstance(told, _Begun):
                counters.append(progress(told.name, told.total))
            else:
                counters[told.part](told.done)
    except (EOFError, OSError):
        return None
    finally:
        here.close()
    return told


def _serve(there: Connection) -> None:
    """What the process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the starter is interrupted too, and ends it
    threading.Thread(target=_end_with_starter, daemon=True).start()
    telemetry.configure(settings.load())
    function, arguments = there.recv()
    numbers, alone = count(), threading.Lock()

    def say(told: object) -> None:
        with alone:
            there.send(told)

    def progress(name: str, total: int) -> Callable[[int], None]:
        with alone:
            number = next(numbers)
            there.send(_Begun(name, total))
        return lambda done: say(_Counted(number, done))

    try:
        told = _Ended(answer=function(*arguments, progress=progress))
    except Exception as error:  # noqa: BLE001 - whoever waits is told of any
        told = _Ended(error=error)
    say(told)


def _end_with_starter() -> None:
    starter = multiprocessing.parent_process()
    if starter is not None:
        starter.join()
        os._exit(LEFT_BEHIND)
