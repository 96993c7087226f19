"""What `up` shows on stderr while it works: downloads, and the parts as they become ready."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from compose.local import archive, distribution


class Display:
    """Lines and bars on stderr; plain lines where it is no terminal."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)

    def say(self, line: str) -> None:
        """One line."""
        self.console.print(line, soft_wrap=True, markup=False)

    def notice(self) -> None:
        """The licence note, before the download it is about."""
        text = distribution.notice()
        if text:
            self.say(text)

    @contextmanager
    def downloads(self) -> Iterator[archive.Progress]:
        """A bar a file."""
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(TextColumn("{task.description}"), *columns, console=self.console) as bars:

            @contextmanager
            def one(name: str, size_bytes: int) -> Iterator[Callable[[int], None]]:
                task = bars.add_task(name, total=size_bytes)
                yield lambda count: bars.advance(task, count)

            yield one

    @contextmanager
    def waiting(self) -> Iterator[Callable[[dict[str, Any]], None]]:
        """A spinner with the parts that are still awaited; a line for each that is ready."""
        seen: set[str] = set()
        with self.console.status("starting") as status:

            def show(report: dict[str, Any]) -> None:
                parts = report["parts"]
                for name in [n for n in parts if parts[n]["state"] == "ready" and n not in seen]:
                    seen.add(name)
                    self.say(f"{name} is ready")
                left = [name for name in parts if name not in seen]
                status.update(f"waiting for {', '.join(left)}" if left else "ready")

            yield show
