"""What a score is made of, in Elasticsearch's own form: parts that add up to it. Pure.

The parts of prior and adaptive layer are exact. The model's residual is split by Shapley values,
token by token and signal by signal; where there was no time for them, by how the attention weighs
the tokens, and the description says so. At every level the details add up to the value above them:
what rounding leaves over goes to the part that is the same for every candidate.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reranker.fusion import baseline
from reranker.fusion.attribution import ITEM, OTHERS, QUERY, SHOPPER, Attribution
from reranker.retrieval.candidates import Candidates
from reranker.serving.evidence import Grounds
from reranker.signals import definition

Explanation = dict[str, Any]
Titles = Mapping[str, str]
HISTORY_SHOWN, HISTORY_TOLD = 3, 10
SAME = "the same for every candidate of this list"
TOKENS = {QUERY: "query text", ITEM: "item's text and behavioural vectors", SHOPPER: "shopper"}


def of(grounds: Grounds, row: int, shown: float, titles: Titles) -> Explanation:
    """The explanation of the candidate at `row`, whose `_score` is `shown`."""
    fused = grounds.fused
    scored = float(fused.scores[row])
    varied = scored if fused.varied is None else float(fused.varied[row])
    moved = [
        *([part(varied - scored, "placed for variety")] if varied != scored else []),
        *(
            [part(shown - varied, "placed by a rule or its code, or after what can be had")]
            if shown != varied
            else []
        ),
    ]
    name = fused.model or "no trained model"
    return part(shown, f"sum of, by {name}:", [*_parts(grounds, row, scored, titles), *moved])


def attention(grounds: Grounds, row: int, titles: Titles) -> dict[str, Any]:
    """How the candidate looks at its tokens, and at the shopper's items; each sums to 1 or less.

    Attention says where the model looked, not what it made of it: it stands beside the parts.
    """
    at, scored = grounds.places.get(row), grounds.fused.scored
    if at is None or scored is None:
        return {}
    names = grounds.fused.tokens
    weights = zip(names, scored.attention[at].tolist(), strict=False)
    return {
        "tokens": {name: round(weight, 6) for name, weight in weights},
        "history": [
            {"id": item_id, "title": titles.get(item_id), "weight": round(weight, 6)}
            for item_id, weight in looked_at(grounds, at)[:HISTORY_TOLD]
        ],
    }


def looked_at(grounds: Grounds, at: int) -> list[tuple[str, float]]:
    """Items of the history with their weight for the candidate at place `at`, the highest first."""
    if grounds.looks is None:
        return []
    pairs = zip(grounds.history, grounds.looks[at, 1:].tolist(), strict=True)
    return sorted(pairs, key=lambda it: -it[1])


def part(value: float, description: str, details: Sequence[Explanation] = ()) -> Explanation:
    """One node of an explanation."""
    return {"value": float(value), "description": description, "details": list(details)}


def _parts(grounds: Grounds, row: int, scored: float, titles: Titles) -> list[Explanation]:
    at, fused = grounds.places.get(row), grounds.fused
    if at is None or fused.inputs is None:
        return [_legs(grounds.candidates, row, scored)]
    known = [_prior(grounds, at), *_adapted(grounds, at), *_by_policy(grounds, at)]
    rest = scored - sum(made["value"] for made in known)
    if fused.scored is None:
        return [*known, *([part(rest, "rounding")] if rest else [])]
    if grounds.attribution is None:
        return [*known, _by_attention(grounds, at, rest)]
    return [*known, _by_shapley(grounds, grounds.attribution, at, rest, titles)]


def _prior(grounds: Grounds, at: int) -> Explanation:
    fused = grounds.fused
    assert fused.inputs is not None  # noqa: S101 - the caller looked
    made = baseline.prior_parts(fused.inputs["signals"][at], fused.prior_weights)
    details = [part(float(value), f"signal {name}") for name, value in made.items()]
    return part(sum(d["value"] for d in details), "prior, sum of:", details)


def _adapted(grounds: Grounds, at: int) -> list[Explanation]:
    """What the adaptive layer added, by signal; nothing where it added nothing."""
    adapted = grounds.fused.adapted
    if adapted is None or not adapted.parts[at].any():
        return []
    moves = np.flatnonzero(adapted.parts[at])
    order = moves[np.argsort(-np.abs(adapted.parts[at][moves]), kind="stable")].tolist()
    details = [
        part(float(adapted.parts[at, column]), f"signal {definition.NAMES[column]}")
        for column in order
    ]
    value = sum(detail["value"] for detail in details)
    how = "tried within what it is unsure of" if adapted.drawn else "learned from feedback"
    return [part(value, f"adaptive layer, {how}, sum of:", details)]


def _by_policy(grounds: Grounds, at: int) -> list[Explanation]:
    """What a slate policy added; nothing where none did."""
    fused = grounds.fused
    if fused.by_policy is None:
        return []
    return [part(float(fused.by_policy[at]), f"slate policy {fused.policy}")]


def _by_attention(grounds: Grounds, at: int, residual: float) -> Explanation:
    fused = grounds.fused
    assert fused.scored is not None  # noqa: S101 - the caller looked
    weights = fused.scored.attention[at].astype(np.float64)
    weights = weights / weights.sum()
    named = zip(fused.tokens, weights.tolist(), strict=False)
    details = [part(w * residual, f"{name}, attention {w:.4f}") for name, w in named]
    said = "residual of the model, by attention alone, for want of time, over:"
    return part(residual, said, _closed(details, residual))


def _by_shapley(
    grounds: Grounds, attribution: Attribution, at: int, residual: float, titles: Titles
) -> Explanation:
    parts = dict(zip(attribution.players, attribution.parts[at].tolist(), strict=True))
    tokens = [
        part(parts[name], _token(grounds, at, name, titles)) for name in TOKENS if name in parts
    ]
    families = [_family(grounds, at, name, parts) for name in definition.FAMILIES]
    details = [*tokens, *(family for family in families if family is not None)]
    if OTHERS in parts:
        details.append(part(parts[OTHERS], f"other signals ({len(attribution.others)})"))
    details.sort(key=lambda it: -abs(it["value"]))
    base = residual - sum(detail["value"] for detail in details)
    said = f"residual of the model, Shapley values by {attribution.halves} halves, sum of:"
    return part(residual, said, _closed([part(base, SAME), *details], residual))


def _token(grounds: Grounds, at: int, name: str, titles: Titles) -> str:
    said = f"{TOKENS[name]}{_weight(grounds, at, name)}"
    if name != SHOPPER:
        return said
    items = [
        f"{titles.get(item_id, '')} ({item_id}) {weight:.4f}".lstrip()
        for item_id, weight in looked_at(grounds, at)[:HISTORY_SHOWN]
    ]
    count = len(grounds.history)
    return f"{said}: {count} items" + (f", looks most at {'; '.join(items)}" if items else "")


def _family(
    grounds: Grounds, at: int, family: definition.Family, parts: Mapping[str, float]
) -> Explanation | None:
    """The signals of a family that are told apart; None without one."""
    names = [s.name for s in definition.SIGNALS if s.family == family and s.name in parts]
    if not names:
        return None
    details = [_signal(grounds, at, name, parts[name]) for name in names]
    details.sort(key=lambda it: -abs(it["value"]))
    value = sum(detail["value"] for detail in details)
    return part(value, f"signals {family}{_weight(grounds, at, family)}, sum of:", details)


def _signal(grounds: Grounds, at: int, name: str, value: float) -> Explanation:
    inputs = grounds.fused.inputs
    assert inputs is not None  # noqa: S101 - the caller looked
    column = definition.INDEX[name]
    says = definition.SIGNALS[column].says
    return part(value, f"signal {name} = {inputs['signals'][at, column]:.4g} ({says})")


def _weight(grounds: Grounds, at: int, token: str) -> str:
    tokens, scored = grounds.fused.tokens, grounds.fused.scored
    if scored is None or token not in tokens:
        return ""
    return f", attention {float(scored.attention[at, tokens.index(token)]):.4f}"


def _closed(details: list[Explanation], value: float) -> list[Explanation]:
    """The details with what float addition leaves over put on the first one."""
    details[0]["value"] += value - sum(detail["value"] for detail in details)
    return details


def _legs(candidates: Candidates, row: int, score: float) -> Explanation:
    """Where a candidate stood in the legs, for orders that are made of ranks or one score."""
    found = []
    for leg, value, rank in (
        ("keywords", candidates.bm25[row], candidates.bm25_rank[row]),
        ("vectors", candidates.knn[row], candidates.knn_rank[row]),
    ):
        if np.isfinite(rank):
            found.append(f"{leg}: rank {rank:.0f} with {value:.4f}")
    return part(score, "by its places: " + ("; ".join(found) or "none"))
