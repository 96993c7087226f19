"""How a long run tells how far it is."""

from collections.abc import Callable

# Takes the name of a part and how much of it there is; gives what counts it down.
Progress = Callable[[str, int], Callable[[int], None]]


def silent(_part: str, _total: int) -> Callable[[int], None]:
    """Progress that nobody looks at."""
    return lambda _: None
