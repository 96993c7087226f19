"""The command line itself: --home anywhere, remembered addresses, errors in words."""

import os
import subprocess
from pathlib import Path

import click
import pytest
from rich.console import Console

from compose.local.cli import COMMANDS, take_home
from compose.local.commands import search
from compose.local.home import Addresses, Home, write_json
from indexer.catalogue.mapping import IndexConfig
from indexer.errors import AskedWrongly
from tests.conftest import HITWEAVE

ADDRESSES = Addresses(
    elasticsearch_url="http://127.0.0.1:1",
    valkey_url="redis://127.0.0.1:2/0",
    sidecar_url="http://127.0.0.1:3",
)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The installed command, without the addresses of the stack under test."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HITWEAVE_")}
    return subprocess.run(
        [str(HITWEAVE), *arguments], capture_output=True, text=True, env={**clean, **environment}
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--home", "/x", "status", "--flag"],
        ["status", "--home", "/x", "--flag"],
        ["status", "--flag", "--home=/x"],
    ],
)
def test_home_is_taken_wherever_it_stands(arguments: list[str]) -> None:
    assert take_home(arguments) == (["status", "--flag"], "/x")


def test_nothing_after_a_double_dash_is_an_option() -> None:
    assert take_home(["search", "--", "--home", "x"]) == (["search", "--", "--home", "x"], None)


def test_home_without_a_folder_is_refused() -> None:
    with pytest.raises(click.UsageError, match="--home"):
        take_home(["status", "--home"])


def test_every_command_module_has_its_line_of_help() -> None:
    modules = (Path(__file__).parents[2] / "compose/local/commands").glob("[a-z]*.py")
    assert {path.stem.replace("_", "-") for path in modules} <= {*COMMANDS}


def test_help_lists_only_commands_that_exist() -> None:
    listed = run("--help").stdout
    assert "doctor" in listed
    assert all(f"\n  {name} " in listed for name in ("up", "down", "status", "serve", "worker"))
    folder = Path(__file__).parents[2] / "compose/local/commands"
    absent = [name for name in COMMANDS if not (folder / f"{name.replace('-', '_')}.py").exists()]
    assert not [name for name in absent if f"\n  {name} " in listed]


def test_help_of_the_group_imports_no_command() -> None:
    program = (
        "import sys; from compose.local.cli import hitweave\n"
        "try: hitweave.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('redis', 'elasticsearch', 'numpy', 'celery') if m in sys.modules])"
    )
    done = subprocess.run(
        [str(HITWEAVE.with_name("python")), "-c", program], capture_output=True, text=True
    )
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr


def test_remembered_addresses_reach_a_command(tmp_path: Path) -> None:
    write_json(tmp_path / "stack.json", ADDRESSES.model_dump())
    done = run("doctor", "--home", str(tmp_path))
    assert done.returncode == 3, done.stderr
    assert "http://127.0.0.1:1" in done.stdout


def test_the_environment_wins_over_remembered_addresses(tmp_path: Path) -> None:
    write_json(tmp_path / "stack.json", ADDRESSES.model_dump())
    done = run("doctor", "--home", str(tmp_path), HITWEAVE_ELASTICSEARCH_URL="http://127.0.0.1:11")
    assert "http://127.0.0.1:11 " in done.stdout


def test_the_home_comes_from_the_environment_where_no_option_says_it(tmp_path: Path) -> None:
    done = run("status", HITWEAVE_HOME=str(tmp_path / "there"))
    assert str(tmp_path / "there") in done.stdout


def test_status_of_a_home_that_was_never_up_fails_and_makes_nothing(tmp_path: Path) -> None:
    done = run("status", "--home", str(tmp_path / "never"))
    assert done.returncode == 3
    assert "hitweave up" in done.stderr
    assert not (tmp_path / "never").exists()


def test_an_error_of_ours_is_one_line_with_its_exit_code(tmp_path: Path) -> None:
    done = run("up", "--home", str(tmp_path), "--only", "elephant")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "'elephant'" in done.stderr


def test_settings_that_cannot_work_are_named(tmp_path: Path) -> None:
    done = run("serve", "--home", str(tmp_path), HITWEAVE_CHUNK_ITEMS="0")
    assert done.returncode == 2
    assert "HITWEAVE_CHUNK_ITEMS" in done.stderr


def test_a_worker_of_an_unknown_queue_is_refused(tmp_path: Path) -> None:
    done = run("worker", "-Q", "embed,paint", "--home", str(tmp_path))
    assert done.returncode == 2
    assert "paint" in done.stderr


def test_a_key_of_the_environment_is_kept_and_another_one_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home")
    monkeypatch.setenv("HITWEAVE_PSEUDONYM_KEY", "mine")
    home.make()
    assert home.pseudonym_key() == "mine"
    monkeypatch.setenv("HITWEAVE_PSEUDONYM_KEY", "another")
    with pytest.raises(AskedWrongly, match="HITWEAVE_PSEUDONYM_KEY"):
        home.make()
    assert home.pseudonym_key() == "mine"


def test_the_pseudonym_key_is_made_once_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HITWEAVE_PSEUDONYM_KEY", raising=False)
    home = Home(tmp_path / "home")
    home.make()
    first = home.pseudonym_key()
    home.make()
    assert first
    assert len(first) == 64
    assert home.pseudonym_key() == first
    assert home.pseudonym_key_file.stat().st_mode & 0o777 == 0o600
    assert home.environment()["HITWEAVE_PSEUDONYM_KEY"] == first


@pytest.mark.parametrize("user", ["", "  "])
def test_nobody_is_not_erased(user: str, tmp_path: Path) -> None:
    """An empty name would match the rejected lines of everybody."""
    rejected = tmp_path / "rejected" / "events-1.ndjson"
    rejected.parent.mkdir()
    rejected.write_text('{"source":"x"}\n')
    done = run("erase-user", user, "--home", str(tmp_path))
    assert done.returncode == 2
    assert "USER is empty" in done.stderr
    assert rejected.read_text() == '{"source":"x"}\n'


def test_hits_are_shown_under_the_names_that_an_index_gives_them() -> None:
    config = IndexConfig(fields={"title": "name", "price": "money.amount"})
    hit = {"_id": "1", "_score": None, "_source": {"name": "Lamp", "money": {"amount": 5}}}
    found = [search.field_of(hit, config, name) for name in ("title", "price", "brand")]
    assert found == ["Lamp", 5, None]
    assert search.field_of({"_id": "1"}, config, "price") is None
    console = Console(width=100)
    with console.capture() as shown:
        console.print(search.table({"hits": {"hits": [hit]}}, config))
    assert "Lamp" in shown.get()
