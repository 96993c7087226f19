"""Artifacts and their registry: verified on load, promoted and rolled back by a pointer."""

from pathlib import Path
from typing import Any

import pytest

from indexer.errors import AskedWrongly, InvalidArtifact
from reranker.fusion import artifact
from reranker.fusion.registry import Registry
from tests.reranker.fusion.artifacts import (
    linear_network,
    manifest,
    parts,
    write,
    write_networks,
)


def test_what_is_written_is_loaded(tmp_path: Path) -> None:
    folder = write(tmp_path)
    served, measured = artifact.load(folder), artifact.load(folder, measured=True)
    assert served.manifest.version == "v1"
    assert set(served.manifest.hashes) == set(artifact.PARTS)
    assert served.item_table.width == measured.item_table.width == 4


@pytest.mark.parametrize("name", artifact.PARTS)
def test_an_altered_part_is_refused(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(InvalidArtifact, match="altered"):
        artifact.load(folder)


@pytest.mark.parametrize("name", [*artifact.PARTS, artifact.MANIFEST])
def test_a_missing_part_is_refused(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path)
    (folder / name).unlink()
    with pytest.raises(InvalidArtifact):
        artifact.load(folder)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"signal_digest": "other"}, "other signals"), ({"format": 99}, "format 99")],
)
def test_a_foreign_artifact_is_refused(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidArtifact, match=says):
        artifact.load(write(tmp_path, **changes))


def test_a_manifest_cannot_name_files_outside_its_folder(tmp_path: Path) -> None:
    folder = write(tmp_path)
    outside = manifest(hashes={"../secret": "0"})
    (folder / artifact.MANIFEST).write_text(outside.model_dump_json())
    with pytest.raises(InvalidArtifact, match="outside"):
        artifact.load(folder)


def test_altered_weights_of_the_network_are_refused(tmp_path: Path) -> None:
    folder = write_networks(tmp_path / "v1", [linear_network()], keep=True)
    assert artifact.load(folder).network is not None
    assert artifact.load(folder, measured=True).network is None
    (folder / artifact.NETWORK).write_bytes(b"other")
    with pytest.raises(InvalidArtifact, match="altered"):
        artifact.load(folder)


def test_a_version_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = write(tmp_path)
    before = (folder / artifact.MANIFEST).read_bytes()
    with pytest.raises(OSError, match=r"not empty|exists"):
        artifact.write(folder, parts(1), manifest())
    assert (folder / artifact.MANIFEST).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["v1"]


def test_promotion_and_rollback_move_the_pointer(tmp_path: Path) -> None:
    registry = Registry(tmp_path, "shop")
    for version in ("v1", "v2"):
        write(registry.folder, version)
        registry.promote(version)
    assert registry.current() == "v2"
    assert registry.rollback() == registry.current() == "v1"
    assert registry.rollback() is None
    assert registry.current() is None
    with pytest.raises(AskedWrongly, match="nothing to roll back"):
        registry.rollback()


def test_a_broken_version_is_not_promoted_and_the_old_one_keeps_serving(tmp_path: Path) -> None:
    registry = Registry(tmp_path, "shop")
    write(registry.folder, "v1")
    registry.promote("v1")
    (write(registry.folder, "v2") / artifact.MODEL).write_bytes(b"broken")
    with pytest.raises(InvalidArtifact):
        registry.promote("v2")
    assert registry.current() == "v1"


def test_an_unknown_version_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    registry = Registry(tmp_path, "shop")
    write(registry.folder, "v1")
    with pytest.raises(AskedWrongly, match="v1"):
        registry.promote("v9")
    assert [m.version for m in registry.versions()] == ["v1"]
