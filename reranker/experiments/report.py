"""What an experiment has shown so far, as one JSON object that may be looked at any time. Pure."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from indexer.behaviour.event import iso
from reranker.experiments import comparison, power, sample_ratio, sequential
from reranker.experiments.comparison import Compared, Terms
from reranker.experiments.cuped import adjusted
from reranker.experiments.experiment import Experiment, Trial
from reranker.experiments.metric import COLUMN, METRICS, PREFERENCE, Metric
from reranker.experiments.power import Baseline
from reranker.experiments.ratio import linear
from reranker.experiments.tally import DAY_SECONDS, HOUR_SECONDS, Counted

JSON = dict[str, Any]


def span(trial: Trial, now: float) -> tuple[float, float, float]:
    """Seconds from which the past, from which the experiment, and up to which deeds are read."""
    since = _seconds(trial.started_at) if trial.started_at else now
    until = now
    if trial.stopped_at is not None:
        until = min(now, _seconds(trial.stopped_at) + trial.experiment.window_hours * HOUR_SECONDS)
    return since - trial.experiment.before_days * DAY_SECONDS, since, until


def of(trial: Trial, counted: Counted, now: float) -> JSON:
    """The report of an experiment."""
    experiment = trial.experiment
    counts = [len(arm) for arm in counted.arms]
    facts: JSON = {
        "experiment": trial.said(),
        "as_of": iso(now),
        "days": round(max(0.0, _end(trial, now) - span(trial, now)[1]) / DAY_SECONDS, 2),
        "units": dict(zip(_names(experiment), counts, strict=True)),
        "searches": {
            name: int(arm[:, COLUMN["searches"]].sum())
            for name, arm in zip(_names(experiment), counted.arms, strict=True)
        },
        "crossed": counted.crossed,
        "planned_share": round(sum(counts) / experiment.units_planned, 4),
    }
    if experiment.kind == "interleave":
        facts |= {"preference": _preference(experiment, counted)}
    else:
        facts |= _of_arms(experiment, counted, counts)
    return facts | {"verdict": _verdict(experiment, facts, counts)}


def _of_arms(experiment: Experiment, counted: Counted, counts: Sequence[int]) -> JSON:
    uneven = sample_ratio.p_value(counts, experiment.shares)
    terms = Terms(
        experiment.units_planned, power.alpha_of_one(experiment.alpha, len(experiment.arms))
    )
    return {
        "sample_ratio": {"p": _short(uneven), "alarm": uneven < sample_ratio.ALARM_BELOW},
        "metrics": [_metric(name, experiment, counted, terms) for name in experiment.metrics],
        "guardrails": [_metric(name, experiment, counted, terms) for name in experiment.guardrails],
        "detectable": _detectable(experiment, counted, terms),
    }


def _metric(name: str, experiment: Experiment, counted: Counted, terms: Terms) -> JSON:
    metric = METRICS[name]
    arms = counted.sums(metric)
    others = zip(experiment.arms[1:], comparison.against_first(arms, terms), strict=True)
    return {
        "name": name,
        "what": metric.what,
        "more_is_better": metric.more_is_better,
        "values": {
            arm.name: _short(sums.value) for arm, sums in zip(experiment.arms, arms, strict=True)
        },
        "against": [{"arm": arm.name, **_said(found, metric)} for arm, found in others],
    }


def _said(found: Compared, metric: Metric) -> JSON:
    low, high = found.interval
    change = None
    if found.is_found:
        change = "better" if (found.difference > 0) == metric.more_is_better else "worse"
    return {
        "difference": _short(found.difference),
        "relative": _short(found.relative),
        "interval": [_short(low), _short(high)],
        "p": _short(found.p_value),
        "variance_reduction": _short(found.variance_reduction),
        "change": change,
    }


def _preference(experiment: Experiment, counted: Counted) -> JSON:
    """Which ranker the clicks prefer: -1 always the first, 1 always the second, a search."""
    (sums,) = counted.sums(PREFERENCE)
    found = comparison.against_none(
        linear(sums.top, sums.bottom), Terms(experiment.units_planned, experiment.alpha)
    )
    first, second = (arm.name for arm in experiment.arms)
    said = _said(found, PREFERENCE)
    preferred = None
    if found.is_found:
        preferred = second if found.difference > 0 else first
    kept = {name: said[name] for name in ("difference", "interval", "p")}
    clicked = int(counted.arms[0][:, COLUMN["clicked_searches"]].sum())
    return {**kept, "preferred": preferred, "clicked_searches": clicked}


def _detectable(experiment: Experiment, counted: Counted, terms: Terms) -> JSON:
    """The least relative change of the first metric that so many units find with 80 % power."""
    metric = METRICS[experiment.metrics[0]]
    arms = counted.sums(metric)
    mean = arms[0].value
    if len(arms[0]) < 2 or not mean or math.isnan(mean):
        return {"now": None, "planned": None}
    baseline = Baseline(mean, float(adjusted(arms)[0].std(ddof=1)))
    units = {"now": sum(map(len, arms)), "planned": experiment.units_planned}
    return {
        name: _short(power.detectable(baseline, number, experiment.shares, terms.alpha))
        for name, number in units.items()
    }


def _verdict(experiment: Experiment, facts: Mapping[str, Any], counts: Sequence[int]) -> list[str]:
    """What follows, in sentences; the first says what to do."""
    if facts.get("sample_ratio", {}).get("alarm"):
        return ["The arms have not got their shares of the units: trust nothing below."]
    if min(counts) < sequential.UNITS_MIN:
        return [f"Too early: fewer than {sequential.UNITS_MIN} units in some arm."]
    if experiment.kind == "interleave":
        preferred = facts["preference"]["preferred"]
        if preferred is None:
            return ["Neither ranker is preferred so far."]
        return [f"The clicks prefer {preferred}."]
    harmed = [
        f"{it['arm']} harms {guardrail['name']}."
        for guardrail in facts["guardrails"]
        for it in guardrail["against"]
        if it["change"] == "worse"
    ]
    first = facts["metrics"][0]
    found = [
        f"{it['arm']} is {it['change']} in {first['name']}."
        for it in first["against"]
        if it["change"] is not None
    ]
    return harmed + (found or [f"No difference in {first['name']} so far."])


def _names(experiment: Experiment) -> list[str]:
    if experiment.kind == "interleave":
        return ["+".join(arm.name for arm in experiment.arms)]
    return [arm.name for arm in experiment.arms]


def _end(trial: Trial, now: float) -> float:
    return _seconds(trial.stopped_at) if trial.stopped_at else now


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _short(value: float) -> float | None:
    """Six digits that count; None for what is no number or without end."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
