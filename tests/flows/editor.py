"""Whoever edits what a shop defines, rules or experiments, through the real sidecar."""

from collections.abc import Callable
from typing import Any, ClassVar

from tests.conftest import Stack
from tests.flows.test_search import raw
from tests.flows.worker_process import wait_until


class Editor:
    """Edits definitions of one kind, those under `route`."""

    route: ClassVar[str]

    def __init__(self, stack: Stack, index: str) -> None:
        self.stack, self.index = stack, index

    def ask(self, method: str, rest: str = "", body: Any = None, **headers: str) -> Any:
        """Status and answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        status, _, answer = raw(
            self.stack, method, f"/{self.index}/{self.route}{rest}", body, named
        )
        return status, answer


def everywhere(condition: Callable[[], bool]) -> None:
    """Wait until all processes of the sidecar agree: so many answers in a row come from all."""
    in_a_row = [0]

    def holds() -> bool:
        in_a_row[0] = in_a_row[0] + 1 if condition() else 0
        return in_a_row[0] >= 20

    wait_until(holds, 30)
