"""The retriever plugin, compiled for the node of the local stack.

A plugin that cannot be made never stops the node: the folder then tells why it is not there.
"""

import shutil
from pathlib import Path

from compose.local import archive, compiler
from compose.local.java_runtime import Java
from indexer.errors import StackFailed

NAME = "attention-fusion"
PARTS = Path(__file__).parents[2] / "plugin" / "src" / "main"
DESCRIPTOR = "plugin-descriptor.properties"
REASON = "attention-fusion.missing"
VERSION = "0.1.0"


def files() -> list[Path]:
    """Everything that the plugin is made of; none where only the Python packages are installed."""
    return sorted(path for path in PARTS.rglob("*") if path.is_file())


def add(folder: Path, homes: tuple[Path, ...], java: Java) -> None:
    """Put the plugin into `plugins/` of each home of the distribution in `folder`."""
    try:
        made = _make(folder, java)
    except (StackFailed, OSError) as error:
        (folder / REASON).write_text(str(error))
        return
    for home in homes:
        target = home / "plugins" / NAME
        shutil.copytree(made, target, dirs_exist_ok=True)
        for path in (target.parent, target, *target.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(made)


def missing(folder: Path) -> str | None:
    """Why the distribution in `folder` has no plugin; None where it has it."""
    reason = folder / REASON
    return reason.read_text() if reason.exists() else None


def _make(folder: Path, java: Java) -> Path:
    """A folder with the plugin's files, as its zip holds them; raises StackFailed."""
    sources = [path for path in files() if path.suffix == ".java"]
    if not sources:
        raise StackFailed(f"the plugin's sources are not at {PARTS}")
    classes, made = folder / "plugin-classes", folder / "plugin-made"
    jars = sorted((folder / "lib").glob("*.jar"))
    try:
        compiler.compile_java(f"the plugin {NAME}", sources, jars, java, classes)
        made.mkdir()
        compiler.pack(classes, classes.rglob("*.class"), made / f"{NAME}.jar")
    finally:
        shutil.rmtree(classes, ignore_errors=True)
    shutil.copy(PARTS / "plugin" / "entitlement-policy.yaml", made)
    template = (PARTS / "plugin" / DESCRIPTOR).read_text()
    filled = template.replace("${elasticsearch.version}", archive.ELASTICSEARCH_VERSION)
    (made / DESCRIPTOR).write_text(filled.replace("${project.version}", VERSION))
    return made
