"""What comes from Maven Central is used only when it is exactly the expected file."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from jgo.maven import _core

from compose.local import archive
from indexer.errors import StackFailed

CONTENT = b"a jar" * 1000
GOOD = archive.Artifact("org.example", "thing", "1.0", "jar", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def central(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Maven repository on loopback in place of Maven Central; the folder it serves."""
    folder = tmp_path / "central/org/example/thing/1.0"
    folder.mkdir(parents=True)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "central"))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(_core, "DEFAULT_REMOTE_REPOS", {"central": address})
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder / "thing-1.0.jar"
        server.shutdown()


def test_the_expected_file_is_kept_for_the_next_time(central: Path, tmp_path: Path) -> None:
    central.write_bytes(CONTENT)
    found = archive.fetch(GOOD)
    assert found.read_bytes() == CONTENT
    assert found.is_relative_to(tmp_path / "cache" / "hitweave")
    central.unlink()
    assert archive.fetch(GOOD) == found


def test_another_file_is_thrown_away(central: Path) -> None:
    central.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(StackFailed, match="SHA-256"):
        archive.fetch(GOOD)
    assert not archive.is_cached(GOOD)


def test_half_a_download_is_replaced(central: Path) -> None:
    central.write_bytes(CONTENT)
    found = archive.fetch(GOOD)
    found.write_bytes(CONTENT[:100])
    assert archive.fetch(GOOD).read_bytes() == CONTENT


def test_a_missing_file_is_an_error_that_says_where_it_was_sought(central: Path) -> None:
    with pytest.raises(StackFailed, match=r"thing 1\.0 cannot be fetched from Maven Central"):
        archive.fetch(GOOD)


def test_every_artifact_is_pinned_by_a_whole_digest() -> None:
    pinned = (archive.ELASTICSEARCH, archive.SMARTCN, archive.COMPILER)
    assert all(len(bytes.fromhex(artifact.sha256)) == 32 for artifact in pinned)
