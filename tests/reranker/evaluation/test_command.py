import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from compose.local.commands.evaluate import command, command_line
from indexer import settings
from indexer.errors import AskedWrongly, SidecarUnavailable
from tests.conftest import free_port

from .conftest import ScriptedSidecar


@pytest.fixture
def shop(sidecar: ScriptedSidecar, monkeypatch: pytest.MonkeyPatch) -> ScriptedSidecar:
    """A sidecar whose Elasticsearch and Valkey cannot be seen from here."""
    monkeypatch.setenv("HITWEAVE_SIDECAR_URL", sidecar.url)
    monkeypatch.setenv("HITWEAVE_ELASTICSEARCH_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("HITWEAVE_VALKEY_URL", f"redis://127.0.0.1:{free_port()}/0")
    settings.load.cache_clear()
    sidecar.lists = {
        "bm25": {"bag": ["x", "a"], "cup": ["c"]},
        "knn": {"bag": ["x", "y"], "cup": ["c"]},
        "rrf": {"bag": ["x", "a"], "cup": ["c"]},
        "fused": {"bag": ["a", "x"], "cup": ["c", "a"]},
    }
    return sidecar


@pytest.fixture(autouse=True)
def read_settings_again() -> Any:
    yield
    settings.load.cache_clear()


@pytest.fixture
def judged(tmp_path: Path) -> str:
    path = tmp_path / "judged.csv"
    path.write_text("query,docid,rating\nbag,a,3\nbag,x,0\ncup,c,1\nlamp,l,0\n")
    return str(path)


@pytest.fixture
def cases(tmp_path: Path) -> str:
    path = tmp_path / "cases.jsonl"
    rows = [
        {"user_id": "7", "queries": ["bag", "big bag"], "target": "a", "bought_before": False},
        {"user_id": "8", "queries": ["cup", "tea cup"], "target": "c", "bought_before": True},
    ]
    path.write_text(
        "".join(json.dumps({**row, "as_of": "2011-01-01T00:00:00Z"}) + "\n" for row in rows)
    )
    return str(path)


def run(*words: str) -> Result:
    return CliRunner().invoke(command, words, catch_exceptions=False)


def last_json(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    decoded: dict[str, Any] = json.loads(result.stdout.strip().splitlines()[-1])
    return decoded


def test_judgements_give_the_metrics_of_each_mode_and_the_differences(
    shop: ScriptedSidecar, judged: str
) -> None:
    said = last_json(run("shop", "--judgements", judged))
    assert (said["index"], said["queries"]) == ("shop", 2)
    assert list(said["modes"]) == ["bm25", "knn", "rrf", "fused"]
    assert said["modes"]["bm25"]["mrr"] == 0.75
    assert said["modes"]["fused"]["mrr"] == 1.0
    assert said["modes"]["fused"]["coverage@10"] == 3 / 20
    assert set(said["against"]) == {"bm25", "knn", "rrf"}
    assert said["against"]["bm25"]["metric"] == "ndcg@10"


def test_nothing_that_is_measured_is_recorded(shop: ScriptedSidecar, judged: str) -> None:
    run("shop", "--judgements", judged)
    searches = [it for it in shop.requests if "ext" in it]
    assert len(searches) == 4 * 2
    assert all(it["ext"]["hitweave"]["record"] is False for it in searches)


def test_cases_are_asked_for_their_shopper_and_parted(shop: ScriptedSidecar, cases: str) -> None:
    said = last_json(run("shop", "--cases", cases, "--modes", "bm25,fused"))
    assert said["cases"] == 2
    assert said["modes"]["bm25"]["new_to_shopper"] == {
        "cases": 1,
        "mrr": 0.5,
        "ndcg@10": 0.6309,
        "hit@10": 1.0,
        "map": 0.5,
        "precision@10": 0.1,
        "recall@10": 1.0,
        "f1@10": 0.1818,
    }
    assert list(said["against"]) == ["bm25"]
    users = {it["ext"]["ubi"].get("user_id") for it in shop.requests if "ext" in it}
    assert users == {"7", "8"}


def test_the_other_query_of_a_case_can_be_asked(shop: ScriptedSidecar, cases: str) -> None:
    run("shop", "--cases", cases, "--query", "1", "--modes", "fused")
    asked = {it["ext"]["ubi"]["user_query"] for it in shop.requests if "ext" in it}
    assert asked == {"big bag", "tea cup"}


def test_a_query_that_no_case_has_is_refused(shop: ScriptedSidecar, cases: str) -> None:
    with pytest.raises(AskedWrongly, match="have 2 queries at most"):
        run("shop", "--cases", cases, "--query", "2", "--modes", "fused")
    assert not [it for it in shop.requests if "ext" in it]
    assert run("shop", "--cases", cases, "--query", "-3").exit_code == 2


def test_what_cannot_be_seen_from_here_is_left_out_and_named(
    shop: ScriptedSidecar, cases: str
) -> None:
    result = run("shop", "--cases", cases, "--modes", "fused")
    measured = last_json(result)["modes"]["fused"]
    assert "novelty@10" not in measured
    assert "diversity@10" not in measured
    assert "new_items" not in measured["segments"]
    for note in ("no novelty: Elasticsearch", "no diversity: Valkey", "no segment new_items"):
        assert note in result.stderr


def test_runs_and_a_report_are_written_where_asked(
    shop: ScriptedSidecar, judged: str, tmp_path: Path
) -> None:
    folder, runs = tmp_path / "report", tmp_path / "run.txt"
    said = last_json(
        run("shop", "--judgements", judged, "--report", str(folder), "--run", str(runs))
    )
    assert "hitweave" in (folder / "report.md").read_text()
    assert said["sha256"] in (folder / "report.html").read_text()
    assert (tmp_path / "run.fused.txt").read_text().splitlines()[0].split()[:4] == [
        *("q00001", "Q0", "a", "1")
    ]


def test_a_report_in_the_way_is_said_before_any_search(
    shop: ScriptedSidecar, judged: str, tmp_path: Path
) -> None:
    (tmp_path / "report.md").write_text("mine")
    with pytest.raises(AskedWrongly, match="has a report already"):
        run("shop", "--judgements", judged, "--report", str(tmp_path))
    assert not shop.requests


def test_a_limit_and_several_fields_are_passed_on(shop: ScriptedSidecar, judged: str) -> None:
    words = ("--limit", "1", "--field", "title", "--field", "brand", "--modes", "bm25")
    assert last_json(run("shop", "--judgements", judged, *words))["queries"] == 1
    assert shop.requests[-1]["query"]["multi_match"]["fields"] == ["title", "brand"]


def test_degraded_answers_are_counted_and_said(shop: ScriptedSidecar, judged: str) -> None:
    shop.degraded = "no_model"
    result = run("shop", "--judgements", judged, "--modes", "fused")
    assert "fused: 2 of 2 answers degraded (no_model)" in result.stderr
    said = last_json(result)
    assert said["modes"]["fused"]["degraded"] == 2
    assert said["modes"]["fused"]["degraded_reasons"] == {"no_model": 2}


@pytest.mark.parametrize("words", [(), ("--judgements", "a.csv", "--cases", "b.jsonl")])
def test_exactly_one_kind_of_file_is_asked_for(words: tuple[str, ...]) -> None:
    result = run("shop", *words)
    assert result.exit_code == 2
    assert "--judgements" in result.stderr


def test_a_changed_file_is_refused_where_its_digest_is_given(
    shop: ScriptedSidecar, judged: str
) -> None:
    digest = hashlib.sha256(Path(judged).read_bytes()).hexdigest()
    words = ("shop", "--judgements", judged, "--modes", "fused", "--sha256", digest)
    assert last_json(run(*words))["sha256"] == digest
    Path(judged).write_text("query,docid,rating\nbag,x,3\n")
    with pytest.raises(AskedWrongly, match="it is another file"):
        run(*words)


def test_an_unknown_mode_is_refused(shop: ScriptedSidecar, judged: str) -> None:
    with pytest.raises(AskedWrongly, match="use some of bm25, knn, rrf, fused, off"):
        run("shop", "--judgements", judged, "--modes", "magic")


def test_a_sidecar_that_is_not_there_exits_with_three(judged: str) -> None:
    with pytest.raises(SidecarUnavailable) as raised:
        run("shop", "--judgements", judged, "--url", f"http://127.0.0.1:{free_port()}")
    assert raised.value.exit_code == 3


def test_no_secret_gets_into_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["hitweave", "evaluate", "shop", "--authorization", "ApiKey abc", "--limit", "3"]
    monkeypatch.setattr("sys.argv", words)
    assert command_line() == "hitweave evaluate shop --authorization '…' --limit 3"
    monkeypatch.setattr("sys.argv", ["hitweave", "evaluate", "--authorization=ApiKey abc"])
    assert "abc" not in command_line()
