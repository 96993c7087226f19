import csv
import json
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import AskedWrongly
from reranker.evaluation import experiment, report
from reranker.evaluation.experiment import Experiment, Measured
from reranker.evaluation.judgements import Judgements
from reranker.evaluation.replay import Answer

FOUND_BY_BM25, FOUND_BY_FUSED = "<b>bag</b> & more", "earphones"


def built() -> tuple[Experiment, dict[str, Any]]:
    grades = {query: {"a": 2.0} for query in (FOUND_BY_BM25, FOUND_BY_FUSED, "cup")}
    questions = experiment.of_judgements(Judgements("judged.csv", "5ha", grades))
    lists = {"bm25": [("a",), ("x", "y"), ("a",)], "fused": [("x", "a"), ("a",), ("a",)]}
    measured = {}
    for mode, ids in lists.items():
        answers = [Answer(each, 0.003) for each in ids]
        measured[mode] = Measured(answers, questions.values(answers))
    found = experiment.build(questions, measured)
    said = {
        "index": "shop",
        "source": "judged.csv",
        "sha256": "5ha",
        "command": "hitweave evaluate",
    }
    return found, {**said, "notes": ["no novelty"], **found.result()}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str | None]] = []
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_holds_everything_itself(tmp_path: Path) -> None:
    report.write(tmp_path / "r", *built())
    page = Tags()
    page.feed((tmp_path / "r" / "report.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert page.tags.count("figure") == page.tags.count("svg") == 3
    assert not [
        value
        for name, value in page.attributes
        if name in ("src", "href") and not (value or "").startswith("#")
    ]
    assert FOUND_BY_BM25 in "".join(page.text)


def test_the_plots_are_well_formed_and_the_same_each_time() -> None:
    found, _ = built()
    first, second = (report.plots.all_of(found, seed=1) for _ in range(2))
    assert first == second
    for svg in first.values():
        ElementTree.fromstring(svg)  # noqa: S314 - our own text


def test_the_markdown_has_digest_command_numbers_and_turned_queries(tmp_path: Path) -> None:
    found, result = built()
    report.write(tmp_path / "r", found, result)
    text = (tmp_path / "r" / "report.md").read_text(encoding="utf-8")
    assert "SHA-256 `5ha`" in text
    assert "`hitweave evaluate`" in text
    assert "- Note: no novelty\n" in text
    mean = result["modes"]["fused"]["ndcg@10"]
    assert f"| fused | {mean:.4f} |" in text
    wins, losses = text.split("Largest wins:")[1].split("Largest losses:")
    assert FOUND_BY_FUSED in wins
    assert FOUND_BY_BM25 in losses
    assert "cup" not in wins + losses


def test_every_table_of_the_markdown_has_rows_as_wide_as_its_heading(tmp_path: Path) -> None:
    report.write(tmp_path / "r", *built())
    width = None
    for line in (tmp_path / "r" / "report.md").read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            width = None
            continue
        width = width or line.count("|")
        assert line.count("|") == width, line


def test_per_search_values_and_the_result_are_kept_for_other_tools(tmp_path: Path) -> None:
    found, result = built()
    report.write(tmp_path / "r", found, result)
    assert json.loads((tmp_path / "r" / "result.json").read_text()) == result
    with (tmp_path / "r" / "per_search.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["query"] for row in rows] == [FOUND_BY_BM25, FOUND_BY_FUSED, "cup"]
    mean = sum(float(row["fused ndcg@10"]) for row in rows) / 3
    assert mean == pytest.approx(result["modes"]["fused"]["ndcg@10"], abs=1e-4)


def test_a_report_is_never_overwritten(tmp_path: Path) -> None:
    report.write(tmp_path / "r", *built())
    before = (tmp_path / "r" / "report.html").read_bytes()
    with pytest.raises(AskedWrongly, match="has a report already"):
        report.write(tmp_path / "r", *built())
    assert (tmp_path / "r" / "report.html").read_bytes() == before


def test_wins_and_losses_are_sorted_by_how_far_they_moved() -> None:
    found, _ = built()
    wins, losses = report.turned(found, "bm25")
    assert [it.text for it in wins] == [FOUND_BY_FUSED]
    assert [it.text for it in losses] == [FOUND_BY_BM25]
    assert wins[0].difference > 0 > losses[0].difference
