"""TREC files of a measurement, for any other tool of the field: one run a mode, and the qrels.

Query numbers stand for the texts, because TREC's columns end at white space; the file of topics
says which is which. White space in item ids is percent-encoded for the same reason.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from reranker.evaluation.experiment import Experiment, Questions

SPLITS_COLUMNS = re.compile(r"[\s%]")


def write(path: Path, experiment: Experiment) -> list[Path]:
    """`run.txt` → run.bm25.txt, …, run.qrels.txt, run.topics.tsv; the files written."""
    questions = experiment.questions
    path.parent.mkdir(parents=True, exist_ok=True)
    written = {
        beside(path, mode): _run_lines(mode, [answer.ids for answer in measured.answers])
        for mode, measured in experiment.modes.items()
    }
    written[beside(path, "qrels")] = _qrels_lines(questions)
    topics = path.with_name(f"{path.stem}.topics.tsv")
    written[topics] = [
        f"{topic(number)}\t{' '.join(search.text.split())}"
        for number, search in enumerate(questions.searches)
    ]
    for name, lines in written.items():
        name.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return list(written)


def beside(path: Path, word: str) -> Path:
    """`run.txt` and `bm25` → `run.bm25.txt`."""
    return path.with_name(f"{path.stem}.{word}{path.suffix}")


def topic(number: int) -> str:
    """The query number of the search at `number` from 0."""
    return f"q{number + 1:05d}"


def _run_lines(mode: str, lists: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"{topic(number)} Q0 {_column(item)} {rank} {1.0 / rank:.9g} hitweave-{mode}"
        for number, ids in enumerate(lists)
        for rank, item in enumerate(ids, start=1)
    ]


def _qrels_lines(questions: Questions) -> list[str]:
    judged: Sequence[Mapping[str, float]] = (
        [{target: 1.0} for target in questions.targets]
        if questions.targets
        else [questions.grades[search.text] for search in questions.searches]
    )
    return [
        f"{topic(number)} 0 {_column(item)} {grade:g}"
        for number, grades in enumerate(judged)
        for item, grade in grades.items()
    ]


def _column(item: str) -> str:
    return SPLITS_COLUMNS.sub(lambda found: quote(found[0]), item)
