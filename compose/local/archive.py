"""Fetches what the local node is made of from Maven Central into the user's cache.

Every file is pinned by SHA-256 here; one that differs is thrown away and never used.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import StackFailed

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
ELASTICSEARCH_VERSION = "9.5.3"


@dataclass(frozen=True)
class Artifact:
    """One file on Maven Central and the digest that it must have."""

    group: str
    name: str
    version: str
    packaging: str
    sha256: str


ELASTICSEARCH = Artifact(
    "org.elasticsearch.distribution.integ-test-zip",
    "elasticsearch",
    ELASTICSEARCH_VERSION,
    "zip",
    "bec49f3b8d00e75c8d1cec85c35298635ec9fbd3ae80ef5aeb6bc05abdb3db2d",
)
# 10.5.1, the server's own Lucene, was never published for smartcn; 10.5.0 runs with it.
SMARTCN = Artifact(
    "org.apache.lucene",
    "lucene-analysis-smartcn",
    "10.5.0",
    "jar",
    "0660dfaf2d8e9966116ab0fc805c409a78cc67ac5515676b8bd1887a2dfbbcc1",
)
COMPILER = Artifact(
    "org.eclipse.jdt",
    "ecj",
    "3.46.100",
    "jar",
    "74c93172475fee0cd4e6eefb44233516dd40525642da35d009146d97ea598229",
)


def cache_folder() -> Path:
    """Where downloads are kept for all stacks of this user."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "hitweave"


def fetch(artifact: Artifact, progress: Progress | None = None) -> Path:
    """Path of the verified file, downloaded where it is not cached yet; raises StackFailed."""
    try:
        from jgo.maven import MavenContext, PythonResolver
    except ImportError:
        raise StackFailed(
            "the package jgo, which fetches Elasticsearch, is not installed: "
            "`pip install 'hitweave[local]'`, or name a running cluster with --es-url"
        ) from None
    cache = cache_folder() / "maven"
    with locked(cache):
        context = MavenContext(
            PythonResolver(progress_callback=progress), repo_cache=cache, timeout=30
        )
        wanted = (
            context.project(artifact.group, artifact.name)
            .at_version(artifact.version)
            .artifact(packaging=artifact.packaging)
        )
        path = Path(str(wanted.cached_path))
        if path.exists() and not _matches(path, artifact):
            path.unlink()  # an interrupted download
        return _download(wanted.resolve, path, artifact)


def is_cached(artifact: Artifact) -> bool:
    """Whether a file of that name is in the cache; says nothing of its content."""
    folder = cache_folder().joinpath("maven", *artifact.group.split("."), artifact.name)
    return any((folder / artifact.version).glob(f"*.{artifact.packaging}"))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time; the others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(resolve: Callable[[], Path], path: Path, artifact: Artifact) -> Path:
    import requests

    try:
        found = resolve()
    except (requests.RequestException, RuntimeError, OSError) as error:
        path.unlink(missing_ok=True)
        raise StackFailed(
            f"{artifact.name} {artifact.version} cannot be fetched from Maven Central "
            f"({type(error).__name__}): check the network or proxy settings and try again"
        ) from error
    if not _matches(found, artifact):
        found.unlink()
        raise StackFailed(
            f"{artifact.name} {artifact.version} as downloaded differs from the expected file "
            "(SHA-256): it was thrown away; try again, and check the proxy if it happens again"
        )
    return Path(found)


def _matches(path: Path, artifact: Artifact) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == artifact.sha256
