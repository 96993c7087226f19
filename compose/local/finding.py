"""One line of the doctor."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

# A fault stops something from working; a warning will, or weakens it; a note only informs.
Level = Literal["ok", "note", "warning", "fault"]


@dataclass(frozen=True)
class Finding:
    """What was found of a subject, and what to do; `unreachable`: something does not answer."""

    subject: str
    level: Level
    found: str
    advice: str = ""
    unreachable: bool = False

    def describe(self) -> dict[str, Any]:
        """As JSON says it."""
        return asdict(self)
