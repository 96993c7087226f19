"""Compiles Java and packs it, on any Java runtime: Eclipse's compiler needs no JDK."""

import os
import subprocess
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from compose.local import archive
from compose.local.java_runtime import Java
from indexer.errors import StackFailed


def compile_java(
    what: str, sources: Iterable[Path], class_path: Sequence[Path], java: Java, classes: Path
) -> None:
    """Compile `sources` into the folder `classes`; raises StackFailed with the compiler's words."""
    command = [str(java.program), "-jar", str(archive.fetch(archive.COMPILER))]
    command += ["-source", "21", "-target", "21", "-proc:none", "-nowarn"]
    command += ["-classpath", os.pathsep.join(map(str, class_path)), "-d", str(classes)]
    command += [str(source) for source in sorted(sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StackFailed(f"{what} does not compile:\n{done.stdout}{done.stderr}")


def pack(root: Path, files: Iterable[Path], path: Path) -> None:
    """Put `files` below `root` into the jar `path`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as jar:
        for file in sorted(files):
            jar.write(file, file.relative_to(root).as_posix())
