"""A trained model on disk: one folder that serving and learning meet in.

    <models>/<index>/<version>/manifest.json   what it is, made of what, how good, hashes
                               model.onnx      the network (several seeds averaged in one graph)
                               item_table.npz  learned behavioural vectors of items
                               measured.onnx, measured_table.npz  the same before the last days
                                               were learned: what the metrics are of, and what
                                               the next training compares itself with
                               lambdamart.txt, linear.json   optional: baselines fitted to the lists
                                               of the served network, read by measurements only
                               trees.onnx, measured_trees.onnx   optional: boosted trees whose
                                               scores are added to those of the networks above
                               weights.npz   optional: what the next training may begin from
                               network.npz   optional: the served network's weights before any
                                               rounding, for runtimes other than ONNX's, and to
                                               score without one where they say no more than a line

Fails closed: a missing, altered or foreign part raises InvalidArtifact before anything is served.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from indexer.errors import InvalidArtifact
from reranker.signals import definition, item_table
from reranker.signals.item_table import ItemTable

FORMAT = 1
MODEL, MANIFEST, TABLE = "model.onnx", "manifest.json", "item_table.npz"
MEASURED_MODEL, MEASURED_TABLE = "measured.onnx", "measured_table.npz"
PARTS = (MODEL, TABLE, MEASURED_MODEL, MEASURED_TABLE)
LAMBDAMART, LINEAR = "lambdamart.txt", "linear.json"
WEIGHTS, NETWORK = "weights.npz", "network.npz"
TREES, MEASURED_TREES = "trees.onnx", "measured_trees.onnx"
OPTIONAL = (LAMBDAMART, LINEAR, WEIGHTS, NETWORK, TREES, MEASURED_TREES)


class Manifest(BaseModel):
    """All that is known of a model beside its weights."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    version: str
    index: str
    created_at: str
    parent: str | None = None
    signal_digest: str
    recipe_digest: str
    dims: int = Field(gt=0)
    head_weights: dict[str, float]
    prior_weights: dict[str, float]
    tokens: list[str]
    hashes: dict[str, str]
    metrics: dict[str, Any] = {}
    data: dict[str, Any] = {}
    reference: dict[str, Any] = {}  # what `signals.drift` holds served signals against
    config: dict[str, Any] = {}


@dataclass(frozen=True, eq=False)
class Artifact:
    """A verified artifact, loaded; `network` are the weights of `model`, None where not kept;
    `trees` is the graph of what is added to it, None where nothing is.
    """

    folder: Path
    manifest: Manifest
    model: bytes
    item_table: ItemTable
    network: bytes | None = None
    trees: bytes | None = None


@dataclass(frozen=True, eq=False)
class Parts:
    """What `write` puts beside the manifest; `optional` by name, of OPTIONAL."""

    model: bytes
    table: ItemTable
    measured_model: bytes
    measured_table: ItemTable
    optional: Mapping[str, bytes] = field(default_factory=dict)


def load(folder: Path, *, measured: bool = False) -> Artifact:
    """Read and verify, the served network or the measured one; raises InvalidArtifact.

    Of the optional parts only the served network's weights and the trees are looked at.
    """
    manifest = read_manifest(folder)
    if manifest.format != FORMAT:
        raise InvalidArtifact(f"{folder} has format {manifest.format}, not {FORMAT}: train again")
    if manifest.signal_digest != definition.digest():
        raise InvalidArtifact(
            f"{folder} was trained on other signals ({manifest.signal_digest}) than this version "
            f"computes ({definition.digest()}): train again"
        )
    missing = [name for name in PARTS if name not in manifest.hashes]
    if missing:
        raise InvalidArtifact(f"{folder} lacks {', '.join(missing)}: restore it or roll back")
    beside = [name for name in (NETWORK, TREES, MEASURED_TREES) if name in manifest.hashes]
    contents = {name: _verified(folder, name, manifest.hashes[name]) for name in (*PARTS, *beside)}
    model, table = (MEASURED_MODEL, MEASURED_TABLE) if measured else (MODEL, TABLE)
    try:
        found = item_table.load(folder / table)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidArtifact(f"{folder / table} cannot be read ({error}): roll back") from error
    network = None if measured else contents.get(NETWORK)
    trees = contents.get(MEASURED_TREES if measured else TREES)
    return Artifact(folder, manifest, contents[model], found, network, trees)


def read_manifest(folder: Path) -> Manifest:
    """The manifest alone; raises InvalidArtifact."""
    try:
        found = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidArtifact(f"{folder} has no readable {MANIFEST} ({reason})") from error
    for name in found.hashes:
        if Path(name).name != name:
            raise InvalidArtifact(f"{folder}: {MANIFEST} names a file outside the folder: {name!r}")
    return found


def optional(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """The optional parts that there are, verified; raises InvalidArtifact for a damaged one."""
    names = [name for name in OPTIONAL if name in manifest.hashes]
    return {name: _verified(folder, name, manifest.hashes[name]) for name in names}


def write(folder: Path, parts: Parts, manifest: Manifest) -> Manifest:
    """Write the whole folder or nothing; returns the manifest with the hashes of its parts."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        (making / MODEL).write_bytes(parts.model)
        (making / MEASURED_MODEL).write_bytes(parts.measured_model)
        item_table.save(parts.table, making / TABLE)
        item_table.save(parts.measured_table, making / MEASURED_TABLE)
        for name in OPTIONAL:
            if name in parts.optional:
                (making / name).write_bytes(parts.optional[name])
        written = (*PARTS, *(name for name in OPTIONAL if name in parts.optional))
        hashes = {name: _sha256((making / name).read_bytes()) for name in written}
        complete = manifest.model_copy(update={"hashes": hashes})
        (making / MANIFEST).write_text(complete.model_dump_json(indent=2), "utf-8")
        making.chmod(0o755)
        os.rename(making, folder)  # noqa: PTH104 - rename refuses a folder that has files
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    return complete


def _verified(folder: Path, name: str, digest: str) -> bytes:
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise InvalidArtifact(f"{folder / name} cannot be read: restore it or roll back") from error
    if _sha256(content) != digest:
        raise InvalidArtifact(
            f"{folder / name} was altered since it was written: restore it or roll back"
        )
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
