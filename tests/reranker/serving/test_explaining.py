"""Explanations of whole lists: they add up at every level, and name what is really there."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.behaviour import adaptive
from reranker.fusion import artifact, baseline
from reranker.fusion.scorer import Scorer
from reranker.serving import adaptation, explaining, explanation, order
from reranker.serving.deadline import Deadline
from reranker.serving.evidence import Grounds
from reranker.serving.explaining import Explainable, Told
from reranker.serving.scoring import Fused
from reranker.serving.titles import Named
from reranker.signals import build, definition
from tests.reranker.fusion.artifacts import write
from tests.reranker.signals.situations import purchase, situation

LETTERS = "abcdefgh"
EVENTS = [
    purchase("a", 3, basket="x"),
    purchase("b", 3, basket="x"),
    purchase("z", 9),
    *(purchase(i, 5, user="other", basket="y") for i in "zc"),
    *(purchase(i, 6, user="third", basket="w") for i in "zc"),
]
lists = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=8, unique=True)


@lru_cache(maxsize=1)
def scorer() -> Scorer:
    return Scorer(artifact.load(write(Path(mkdtemp()))))


def ranked(ids: Sequence[str], *, model: bool = True) -> Fused:
    found = replace(situation(list(ids), EVENTS), item_table=scorer().item_table)
    inputs = build.assemble(found)
    rows = np.arange(len(ids))
    if not model:
        scores = baseline.prior(inputs["signals"])
        return Fused(scores, rows=rows, inputs=inputs, situation=found)
    scored = scorer().score(inputs)
    tokens = tuple(scorer().artifact.manifest.tokens)
    return Fused(
        scored.scores,
        model="v1",
        rows=rows,
        inputs=inputs,
        scored=scored,
        tokens=tokens,
        situation=found,
        scorer=scorer(),
    )


def deadline(*, late: bool = False) -> Deadline:
    return Deadline(0.0, 1.0, clock=lambda: 10.0 if late else 0.0)


def told(
    fused: Fused,
    *,
    late: bool = False,
    language: str | None = None,
    available: Any = None,
    names: dict[str, Named] | None = None,
) -> dict[str, Told]:
    assert fused.situation is not None
    candidates = fused.situation.candidates
    explainable = Explainable(
        fused=fused,
        candidates=candidates,
        ordered=order.by_score(fused.scores, available=available),
        read_titles=lambda ids: {i: n for i, n in (names or {}).items() if i in ids},
        language=language,
    )
    found = explainable.told(candidates.ids, deadline(late=late))
    return {i: it for i, it in zip(candidates.ids, found, strict=True) if it is not None}


def adds_up(node: Any) -> None:
    if node["details"]:
        below = sum(detail["value"] for detail in node["details"])
        assert below == pytest.approx(node["value"], rel=1e-6, abs=1e-9)
    for detail in node["details"]:
        adds_up(detail)


def adapted(fused: Fused) -> Fused:
    """The same list under a layer that has learned something."""
    assert fused.inputs is not None
    signals = fused.inputs["signals"]
    means = np.random.default_rng(0).normal(size=(1, signals.shape[1])) / 20
    layer = replace(adaptive.empty(signals.shape[1]), means=means)
    made = adaptation.adapt(layer, signals, "known:")
    return replace(fused, scores=fused.scores + made.added, adapted=made)


@settings(deadline=None, max_examples=20)
@given(lists, st.booleans(), st.booleans(), st.booleans(), st.randoms(use_true_random=False))
def test_explanations_add_up_to_what_is_shown(
    ids: list[str], model: bool, late: bool, taught: bool, random: Any
) -> None:
    fused = ranked(ids, model=model)
    if taught:
        fused = adapted(fused)
    available = np.array([random.random() < 0.7 for _ in ids])
    found = told(fused, late=late, available=available)
    assert set(found) == set(ids)
    ordered = order.by_score(fused.scores, available=available)
    for row, shown in zip(ordered.rows.tolist(), ordered.scores.tolist(), strict=True):
        explained = found[ids[row]].explanation
        assert explained["value"] == shown
        adds_up(explained)
        assert found[ids[row]].sentence


@settings(deadline=None, max_examples=15)
@given(lists, st.randoms(use_true_random=False))
def test_permuting_the_candidates_permutes_the_explanations(ids: list[str], random: Any) -> None:
    """The list itself is permuted, legs and all: a place in a leg goes with its candidate."""
    fused = ranked(ids)
    assert fused.inputs is not None
    rows = np.arange(len(ids))
    random.shuffle(rows)
    by_item = ("signals", "item_vectors", "item_rows")
    inputs = {name: a[rows] if name in by_item else a for name, a in fused.inputs.items()}
    assert fused.situation is not None
    moved = replace(
        fused,
        scores=fused.scores[rows],
        inputs=inputs,
        scored=scorer().score(inputs),
        situation=replace(
            fused.situation,
            candidates=fused.situation.candidates.take(rows),
            cards=fused.situation.cards[rows],
        ),
    )
    one, other = told(fused), told(moved)
    for name in ids:
        a, b = flat(one[name].explanation), flat(other[name].explanation)
        assert a.keys() == b.keys()
        for key, value in a.items():
            assert value == pytest.approx(b[key], rel=1e-3, abs=2e-4)


def flat(node: Any) -> dict[str, float]:
    """Value of each node by its name, without the numbers that descriptions carry."""
    found = {" ".join(node["description"].split()[:2]): node["value"]}
    for detail in node["details"]:
        found |= flat(detail)
    return found


def test_without_time_the_attention_splits_the_residual_and_says_so() -> None:
    for it in told(ranked("abc"), late=True).values():
        residual = it.explanation["details"][1]
        assert "attention alone" in residual["description"]
        assert len(residual["details"]) == len(scorer().artifact.manifest.tokens)


def test_attention_over_tokens_and_history_stands_beside() -> None:
    names = {"z": Named("ZINC TRAY", None)}
    found = told(ranked("acd"), names=names)["c"].attention
    assert sum(found["tokens"].values()) == pytest.approx(1.0, abs=1e-4)
    history = {it["id"]: it for it in found["history"]}
    assert set(history) == {"a", "b", "z"}
    assert history["z"]["title"] == "ZINC TRAY"
    assert history["a"]["title"] is None
    weights = [it["weight"] for it in found["history"]]
    assert weights == sorted(weights, reverse=True)
    assert 0 < sum(weights) < 1  # some of it looks at nobody in particular


def test_the_item_named_is_the_one_bought_most_often_together() -> None:
    fused = ranked("cde")
    assert fused.situation is not None
    evidence = Grounds(fused, fused.situation.candidates).evidence(0)
    assert evidence.bought_with is not None
    assert (evidence.bought_with.item_id, evidence.bought_with.kind) == ("z", "purchase")
    assert Grounds(fused, fused.situation.candidates).evidence(1).bought_with is None


def test_a_candidate_is_never_its_own_reason() -> None:
    fused = ranked("ab")
    assert fused.situation is not None
    grounds = explaining.examine(fused, fused.situation.candidates, deadline())
    for row, name in enumerate("ab"):
        found = grounds.evidence(row)
        for deed in (found.bought_with, found.alike, found.looked_at):
            assert deed is None or deed.item_id != name


def test_the_language_is_the_requests_then_the_items_then_english() -> None:
    fused, names = ranked("ab"), {"a": Named("A", "zh")}
    found = told(fused, names=names)
    assert found["a"].sentence.endswith("。")
    assert found["b"].sentence.endswith(".")
    assert told(fused, names=names, language="en")["a"].sentence.endswith(".")
    assert told(fused, language="zh-CN")["b"].sentence.endswith("。")


def test_an_order_by_places_says_where_they_were() -> None:
    found = situation(list("ab"), EVENTS)
    fused = Fused(baseline.rrf(found.candidates))
    grounds = Grounds(fused, found.candidates)
    explained = explanation.of(grounds, 0, float(fused.scores[0]), {})
    assert "keywords: rank 1" in explained["details"][0]["description"]
    adds_up(explained)
    assert explanation.attention(grounds, 0, {}) == {}
    assert grounds.evidence(0).signals["bm25"] > 0


def test_what_the_adaptive_layer_added_is_a_part_of_its_own() -> None:
    fused = adapted(ranked(list("abcd")))
    assert fused.adapted is not None
    explained = told(fused)["a"].explanation
    (own,) = [it for it in explained["details"] if it["description"].startswith("adaptive layer")]
    row = list("abcd").index("a")
    assert own["value"] == pytest.approx(float(fused.adapted.added[row]), abs=1e-5)
    signals = [detail["description"].removeprefix("signal ") for detail in own["details"]]
    assert set(signals) <= set(definition.NAMES)
    plain = told(ranked(list("abcd")))["a"].explanation
    assert not any(it["description"].startswith("adaptive") for it in plain["details"])
