"""One process of the local stack, as data: how it starts, when it is ready, how it ends."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Readiness(BaseModel):
    """What to ask of a part to know that it can work."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["http", "valkey", "celery", "kafka"]
    url: str
    worker: str | None = None


class Part(BaseModel):
    """A process that the supervisor starts, awaits, restarts and ends.

    `environment` is the whole of it, or comes on top of the user's where `inherits`. `uid` and
    `gid` are None where it runs as the user. Written to a file: secrets have no place here.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    inherits: bool = False
    folder: Path
    log: Path
    readiness: Readiness
    after: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None
    ready_seconds: float = 300.0
    stop_seconds: float = 30.0
    advice: str
    note: str = ""


class Plan(BaseModel):
    """All that a supervisor runs."""

    model_config = ConfigDict(frozen=True)

    stack_id: str
    parts: tuple[Part, ...]
