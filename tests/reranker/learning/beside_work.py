"""What test_beside has done in a process of its own; not a test.

`python -m tests.reranker.learning.beside_work` begins work without end, and prints its process id.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from indexer.errors import InvalidConfig
from reranker.learning import beside
from reranker.learning.progress import Progress


def added(numbers: Sequence[int], progress: Progress) -> int:
    told, also = progress("numbers", len(numbers)), progress("more", 1)
    for _ in numbers:
        told(1)
    also(1)
    return sum(numbers)


def refused(message: str, progress: Progress) -> None:
    raise InvalidConfig(message)


def killed(progress: Progress) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def endless(progress: Progress) -> None:
    progress("process", os.getpid())
    threading.Event().wait()


def printed(_name: str, total: int) -> Callable[[int], None]:
    sys.stdout.write(f"{total}\n")
    sys.stdout.flush()
    return lambda _: None


if __name__ == "__main__":
    with beside.carried_out(endless, (), printed) as answer:
        answer()
