"""A plugin that cannot be made tells why and stops nothing."""

from pathlib import Path

import pytest

from compose.local import compiler, fusion_plugin
from compose.local.java_runtime import Java
from indexer.errors import StackFailed

JAVA = Java(Path("/nowhere"), 25, complete=False)


def test_without_its_sources_the_folder_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fusion_plugin, "PARTS", tmp_path / "absent")
    fusion_plugin.add(tmp_path, (tmp_path,), JAVA)
    assert "sources are not at" in str(fusion_plugin.missing(tmp_path))
    assert not (tmp_path / "plugins").exists()


def test_a_plugin_that_does_not_compile_leaves_nothing_but_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object) -> None:
        raise StackFailed("the plugin attention-fusion does not compile: no")

    monkeypatch.setattr(compiler, "compile_java", fails)
    fusion_plugin.add(tmp_path, (tmp_path,), JAVA)
    assert "does not compile" in str(fusion_plugin.missing(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [fusion_plugin.REASON]


def test_a_distribution_with_its_plugin_gives_no_reason(tmp_path: Path) -> None:
    assert fusion_plugin.missing(tmp_path) is None
