"""Which artifacts an index has, which one serves, and which served before.

`current` holds the serving version and `promotions` all promotions, oldest first; both are
replaced atomically, so a reader never sees half of one.
"""

import os
import tempfile
from pathlib import Path

from indexer.errors import AskedWrongly, InvalidArtifact
from reranker.fusion import artifact
from reranker.fusion.artifact import Manifest

CURRENT, PROMOTIONS = "current", "promotions"
BESIDE = "@"  # behind an index's name, before what else its models are for


def for_recommendations(index: str) -> str:
    """The name that the models of an index's recommendations are kept under.

    They are the same network, fitted to lists without a query. No index can be called like that.
    """
    return f"{index}{BESIDE}recommend"


def for_policy(index: str) -> str:
    """The name that the slate policies of an index are kept under."""
    return f"{index}{BESIDE}policy"


def indices(models_dir: Path) -> list[str]:
    """Indices that a model was promoted for, whatever it does there."""
    return sorted({it.parent.name.partition(BESIDE)[0] for it in models_dir.glob(f"*/{CURRENT}")})


class Registry:
    """The artifacts of one index."""

    def __init__(self, models_dir: Path, index: str) -> None:
        self.folder = models_dir / index

    def path(self, version: str) -> Path:
        """Folder of a version."""
        return self.folder / version

    def versions(self) -> list[Manifest]:
        """Manifests of all readable artifacts, oldest first."""
        found = []
        folders = sorted(self.folder.glob("*/manifest.json")) if self.folder.is_dir() else []
        for file in folders:
            try:
                found.append(artifact.read_manifest(file.parent))
            except InvalidArtifact:
                continue
        return sorted(found, key=lambda m: (m.created_at, m.version))

    def unused(self, name: str) -> str:
        """The name, or with a number behind it, that no version has."""
        taken = {m.version for m in self.versions()}
        names = (name, *(f"{name}-{n}" for n in range(2, 100)))
        return next(it for it in names if it not in taken)

    def current(self) -> str | None:
        """The version that serves; None: the untrained prior."""
        try:
            return (self.folder / CURRENT).read_text("utf-8").strip() or None
        except OSError:
            return None

    def promote(self, version: str) -> None:
        """Let a version serve; raises AskedWrongly where there is none, InvalidArtifact."""
        if not (self.path(version) / artifact.MANIFEST).is_file():
            known = ", ".join(m.version for m in self.versions()) or "none"
            raise AskedWrongly(f"there is no model {version!r} (there are: {known})")
        artifact.load(self.path(version))
        self._point(version, [*self.promotions(), version])

    def rollback(self) -> str | None:
        """Let the version serve that served before; None means the untrained prior again."""
        promotions = self.promotions()
        if not promotions:
            raise AskedWrongly("no model was ever promoted: there is nothing to roll back to")
        earlier = promotions[:-1]
        self._point(earlier[-1] if earlier else None, earlier)
        return earlier[-1] if earlier else None

    def promotions(self) -> list[str]:
        """Every promoted version that was not rolled back, oldest first."""
        try:
            return (self.folder / PROMOTIONS).read_text("utf-8").split()
        except OSError:
            return []

    def _point(self, version: str | None, promotions: list[str]) -> None:
        replace_whole(self.folder / PROMOTIONS, "\n".join(promotions))
        if version is None:
            (self.folder / CURRENT).unlink(missing_ok=True)
        else:
            replace_whole(self.folder / CURRENT, version)


def replace_whole(path: Path, text: str) -> None:
    """Write a file in one go: a reader sees what it was or what it is."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)
