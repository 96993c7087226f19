"""Waits for a condition of another process, and fails by saying which."""

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Return once `condition` holds; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
