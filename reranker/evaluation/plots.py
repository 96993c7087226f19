"""Plots of a measurement as SVG text, to be put into a page: no script, no font file, no display.

Equal measurements give equal files: no date, fixed ids. The candidate is coloured, the others
are grey.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reranker.evaluation.compare import bootstrap_interval
from reranker.evaluation.dial import COVERAGE, DISTANCE, Turned
from reranker.evaluation.experiment import Experiment

CANDIDATE, OTHER, INK = "#0b6e4f", "#b8c0ca", "#1d2430"
SHADES = ("#5b6675", "#8d98a6", "#b8c0ca", "#d5dae0")
DASHES = ("-", "--", ":", "-.")
WIDTH_INCHES, HEIGHT_INCHES = 6.4, 3.2
ROUNDS = 2_000
CURVE_MAX = 50
RELEVANCE_DASHES = {"ndcg@10": "-", "judged_ndcg@10": ":", "mrr": "--"}


def all_of(experiment: Experiment, seed: int) -> dict[str, str]:
    """Title → SVG, in the order of a report."""
    main = experiment.questions.main_metric
    plots = {f"{main} with 95 % interval": means(experiment, seed)}
    if experiment.questions.segments:
        plots[f"{main} by segment"] = segments(experiment)
    if experiment.against:
        plots[f"Difference in {main}, search by search"] = differences(experiment)
    if experiment.questions.targets:
        plots["Share of bought products among the first k"] = hit_curve(experiment)
    return plots


def means(experiment: Experiment, seed: int) -> str:
    """The main metric a mode, with its bootstrap interval."""
    main = experiment.questions.main_metric
    figure, axes = _figure()
    for at, (mode, measured) in enumerate(experiment.modes.items()):
        values = measured.values[main]
        low, high = bootstrap_interval(values, seed, ROUNDS)
        middle = float(values.mean())
        axes.barh(at, middle, color=_colour(experiment, mode), height=0.6)
        axes.plot([low, high], [at, at], color=INK, linewidth=1.5)
        axes.text(high, at, f"  {middle:.3f}", va="center", color=INK)
    axes.margins(x=0.12)
    _rows(axes, list(experiment.modes))
    return _svg(figure)


def segments(experiment: Experiment) -> str:
    """The main metric a segment and mode."""
    main = experiment.questions.main_metric
    names = list(experiment.questions.segments)
    figure, axes = _figure(height=0.9 + 0.55 * len(names))
    thickness = 0.8 / len(experiment.modes)
    for number, (mode, measured) in enumerate(experiment.modes.items()):
        heights = [
            float(measured.values[main][mask].mean())
            for mask in experiment.questions.segments.values()
        ]
        shift = (number - (len(experiment.modes) - 1) / 2) * thickness
        colour = CANDIDATE if mode == experiment.candidate else SHADES[number % len(SHADES)]
        rows = np.arange(len(names)) + shift
        axes.barh(rows, heights, height=thickness, label=mode, color=colour)
    counts = [int(mask.sum()) for mask in experiment.questions.segments.values()]
    _rows(axes, [f"{name} ({count})" for name, count in zip(names, counts, strict=True)])
    _legend(figure)
    return _svg(figure)


def differences(experiment: Experiment) -> str:
    """Sorted per-search differences to each baseline: the area is the mean, the shape the risk."""
    main = experiment.questions.main_metric
    ours = experiment.modes[experiment.candidate].values[main]
    figure, axes = _figure()
    for number, baseline in enumerate(experiment.against):
        gaps = np.sort(ours - experiment.modes[baseline].values[main])[::-1]
        share = (np.arange(len(gaps)) + 0.5) / len(gaps) * 100
        axes.plot(share, gaps, DASHES[number % len(DASHES)], label=f"against {baseline}", color=INK)
    axes.axhline(0.0, color=INK, linewidth=0.8)
    axes.set_xlabel("% of searches")
    _legend(figure)
    return _svg(figure)


def hit_curve(experiment: Experiment) -> str:
    """How often the bought product is among the first k."""
    cuts = np.arange(1, CURVE_MAX + 1)
    figure, axes = _figure()
    others = [mode for mode in experiment.modes if mode != experiment.candidate]
    for mode, measured in experiment.modes.items():
        reciprocal = measured.values["mrr"]
        rank = np.where(reciprocal > 0, 1.0 / np.maximum(reciprocal, 1e-9), np.inf)
        share = [(rank <= cut + 0.5).mean() for cut in cuts]
        if mode == experiment.candidate:
            axes.plot(cuts, share, color=CANDIDATE, linewidth=2, label=mode)
        else:
            dashes = DASHES[others.index(mode) % len(DASHES)]
            axes.plot(cuts, share, dashes, color=INK, linewidth=1, label=mode)
    _legend(figure)
    axes.set_xlabel("k")
    return _svg(figure)


def dial(turned: Turned) -> str:
    """Distance, coverage and relevance at each place of the dial, in percent of the first place."""
    figure, axes = _figure(height=3.8)
    at = [place.dial for place in turned.places]
    axes.axhline(100.0, color=OTHER, linewidth=0.8)
    lines = {
        DISTANCE: ("intra-list distance", CANDIDATE, "-"),
        COVERAGE: ("coverage", CANDIDATE, "--"),
        **{name: (name.replace("_", " "), INK, dash) for name, dash in RELEVANCE_DASHES.items()},
    }
    for metric in [name for name in turned.metrics if name in lines]:
        label, colour, dash = lines[metric]
        shares = [100.0 * share for share in turned.shares(metric)]
        axes.plot(at, shares, dash, color=colour, label=label, marker="o", markersize=3)
    axes.set_xlabel("diversity")
    axes.set_ylabel("% of diversity 0")
    _legend(figure)
    return _svg(figure)


def _figure(height: float = HEIGHT_INCHES) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _rows(axes: Any, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()


def _legend(figure: Any) -> None:
    figure.legend(loc="outside upper right", ncols=4, frameon=False, fontsize=8)


def _colour(experiment: Experiment, mode: str) -> str:
    return CANDIDATE if mode == experiment.candidate else OTHER


def _svg(figure: Any) -> str:
    from matplotlib import rc_context

    text = io.StringIO()
    settings: Mapping[str, Any] = {"svg.hashsalt": "hitweave", "svg.fonttype": "none"}
    with rc_context(dict(settings)):
        figure.savefig(text, format="svg", metadata={"Date": None})
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]
