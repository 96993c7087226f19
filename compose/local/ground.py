"""Where the Elasticsearch node stands: as which user, and in which folders.

Elasticsearch refuses root. So a stack of root gives the node to an unprivileged user, and keeps the
node's files outside --home, which that user often cannot reach; --home and those files know each
other by the stack's id.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from compose.local.archive import cache_folder
from compose.local.home import Home
from indexer.errors import StackFailed

SHARED_FOLDERS = (Path("/var/lib/hitweave"), Path("/var/tmp/hitweave"))  # noqa: S108
NOBODY = 65534


@dataclass(frozen=True)
class Ground:
    """User and folders of the node; `uid` is None where it runs as whoever runs the stack."""

    distributions: Path
    node: Path
    uid: int | None = None
    gid: int | None = None

    def own(self, folder: Path) -> Path:
        """Create `folder` below the node's, for the node's user alone."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.uid is not None and self.gid is not None:
            os.chown(folder, self.uid, self.gid)
        folder.chmod(0o700)
        return folder

    def give(self, file: Path) -> None:
        """Hand a file to the node's user."""
        if self.uid is not None and self.gid is not None:
            os.chown(file, self.uid, self.gid)

    def can_run(self, program: Path, *arguments: str) -> str | None:
        """What `program` prints when the node's user runs it; None where it cannot."""
        try:
            done = subprocess.run(
                [str(program), *arguments],
                capture_output=True,
                text=True,
                timeout=60,
                cwd="/",
                check=True,
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else [],
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout


def find(home: Home) -> Ground:
    """The ground that this stack's node has or would get; makes nothing."""
    if os.geteuid() != 0 or not _can_change_user():
        return Ground(cache_folder() / "distributions", home.folder / "elasticsearch")
    shared = next((folder for folder in SHARED_FOLDERS if _is_ours(folder)), SHARED_FOLDERS[0])
    return Ground(shared / "distributions", shared / "nodes" / str(home.id()), *_nobody())


def prepare(home: Home) -> Ground:
    """The same with its folders made; nodes of root whose home is gone are removed."""
    found = find(home)
    if found.uid is None:
        return found
    shared = _make_shared_folder()
    sweep(shared)
    ground = replace(
        found, distributions=shared / "distributions", node=shared / "nodes" / found.node.name
    )
    ground.node.mkdir(parents=True, exist_ok=True)
    ground.node.chmod(0o755)
    _tie(home, ground.node)
    return ground


def sweep(shared: Path) -> None:
    """Remove the nodes whose --home is gone, and only those."""
    for node in (shared / "nodes").glob("*"):
        if _home_is_gone(node):
            shutil.rmtree(node, ignore_errors=True)


def _tie(home: Home, node: Path) -> None:
    """Let `sweep` find out whether the home still exists, also after it was moved.

    A hard link of the id file counts its names; across file systems only the path is left.
    """
    (node / "home").write_text(str(home.folder))
    link = node / "id"
    link.unlink(missing_ok=True)
    try:
        link.hardlink_to(home.id_file)
    except OSError:
        link.write_text(f"{home.id()}\n")
        (node / "device").write_text(str(home.folder.stat().st_dev))


def _home_is_gone(node: Path) -> bool:
    try:
        home = Path((node / "home").read_text())
        device = node / "device"
        if not device.exists():
            return (node / "id").stat().st_nlink == 1
        if (home / "id").exists():
            return (home / "id").read_text().strip() != node.name
        # an unmounted file system is not a deleted folder
        above = next(folder for folder in home.parents if folder.exists())
        return above.stat().st_dev == int(device.read_text())
    except (OSError, ValueError):
        return False


def _is_ours(folder: Path) -> bool:
    """Whether it is a folder of root: in /var/tmp anybody may have made one of that name."""
    return folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == 0


def _make_shared_folder() -> Path:
    for folder in SHARED_FOLDERS:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if _is_ours(folder):
                folder.chmod(0o755)
                return folder
        except OSError:
            continue
    raise StackFailed(
        f"none of {', '.join(map(str, SHARED_FOLDERS))} can be made: Elasticsearch refuses to run "
        "as root and its files need a folder that another user reaches; run as another user"
    )


def _can_change_user() -> bool:
    uid, gid = _nobody()
    try:
        subprocess.run(["true"], user=uid, group=gid, extra_groups=[], check=True)  # noqa: S607
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _nobody() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return NOBODY, NOBODY
    return entry.pw_uid, entry.pw_gid
