"""One measurement: every mode over the same searches, and the candidate against each baseline.

Pure. The per-query values stay with it, so that a report can show wins and losses and not only
means. p-values of the main metric are Holm-adjusted over the baselines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.errors import AskedWrongly
from reranker.evaluation import metrics, replay, segments
from reranker.evaluation.compare import ROUNDS, Comparison, holm, paired
from reranker.evaluation.judgements import Cases, Judgements
from reranker.evaluation.metrics import PerQuery
from reranker.evaluation.replay import Answer, Search

CANDIDATE = "fused"
SEED = 20_111_209
ROUNDS_OF_A_PART = 2_000  # side metrics and segments: two digits of a p-value are enough


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked, and what each question is measured by.

    Exactly one of `grades` (in the order of `searches`) and `targets` is filled.
    """

    searches: tuple[Search, ...]
    segments: Mapping[str, NDArray[np.bool_]]
    grades: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    targets: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What the searches are called in a result."""
        return "cases" if self.targets else "queries"

    @property
    def main_metric(self) -> str:
        """The metric that decides."""
        return "mrr" if self.targets else "ndcg@10"

    def values(self, answers: Sequence[Answer]) -> PerQuery:
        """Each metric, one value a search."""
        if self.targets:
            pairs = zip(answers, self.targets, strict=True)
            return metrics.of_ranks([metrics.rank_of(it.ids, target) for it, target in pairs])
        run = {it.text: answer.ids for it, answer in zip(self.searches, answers, strict=True)}
        return metrics.per_query(run, self.grades)


def of_judgements(judged: Judgements) -> Questions:
    """One search a judged query, by nobody in particular."""
    queries = list(judged.grades)
    return Questions(
        searches=tuple(Search(query) for query in queries),
        segments=segments.of_judged(queries),
        grades=judged.grades,
    )


def of_cases(cases: Cases, which_query: int, known_items: set[str] | None = None) -> Questions:
    """One search a held-out purchase, by its shopper; `which_query` picks among its queries.

    Of a case that has fewer it is the last one; raises AskedWrongly where every case has fewer.
    """
    most = max((len(case.queries) for case in cases.cases), default=0)
    if 0 < most <= which_query:
        raise AskedWrongly(
            f"--query {which_query}: the cases of {cases.name} have {most} "
            f"{'query' if most == 1 else 'queries'} at most, counted from 0"
        )
    texts = [case.queries[min(which_query, len(case.queries) - 1)] for case in cases.cases]
    return Questions(
        searches=tuple(
            Search(text, case.user_id) for text, case in zip(texts, cases.cases, strict=True)
        ),
        segments=segments.of_cases(cases.cases, texts, known_items),
        targets=tuple(case.target for case in cases.cases),
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """One mode: its answers and what they are worth; `variety` is of the lists, not of a query."""

    answers: Sequence[Answer]
    values: PerQuery
    variety: Mapping[str, float] = field(default_factory=dict)

    @property
    def degraded(self) -> int:
        """How many answers were less than they should be."""
        return sum(replay.degraded_reasons(self.answers).values())

    def summary(self, questions: Questions) -> dict[str, Any]:
        """Means over all searches and over each segment, latency, degraded answers."""
        parts = {
            name: {
                questions.kind: int(mask.sum()),
                **metrics.means(metrics.take(self.values, mask)),
            }
            for name, mask in questions.segments.items()
        }
        reasons = replay.degraded_reasons(self.answers)
        new = parts.pop(segments.NEW_TO_SHOPPER, None)
        return {
            **metrics.means(self.values),
            **{name: round(value, 4) for name, value in self.variety.items()},
            **({segments.NEW_TO_SHOPPER: new} if new else {}),
            "segments": parts,
            "latency_ms": replay.latency_ms(self.answers),
            "degraded": sum(reasons.values()),
            "degraded_reasons": reasons,
        }


@dataclass(frozen=True, slots=True)
class Against:
    """The candidate against one baseline: by metric over all searches, by segment for the main."""

    metrics: Mapping[str, Comparison]
    segments: Mapping[str, Comparison]
    p_holm: float


@dataclass(frozen=True, slots=True)
class Experiment:
    """All modes and all comparisons."""

    questions: Questions
    modes: Mapping[str, Measured]
    candidate: str
    against: Mapping[str, Against]

    def result(self) -> dict[str, Any]:
        """What the command line prints as JSON."""
        return {
            self.questions.kind: len(self.questions.searches),
            "modes": {name: it.summary(self.questions) for name, it in self.modes.items()},
            "candidate": self.candidate,
            "against": {name: self._difference(it) for name, it in self.against.items()},
        }

    def _difference(self, against: Against) -> dict[str, Any]:
        main = self.questions.main_metric
        comparison = against.metrics[main]
        others = {name: stated(it) for name, it in against.metrics.items() if name != main}
        return {
            "metric": main,
            **stated(comparison),
            "p_holm": round(against.p_holm, 5),
            "wins": comparison.wins,
            "losses": comparison.losses,
            "ties": comparison.ties,
            "metrics": others,
            "segments": {name: stated(it) for name, it in against.segments.items()},
        }


def stated(comparison: Comparison) -> dict[str, Any]:
    """A comparison as JSON."""
    return {
        "difference": round(comparison.mean_difference, 4),
        "p": round(comparison.p_value, 5),
        "interval": [round(bound, 4) for bound in comparison.interval],
    }


def build(questions: Questions, modes: Mapping[str, Measured], seed: int = SEED) -> Experiment:
    """Compare the candidate (fused, else the last mode) with every other mode."""
    candidate = CANDIDATE if CANDIDATE in modes else list(modes)[-1]
    ours = modes[candidate].values
    compared = {
        name: _compared(questions, ours, it.values, seed)
        for name, it in modes.items()
        if name != candidate
    }
    main = questions.main_metric
    adjusted = holm({name: by_metric[main].p_value for name, (by_metric, _) in compared.items()})
    against = {
        name: Against(by_metric, by_segment, adjusted[name])
        for name, (by_metric, by_segment) in compared.items()
    }
    return Experiment(questions, modes, candidate, against)


def _compared(
    questions: Questions, ours: PerQuery, theirs: PerQuery, seed: int
) -> tuple[dict[str, Comparison], dict[str, Comparison]]:
    main = questions.main_metric
    by_metric = {
        name: paired(ours[name], theirs[name], seed, ROUNDS if name == main else ROUNDS_OF_A_PART)
        for name in ours
    }
    by_segment = {
        name: paired(ours[main][mask], theirs[main][mask], seed, ROUNDS_OF_A_PART)
        for name, mask in questions.segments.items()
    }
    return by_metric, by_segment
