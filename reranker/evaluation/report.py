"""A measurement as files for people: Markdown, one HTML page, the JSON and the per-search values.

The page is self-contained (plots are inline SVG). An existing report is never overwritten: a
number that was once shown stays where it was.
"""

import csv
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from numpy.typing import NDArray

from indexer.errors import AskedWrongly
from reranker.evaluation import plots
from reranker.evaluation.experiment import SEED, Experiment

FILES = ("report.md", "report.html", "result.json", "per_search.csv")
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Turned:
    """A search whose value differs between the candidate and a baseline."""

    text: str
    user_id: str | None
    ours: float
    theirs: float

    @property
    def difference(self) -> float:
        """Positive: the candidate is better."""
        return self.ours - self.theirs


def check_unused(folder: Path) -> None:
    """Raise where the folder has a report already."""
    found = [name for name in FILES if (folder / name).exists()]
    if found:
        raise AskedWrongly(f"{folder} has a report already ({', '.join(found)}): name a new folder")


def write(folder: Path, experiment: Experiment, result: Mapping[str, Any]) -> list[Path]:
    """Write the report of an experiment; `result` is its JSON with index, source and command."""
    check_unused(folder)
    folder.mkdir(parents=True, exist_ok=True)
    facts = _facts(experiment, result)
    html = {"plots": plots.all_of(experiment, SEED)}
    _put(folder / "report.md", _templates().get_template("report.md").render(facts))
    page = _templates().get_template("report.html").render({**facts, **html})
    _put(folder / "report.html", page)
    pretty = orjson.dumps(dict(result), option=orjson.OPT_INDENT_2).decode()
    _put(folder / "result.json", pretty + "\n")
    _write_per_search(folder / "per_search.csv", experiment)
    return [folder / name for name in FILES]


def turned(experiment: Experiment, baseline: str) -> tuple[list[Turned], list[Turned]]:
    """The largest wins and the largest losses against a baseline, each at most SHOWN."""
    main = experiment.questions.main_metric
    ours: NDArray[Any] = experiment.modes[experiment.candidate].values[main]
    theirs: NDArray[Any] = experiment.modes[baseline].values[main]
    order = np.argsort(ours - theirs, kind="stable")
    searches = experiment.questions.searches

    def row(at: int) -> Turned:
        return Turned(searches[at].text, searches[at].user_id, float(ours[at]), float(theirs[at]))

    wins = [row(at) for at in order[::-1][:SHOWN] if ours[at] > theirs[at]]
    losses = [row(at) for at in order[:SHOWN] if ours[at] < theirs[at]]
    return wins, losses


def _facts(experiment: Experiment, result: Mapping[str, Any]) -> dict[str, Any]:
    modes: Mapping[str, Any] = result["modes"]
    first = next(iter(modes.values()))
    return {
        "result": result,
        "main": experiment.questions.main_metric,
        "counted": experiment.questions.kind,
        "metrics": [name for name in first if not isinstance(first[name], dict)],
        "segments": _segment_rows(experiment),
        "turned": {name: turned(experiment, name) for name in experiment.against},
        "version": importlib.metadata.version("hitweave"),
        "proxy": bool(experiment.questions.targets),
        "number": _number,
    }


def _segment_rows(experiment: Experiment) -> list[dict[str, Any]]:
    main = experiment.questions.main_metric
    return [
        {
            "name": name,
            "count": int(mask.sum()),
            "means": [float(it.values[main][mask].mean()) for it in experiment.modes.values()],
            "against": {base: it.segments[name] for base, it in experiment.against.items()},
        }
        for name, mask in experiment.questions.segments.items()
    ]


def _write_per_search(path: Path, experiment: Experiment) -> None:
    names = list(next(iter(experiment.modes.values())).values)
    heading = [f"{mode} {name}" for mode in experiment.modes for name in names]
    columns: Sequence[NDArray[Any]] = [
        it.values[name] for it in experiment.modes.values() for name in names
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["query", *heading])
        for number, search in enumerate(experiment.questions.searches):
            rows.writerow([search.text, *(f"{column[number]:.6g}" for column in columns)])


def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("reranker.evaluation"),
        autoescape=select_autoescape(),  # the page, not the Markdown
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
