"""Progress of learning on stderr: a bar for each part of a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from reranker.learning import progress


@contextmanager
def bars() -> Iterator[progress.Progress]:
    """Takes the name of a part and how much of it there is; gives what counts it down."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as shown:

        def part(name: str, total: int) -> Callable[[int], None]:
            bar = shown.add_task(name, total=total)
            return lambda count: shown.advance(bar, count)

        yield part
