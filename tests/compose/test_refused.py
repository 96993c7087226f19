"""What commands say, in one line, of options that cannot work and of servers that are not there."""

import os
import subprocess
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from compose.local.commands import experiments, export
from indexer.errors import AskedWrongly
from tests.conftest import HITWEAVE, free_port


def refused(command: click.Command, *words: str) -> AskedWrongly:
    """What a command says to it in this process, before it asks any server."""
    with pytest.raises(AskedWrongly) as raised:
        CliRunner().invoke(command, words, catch_exceptions=False)
    assert "\n" not in raised.value.message
    return raised.value


def without_servers(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The installed command where nothing answers."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HITWEAVE_")}
    nowhere = {"HITWEAVE_ELASTICSEARCH_URL": f"http://127.0.0.1:{free_port()}"}
    words = ("--home", str(home), *words)
    return subprocess.run(
        [str(HITWEAVE), *words], capture_output=True, text=True, env={**clean, **nowhere}
    )


def _said(since: str) -> None:
    click.echo(since)


@pytest.mark.parametrize("option", ["--since", "--until"])
@pytest.mark.parametrize("said", ["yesterday", "now-7d", "2026-13-01", ""])
def test_a_time_that_is_none_is_refused(option: str, said: str, tmp_path: Path) -> None:
    words = ("shop", str(tmp_path / "x.parquet"), "--what", "events", option, said)
    error = refused(export.command, *words)
    assert error.message == f"{option} {said!r} is not an ISO 8601 time, like 2026-01-31"


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("2026-01-31", "2026-01-31"),
        ("20260131", "2026-01-31"),
        ("2026-01-31 10:00", "2026-01-31T10:00:00.000"),
        ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00.000+00:00"),
    ],
)
def test_a_time_is_said_as_elasticsearch_reads_it(said: str, read: str) -> None:
    command = click.Command(
        "one", params=[it for it in export.command.params if it.name == "since"]
    )
    command.callback = _said
    assert CliRunner().invoke(command, ["--since", said]).stdout.strip() == read


def test_a_time_without_a_zone_is_utc_wherever_the_command_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert experiments._moment("1970-01-02") == 86_400.0
        assert experiments._moment("1970-01-01T09:00:00+08:00") == 3_600.0
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_metric_that_is_none_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(AskedWrongly, match="metric is 'foo': use one of ctr, purchase_rate, "):
        experiments._wish("shop", metric="foo")


def test_what_else_no_experiment_can_have_is_said_without_a_link() -> None:
    with pytest.raises(AskedWrongly, match=r"alpha: [^\n]*$"):
        experiments._wish("shop", alpha=float("nan"))


@pytest.mark.parametrize("effect", [-2.0, -1.0, float("nan"), float("inf")])
def test_an_effect_that_nothing_can_have_is_refused(effect: float) -> None:
    with pytest.raises(AskedWrongly, match=r"effect is .*: use a relative change above -1"):
        experiments._wish("shop", effect=effect)
    assert experiments._wish("shop", effect=-0.5).effect == -0.5


def test_a_node_that_is_not_there_is_said_in_words_and_without_tracebacks(tmp_path: Path) -> None:
    done = without_servers(tmp_path, "experiments", "list", "--index", "shop")
    assert done.returncode == 3
    *warnings, last = done.stderr.splitlines()
    assert last.startswith("hitweave: Elasticsearch does not answer at http://127.0.0.1:")
    assert "HITWEAVE_ELASTICSEARCH_URL" in last
    assert any("Retrying request after failure" in line for line in warnings)
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 5_000
