"""A whole measurement: questions through the serving path, then what the answers are worth.

Fails when the sidecar does; goes on without variety or the segment of new items when Valkey or
Elasticsearch cannot be seen from here, and says so in `notes`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import elastic_transport
import elasticsearch
import redis

from reranker.evaluation import catalogue_facts, experiment, variety
from reranker.evaluation.baselines import FUSED, InProcess
from reranker.evaluation.dial import Place, Turned, said
from reranker.evaluation.experiment import Experiment, Measured, Questions
from reranker.evaluation.judgements import Cases, Judgements
from reranker.evaluation.replay import Answer, Sidecar, degraded_reasons

CUT = variety.CUT
BASELINES = "baselines"
Unseen = (redis.RedisError, elastic_transport.TransportError, elasticsearch.ApiError)


@dataclass(frozen=True, slots=True)
class Servers:
    """What the measurement reads beside the sidecar's answers."""

    es: elasticsearch.Elasticsearch
    valkey: redis.Redis


@dataclass(slots=True)
class Measurement:
    """One run over one index; `notes` say what was left out and why."""

    sidecar: Sidecar
    servers: Servers
    modes: Sequence[str]
    baselines: InProcess | None = None
    seed: int = experiment.SEED
    notes: list[str] = field(default_factory=list)

    @property
    def index(self) -> str:
        """The index that is measured."""
        return self.sidecar.asking.index

    def questions(self, source: Judgements | Cases, which_query: int) -> Questions:
        """What to ask; for cases, which targets are new is read from the journal."""
        if isinstance(source, Judgements):
            return experiment.of_judgements(source)
        return experiment.of_cases(source, which_query, self._known_items(source))

    def run(
        self, questions: Questions, until: str | None, on_answer: Callable[[str], None]
    ) -> Experiment:
        """Every mode, one after the other; `until` bounds the behaviour that novelty counts."""
        items = self.sidecar.items()
        answers = {
            mode: self.sidecar.replay(questions.searches, mode, partial(on_answer, mode))
            for mode in self.modes
        }
        answers |= self._baseline_answers(questions, answers, on_answer)
        for mode, got in answers.items():
            for reason, count in degraded_reasons(got).items():
                self.notes.append(f"{mode}: {count} of {len(got)} answers degraded ({reason})")
        varied = self._variety(answers, items, until)
        measured = {
            mode: Measured(got, questions.values(got), varied[mode])
            for mode, got in answers.items()
        }
        return experiment.build(questions, measured, self.seed)

    def turned(
        self,
        questions: Questions,
        dials: Sequence[float],
        until: str | None,
        on_answer: Callable[[str], None],
    ) -> Turned:
        """The fused order at each place of the diversity dial."""
        items = self.sidecar.items()
        answers = {
            said(dial): self.sidecar.replay(
                questions.searches, FUSED, partial(on_answer, said(dial)), dial
            )
            for dial in dials
        }
        varied = self._variety(answers, items, until)
        places = [
            Place(dial, Measured(got, questions.values(got), varied[name]))
            for dial, (name, got) in zip(dials, answers.items(), strict=True)
        ]
        return Turned(questions, places, self.seed)

    def _baseline_answers(
        self,
        questions: Questions,
        answers: Mapping[str, Sequence[Answer]],
        on_answer: Callable[[str], None],
    ) -> dict[str, list[Answer]]:
        """What fitted baselines show; notes where the model in this process differs from that of
        the sidecar, since they are then not on the same ground.
        """
        if self.baselines is None:
            return {}
        found = self.baselines.replay(questions.searches, partial(on_answer, BASELINES))
        here = found.pop(FUSED)
        if there := answers.get(FUSED):
            other = sum(a.ids != b.ids for a, b in zip(here, there, strict=True))
            if other:
                self.notes.append(
                    f"{other} of {len(here)} fused lists of the sidecar differ from those in this "
                    "process, where the baselines were measured"
                )
        return found

    def _known_items(self, source: Cases) -> set[str] | None:
        until = first_time(source)
        if until is None:
            return None
        targets = {case.target for case in source.cases}
        try:
            met = catalogue_facts.behaviour(self.servers.es, self.index, targets, until)
        except Unseen as error:
            self.notes.append(f"no segment new_items: Elasticsearch: {type(error).__name__}")
            return None
        return set(met.by_item)

    def _variety(
        self, answers: Mapping[str, Sequence[Answer]], items: int, until: str | None
    ) -> dict[str, dict[str, float]]:
        lists = {mode: [it.ids for it in got] for mode, got in answers.items()}
        shown = {item for each in lists.values() for ids in each for item in ids[:CUT]}
        found: dict[str, dict[str, float | None]] = {
            mode: {f"coverage@{CUT}": variety.coverage(each, items)} for mode, each in lists.items()
        }
        try:
            met = catalogue_facts.behaviour(self.servers.es, self.index, shown, until)
            for mode, each in lists.items() if met.total else ():
                found[mode][f"novelty@{CUT}"] = variety.novelty(each, met, items)
        except Unseen as error:
            self.notes.append(f"no novelty: Elasticsearch: {type(error).__name__}")
        try:
            vectors = catalogue_facts.vectors(self.servers.valkey, self.index, shown)
            for mode, each in lists.items():
                found[mode][f"diversity@{CUT}"] = variety.diversity(each, vectors)
        except Unseen as error:
            self.notes.append(f"no diversity: Valkey: {type(error).__name__}")
        return {
            mode: {name: value for name, value in each.items() if value is not None}
            for mode, each in found.items()
        }


def first_time(source: Judgements | Cases) -> str | None:
    """Up to when behaviour was known before any of the cases; None where no case says."""
    if isinstance(source, Judgements):
        return None
    times = [case.as_of for case in source.cases if case.as_of]
    return min(times) if times else None
