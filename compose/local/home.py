"""The folder of one local stack: where its files are and what it remembers.

The only place that reads and writes stack.json, the stack's id and its pseudonym key.
"""

import os
import secrets
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from indexer.errors import AskedWrongly, StackFailed

DEFAULT_HOME = ".hitweave"
PSEUDONYM_KEY = "HITWEAVE_PSEUDONYM_KEY"


class Addresses(BaseModel):
    """Where the servers of a stack answer; what every command and process is told."""

    model_config = ConfigDict(frozen=True)

    elasticsearch_url: str
    valkey_url: str
    sidecar_url: str

    def environment(self) -> dict[str, str]:
        """The addresses as HITWEAVE_* variables."""
        return {f"HITWEAVE_{name.upper()}": value for name, value in self.model_dump().items()}


class Home:
    """Paths below one --home folder; makes nothing until asked to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()

    @property
    def logs(self) -> Path:
        """One log a part, and the supervisor's."""
        return self.folder / "logs"

    @property
    def addresses_file(self) -> Path:
        """Addresses of the stack, kept after `down` so that `up` comes back on the same ports."""
        return self.folder / "stack.json"

    @property
    def plan_file(self) -> Path:
        """What the supervisor runs."""
        return self.folder / "plan.json"

    @property
    def run_file(self) -> Path:
        """What the supervisor last said of its parts."""
        return self.folder / "run.json"

    @property
    def id_file(self) -> Path:
        """Name of this stack; data kept outside the home and all its processes carry it."""
        return self.folder / "id"

    @property
    def lock_file(self) -> Path:
        """Locked by the one supervisor of this home."""
        return self.folder / "supervisor.lock"

    @property
    def pseudonym_key_file(self) -> Path:
        """Key of the HMAC over user ids, readable by its owner alone."""
        return self.folder / "pseudonym.key"

    def make(self) -> None:
        """Create the folder with an id and a pseudonym key, keeping those that exist."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            _write_once(self.id_file, secrets.token_hex(8), 0o644)
            given = os.environ.get(PSEUDONYM_KEY)
            _write_once(self.pseudonym_key_file, given or secrets.token_hex(32), 0o600)
        except OSError as error:
            raise StackFailed(
                f"the folder {self.folder} cannot be written ({error.strerror}): "
                "choose another one with --home"
            ) from error
        if given and given != self.pseudonym_key():
            raise AskedWrongly(
                f"{PSEUDONYM_KEY} is not the key of this stack, {self.pseudonym_key_file}: unset "
                "it, or put it into that file; under another key every shopper is a new one"
            )

    def id(self) -> str | None:
        """Name of this stack, None before the first `up`."""
        return _read(self.id_file)

    def pseudonym_key(self) -> str | None:
        """The key, None before the first `up`."""
        return _read(self.pseudonym_key_file)

    def addresses(self) -> Addresses | None:
        """Addresses of the last `up`, None before the first one."""
        try:
            return Addresses.model_validate_json(self.addresses_file.read_bytes())
        except (OSError, ValidationError):
            return None

    def environment(self) -> dict[str, str]:
        """What every process of this stack is told by HITWEAVE_* variables."""
        addresses = self.addresses()
        told = addresses.environment() if addresses else {}
        key = self.pseudonym_key()
        return {
            **told,
            **({PSEUDONYM_KEY: key} if key else {}),
            "HITWEAVE_HOME": str(self.folder),
        }


def write_json(path: Path, value: object) -> None:
    """Replace `path` as a whole, so that no reader sees half of it."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str))
    partial.replace(path)


def _write_once(path: Path, text: str, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None
