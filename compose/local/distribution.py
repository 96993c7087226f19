"""Elastic's archive, unpacked, with our module node-basics and our plugin compiled into it.

One folder serves all stacks; it is never changed after it has its final name.
"""

import hashlib
import os
import re
import shutil
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from compose.local import archive, compiler, fusion_plugin
from compose.local.java_runtime import Java

SOURCES = Path(__file__).parent / "java"
MODULE = "node-basics"
LAUNCHER = "Launcher"
CLASS_PATH_HOME = "class-path"
LAUNCHER_JAR = "launcher.jar"
MODULE_DESCRIPTOR = f"""\
name={MODULE}
description=Banner and language analysis for the local node
version={archive.ELASTICSEARCH_VERSION}
elasticsearch.version={archive.ELASTICSEARCH_VERSION}
java.version=21
classname=hitweave.node.NodeBasics
"""
UNUSED_SECONDS = 90 * 86_400
NOTICE = (
    "Elasticsearch {version} will be downloaded from Maven Central (132 MB). It is Elastic's own "
    "archive, used under the Elastic License 2.0: https://www.elastic.co/licensing/elastic-license"
)


@dataclass(frozen=True)
class Distribution:
    """An unpacked archive."""

    folder: Path

    @property
    def program(self) -> Path:
        """The archive's own start script."""
        return self.folder / "bin" / "elasticsearch"

    @property
    def class_path_home(self) -> Path:
        """path.home of a node on the class path: only modules that work without Java modules."""
        return self.folder / CLASS_PATH_HOME

    @property
    def plugin_missing(self) -> str | None:
        """Why there is no retriever plugin; None where there is."""
        return fusion_plugin.missing(self.folder)

    @property
    def class_path(self) -> str:
        """All jars of the server, then our launcher."""
        jars = sorted((self.folder / "lib").glob("*.jar"))
        return os.pathsep.join(map(str, [*jars, self.class_path_home / LAUNCHER_JAR]))


def unpacked(root: Path, java: Java, progress: archive.Progress | None = None) -> Distribution:
    """The distribution below `root`, made on first use with `java`."""
    target = root / f"elasticsearch-{archive.ELASTICSEARCH_VERSION}-{_sources_digest()}"
    with archive.locked(root):
        if not target.exists():
            partial = root / f"{target.name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            _unzip(archive.fetch(archive.ELASTICSEARCH, progress), partial)
            _add_module(partial, java)
            _add_class_path_home(partial)
            fusion_plugin.add(partial, (partial, partial / CLASS_PATH_HOME), java)
            partial.rename(target)
        os.utime(target)
        _remove_unused(root)
    root.chmod(0o755)
    return Distribution(target)


def _remove_unused(root: Path) -> None:
    """Those of older versions that no `up` has asked for in a long time."""
    for folder in root.glob("elasticsearch-*"):
        if time.time() - folder.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def notice() -> str | None:
    """What to tell people before the download; None where there will be none."""
    if archive.is_cached(archive.ELASTICSEARCH):
        return None
    return NOTICE.format(version=archive.ELASTICSEARCH_VERSION)


def _sources_digest() -> str:
    digest = hashlib.sha256(MODULE_DESCRIPTOR.encode())
    ours = (Path(__file__), Path(fusion_plugin.__file__), Path(compiler.__file__))
    for source in (*sorted(SOURCES.glob("*.java")), *fusion_plugin.files(), *ours):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def _unzip(path: Path, target: Path) -> None:
    """Unpack without the top folder, readable by everyone whatever the umask."""
    target.mkdir(parents=True)
    target.chmod(0o755)
    with zipfile.ZipFile(path) as opened:
        for entry in opened.infolist():
            inner = target.joinpath(*Path(entry.filename).parts[1:])
            if entry.is_dir():
                inner.mkdir(parents=True, exist_ok=True)
                inner.chmod(0o755)
                continue
            with opened.open(entry) as source, inner.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
            inner.chmod(0o755 if entry.external_attr >> 16 & 0o100 else 0o644)


def _add_module(folder: Path, java: Java) -> None:
    module = _make_readable(folder / "modules" / MODULE)
    smartcn = archive.fetch(archive.SMARTCN)
    shutil.copy(smartcn, module / smartcn.name)
    classes = _compile(folder, module / smartcn.name, java)
    launcher = {path for path in classes.rglob("*.class") if path.stem.startswith(LAUNCHER)}
    compiler.pack(classes, launcher, _make_readable(folder / CLASS_PATH_HOME) / LAUNCHER_JAR)
    compiler.pack(classes, set(classes.rglob("*.class")) - launcher, module / f"{MODULE}.jar")
    shutil.rmtree(classes)
    (module / "plugin-descriptor.properties").write_text(MODULE_DESCRIPTOR)
    _readable_files(module)


def _compile(folder: Path, smartcn: Path, java: Java) -> Path:
    classes = folder / "classes"
    jars = [*sorted((folder / "lib").glob("*.jar")), smartcn]
    compiler.compile_java(f"the module {MODULE}", SOURCES.glob("*.java"), jars, java, classes)
    return classes


def _add_class_path_home(folder: Path) -> None:
    """Transport and our module without `modulename`: on a class path there are no modules."""
    home = folder / CLASS_PATH_HOME
    (home / "lib").symlink_to("../lib")
    _make_readable(home / "plugins")
    _make_readable(home / "modules")
    for name in ("transport-netty4", MODULE):
        module = _make_readable(home / "modules" / name)
        for file in (folder / "modules" / name).iterdir():
            shutil.copy(file, module / file.name)
        descriptor = module / "plugin-descriptor.properties"
        descriptor.write_text(re.sub(r"(?m)^modulename=.*$", "", descriptor.read_text()))
        _readable_files(module)
    _readable_files(home)


def _make_readable(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    return folder


def _readable_files(folder: Path) -> None:
    for file in folder.iterdir():
        if file.is_file():
            file.chmod(0o644)
