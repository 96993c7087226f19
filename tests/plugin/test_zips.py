"""The plugin's own Java tests, and its zip as Maven builds it."""

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from compose.local import ground, java_runtime
from compose.local.archive import ELASTICSEARCH_VERSION
from compose.local.home import Home

ROOT = Path(__file__).parents[2]


def test_maven_tests_the_plugin_and_packs_a_zip(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.folder.mkdir()
    java = java_runtime.find_jdk(ground.find(home))
    if shutil.which("mvn") is None or java is None:
        pytest.skip("building the plugin needs Maven and a JDK 21 or later")
    copy = tmp_path / "plugin"
    shutil.copytree(ROOT / "plugin", copy, ignore=shutil.ignore_patterns("target"))
    done = subprocess.run(
        [str(copy / "build.sh")],
        env={**os.environ, "JAVA_HOME": str(java.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    (packed,) = (copy / "target" / "zips").glob("*.zip")
    with zipfile.ZipFile(packed) as opened:
        names = set(opened.namelist())
        descriptor = opened.read("plugin-descriptor.properties").decode()
    assert names == {
        "plugin-descriptor.properties",
        "entitlement-policy.yaml",
        "attention-fusion-0.1.0.jar",
    }
    assert f"elasticsearch.version={ELASTICSEARCH_VERSION}" in descriptor
    reports = (copy / "target" / ELASTICSEARCH_VERSION / "surefire-reports").glob("*.txt")
    assert len([*reports]) >= 3
