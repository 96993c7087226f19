"""Reports of experiments for people: one page, or Markdown. Pure."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

SIGNS = {"better": "better", "worse": "worse", None: ""}


def page(facts: Mapping[str, Any]) -> str:
    """A report as a page that needs nothing else."""
    return _templates().get_template("experiment.html").render(facts)


def markdown(facts: Mapping[str, Any]) -> str:
    """A report as Markdown."""
    return _templates().get_template("experiment.md").render(facts)


def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("reranker.experiments"),
        autoescape=select_autoescape(),  # the page, not the Markdown
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": _number, "signed": _signed, "share": _share, "change": SIGNS.get}
    return made


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.5g}"


def _signed(value: float | None) -> str:
    return "unbounded" if value is None else f"{value:+.5g}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"
