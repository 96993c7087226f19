"""Real requests as data: one YAML file a subject, one request a line.

`$INDEX` stands for the shop's index, `$VECTOR` for a query vector of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
SEARCH_BODIES = ("queries", "shaping", "aggregations", "errors")


@dataclass(frozen=True)
class Asked:
    """One request of the corpus with its placeholders filled in."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def search_bodies() -> dict[str, dict[str, Any]]:
    """Bodies of single searches by subject and name."""
    found = {}
    for subject in SEARCH_BODIES:
        found |= {f"{subject}: {name}": body for name, body in _read(subject).items()}
    return found


def requests() -> dict[str, dict[str, Any]]:
    """Whole requests by name."""
    return _read("requests")


def filled(body: Any, index: str, vector: list[float]) -> Any:
    """A body of the corpus with its placeholders filled in."""
    text = json.dumps(body).replace('"$VECTOR"', json.dumps(vector))
    return json.loads(text.replace("$INDEX", index))


def request(entry: Mapping[str, Any], index: str) -> Asked:
    """A whole request of the corpus."""
    method, _, path = entry["ask"].partition(" ")
    body = None
    if "text" in entry:
        encoding = "latin-1" if entry.get("latin") else "utf-8"
        body = entry["text"].replace("$INDEX", index).encode(encoding)
    elif "body" in entry:
        body = json.dumps(filled(entry["body"], index, [])).encode()
    return Asked(method, path.replace("$INDEX", index), body, entry.get("headers", {}))


def _read(subject: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((HERE / f"{subject}.yaml").read_text("utf-8"))
    return read
