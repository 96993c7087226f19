"""Explaining a ranked list: what it rests on, worked out within the time that the request has.

Passes through the model are spent only here, so only where an explanation is asked for. When they
would take too long, the attention alone splits the residual, and the description says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from indexer.catalogue.generation import Generation
from indexer.catalogue.mapping import Wording
from indexer.telemetry import log
from reranker.fusion import attribution
from reranker.fusion.attribution import Attribution
from reranker.retrieval.candidates import Candidates
from reranker.retrieval.node import Nodes
from reranker.serving import explanation, sentences, titles
from reranker.serving.deadline import Deadline
from reranker.serving.evidence import Grounds
from reranker.serving.order import Ordered
from reranker.serving.reasons import Reason, reasons
from reranker.serving.scoring import Fused
from reranker.serving.titles import Named

# Shares of the deadline: after the first no pass is begun, after the second no title is read.
PASSES_SHARE, TITLES_SHARE = 0.85, 0.9
DEFAULT_LANGUAGE = "en"
BY_CODE = Reason("code")

ReadTitles = Callable[[Sequence[str]], Mapping[str, Named]]


@dataclass(frozen=True, slots=True)
class Told:
    """One hit explained."""

    explanation: Mapping[str, Any]
    sentence: str
    attention: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Explainable:
    """A ranked list, how to read its items' titles, and which language was asked for.

    `named` are the scores of what stands there by its code, also of what the list does not have;
    `wording` is that of the index.
    """

    fused: Fused
    candidates: Candidates
    ordered: Ordered
    read_titles: ReadTitles
    language: str | None
    named: Mapping[str, float] = field(default_factory=dict)
    wording: Wording = "shop"

    def told(self, ids: Sequence[str], deadline: Deadline) -> list[Told | None]:
        """Each of `ids` explained; None where the list does not have it and no code names it."""
        rows = {name: row for row, name in enumerate(self.candidates.ids)}
        shown = dict(zip(self.ordered.rows.tolist(), self.ordered.scores.tolist(), strict=True))
        wanted = {name: rows[name] for name in ids if rows.get(name) in shown}
        grounds = examine(self.fused, self.candidates, deadline)
        why = dict(reasons({name: grounds.evidence(row) for name, row in wanted.items()}))
        why |= {name: BY_CODE for name in ids if name in self.named}
        known = self._names(grounds, wanted, why, deadline)
        called = {name: found.title for name, found in known.items() if found.title}
        return [
            self._told(grounds, wanted[name], shown[wanted[name]], why[name], known, called)
            if name in wanted
            else self._by_code(name, known)
            for name in ids
        ]

    def _by_code(self, name: str, known: Mapping[str, Named]) -> Told | None:
        if name not in self.named:
            return None
        return Told(
            explanation=explanation.part(self.named[name], "placed by its code"),
            sentence=sentences.say(BY_CODE, self._language(known.get(name)), None),
            attention={},
        )

    def _language(self, own: Named | None) -> str:
        return self.language or (own.language if own else None) or DEFAULT_LANGUAGE

    def _told(
        self,
        grounds: Grounds,
        row: int,
        score: float,
        why: Reason,
        known: Mapping[str, Named],
        called: Mapping[str, str],
    ) -> Told:
        language = self._language(known.get(self.candidates.ids[row]))
        title = called.get(why.item_id) if why.item_id is not None else None
        return Told(
            explanation=explanation.of(grounds, row, score, called),
            sentence=sentences.say(why, language, title, self.wording),
            attention=explanation.attention(grounds, row, called),
        )

    def _names(
        self,
        grounds: Grounds,
        wanted: Mapping[str, int],
        why: Mapping[str, Reason],
        deadline: Deadline,
    ) -> Mapping[str, Named]:
        """Names of the items that reasons and attention point at, and of the hits themselves."""
        if not why or deadline.passed(TITLES_SHARE):
            return {}
        ids = {*why, *(it.item_id for it in why.values() if it.item_id is not None)}
        for row in wanted.values():
            at = grounds.places.get(row)
            if at is not None:
                looked_at = explanation.looked_at(grounds, at)[: explanation.HISTORY_TOLD]
                ids |= {item_id for item_id, _ in looked_at}
        return self.read_titles(sorted(ids))


def examine(fused: Fused, candidates: Candidates, deadline: Deadline) -> Grounds:
    """What explanations of the list rest on, as far as there is time."""
    scorer, inputs, scored = fused.scorer, fused.inputs, fused.scored
    if scorer is None or inputs is None or scored is None:
        return Grounds(fused, candidates)
    try:
        _ = scored.attention  # of a model that is a line it is computed only now
    except Exception as error:  # noqa: BLE001 - whatever the runtime says, the order is there
        log("explaining").error("attention_failed", error=type(error).__name__)
        return Grounds(replace(fused, scored=None), candidates)
    try:
        looks = scorer.history_attention(inputs)
        found: Attribution | None = attribution.attribute(
            inputs,
            scored.residual,
            scorer.residual,
            in_time=lambda: not deadline.passed(PASSES_SHARE),
        )
    except Exception as error:  # noqa: BLE001 - whatever the runtime says, the order is there
        log("explaining").error("explanation_failed", error=type(error).__name__)
        return Grounds(fused, candidates)
    return Grounds(fused, candidates, found, looks)


def title_reader(
    nodes: Nodes,
    generation: Generation | None,
    target: str | None,
    headers: Mapping[str, str],
    deadline: Deadline,
) -> ReadTitles:
    """Reads titles from the index that was ranked; without an index nothing has a title."""

    def read(ids: Sequence[str]) -> Mapping[str, Named]:
        if generation is None:
            return {}
        return titles.read(
            nodes,
            generation,
            target or generation.concrete,
            ids,
            headers,
            timeout_seconds=deadline.left(),
        )

    return read


def language_of(context: Mapping[str, Any]) -> str | None:
    """The language that a request's context names."""
    said = context.get("language")
    return said if isinstance(said, str) and said else None
