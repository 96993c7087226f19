"""Real requests as data: one YAML file a subject, one request a line.

`$INDEX` stands for the shop's index, `$VECTOR` for a query vector of it, `$BASE64` and `$HEX` for
the same vector as text: of float32, most significant byte first, and of bytes.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
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
    if vector:
        text = text.replace("$BASE64", as_base64(vector)).replace("$HEX", as_hex(vector))
    return json.loads(text.replace("$INDEX", index))


def as_base64(vector: Sequence[float]) -> str:
    """The vector exactly, as Elasticsearch takes it in place of a list."""
    return base64.b64encode(np.array(vector, dtype=">f4").tobytes()).decode()


def as_hex(vector: Sequence[float]) -> str:
    """The vector's direction in whole numbers of one byte, as Elasticsearch takes them."""
    numbers = np.array(vector) / np.abs(vector).max() * 127
    return np.rint(numbers).astype(np.int8).tobytes().hex()


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
