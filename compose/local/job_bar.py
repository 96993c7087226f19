"""The progress bar of a job in the workers, on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Advance = Callable[[int], None]


@contextmanager
def job_bar(name: str, total: Callable[[], int | None]) -> Iterator[Advance]:
    """A bar of finished items; `total` is asked again at each step, None while nobody knows."""
    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=total())

        def advance(count: int) -> None:
            bar.update(task, advance=count, total=total())

        yield advance
        bar.update(task, total=total())
