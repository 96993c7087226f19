"""Whole titles: which cases are made of them, what the gate asks, and that a shop learns them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.behaviour.event import BehaviourEvent
from indexer.catalogue import card
from indexer.catalogue.generation import Generation
from indexer.catalogue.mapping import IndexConfig
from indexer.embedding.recipe import Recipe
from reranker.fusion.registry import Registry
from reranker.learning import contest, known_items, progress, run
from reranker.learning import goods as catalogue
from reranker.learning.cases import Case, LoggedSearch
from reranker.learning.equipment import Workshop
from reranker.learning.material import Material
from reranker.learning.schedule import Schedule
from reranker.retrieval.candidates import Candidates
from tests.reranker.learning import shop
from tests.reranker.learning.lists import list_set

AT = [float(day) for day in range(10)]
CUT = 6
TITLES = {str(n): f"Thing {n}" for n in range(100)} | {"twin": "Same  thing", "other": "same thing"}


def typed(count: int, labels: tuple[float, float, float] = (1.0, 0.0, 0.0)) -> list[Case]:
    return [Case(n % CUT, AT[n % CUT], None, f"q {n}", {"1": labels}) for n in range(count)]


def test_probes_are_of_titles_that_nothing_is_learned_of() -> None:
    found = known_items.cases(TITLES, AT, CUT, typed(700), typed(10), seed=1)
    learned = {case.target for case in (*found.train, *found.late)}
    probed = {case.target for case in found.probes}
    assert (len(found.train), len(found.late), len(found.probes)) == (70, 10, 20)
    assert not learned & probed
    assert not {"twin", "other"} & (learned | probed)
    assert {case.moment for case in found.probes} == {CUT}
    assert all(case.moment < CUT for case in found.train)
    assert {case.moment for case in found.late} == {len(AT) - 1}
    assert all(
        case.query == f"thing {case.target}" and case.user is None
        for case in (*found.train, *found.late, *found.probes)
    )


def test_their_labels_are_of_the_kinds_that_a_log_has() -> None:
    train = [*typed(50), *typed(50, (0.0, 0.5, 0.0))]
    found = known_items.cases(TITLES, AT, CUT, train, [], seed=1)
    assert {labels for case in found.train for labels in case.labels.values()} == {(1.0, 1.0, 0.0)}


def test_where_every_query_is_made_of_a_title_there_are_no_more() -> None:
    derived = [replace(case, target="1") for case in typed(200)]
    found = known_items.cases(TITLES, AT, CUT, derived, derived, seed=1)
    assert (found.train, found.late, len(found.probes)) == ([], [], 20)


@pytest.mark.parametrize("titles", [{}, {"1": ""}, {"1": "same", "2": "same"}])
def test_a_shop_without_titles_of_its_own_has_none(titles: dict[str, str]) -> None:
    found = known_items.cases(titles, AT, CUT, typed(50), [], seed=1)
    assert found == known_items.KnownItems([], [], [])


def verdict(worst: int, lists: int = 40) -> str | None:
    """Of `lists` probes that the prior answers, `worst` have their item at the very end."""
    made = list_set(lists, items=(8, 9))
    untrained = made.target.astype(np.float64)
    scores = untrained.copy()
    scores[: made.start[worst]] *= -1.0
    return known_items.verdict(scores, untrained, made, 1, 0.05)[1]


def test_titles_far_down_are_refused_and_noise_is_not() -> None:
    assert verdict(0) is None
    assert verdict(2) is None
    why = verdict(30)
    assert why is not None
    assert "whole title" in why
    assert verdict(10, lists=known_items.PROBES_MIN - 1) is None


BRANDS = ("lumo", "aria", "basalt", "kestrel", "norden")
KINDS = ("lamp", "mug", "bag", "clock", "box", "card")
QUICK = Schedule(
    moments_max=4,
    tables=1,
    windows=(100,),
    width=16,
    layers=1,
    attention_heads=2,
    taste_width=8,
    text_width=8,
    epochs=1,
    visit_cases=0,
    baseline=False,
    int8=False,
)


def goods() -> catalogue.Goods:
    """Five brands of six kinds, each in four makes."""
    random = np.random.default_rng(0)
    titles = [f"{b} {k} make{n}" for b in BRANDS for k in KINDS for n in range(4)]
    blobs = []
    for title in titles:
        drawn = random.normal(size=shop.DIMS).astype(np.float32)
        blobs.append(card.pack(title=title, vector=drawn / np.linalg.norm(drawn), price=2.0))
    return catalogue.goods([str(n) for n in range(len(titles))], titles, blobs, shop.DIMS)


def find(queries: Sequence[str], _window: int) -> tuple[list[Candidates], NDArray[np.float32]]:
    """Every item that shares a word with the query; keyword scores count the words."""
    titles = goods().titles
    found = []
    for query in queries:
        shared = np.array([len(set(query.split()) & set(title.split())) for title in titles])
        order = np.argsort(-shared, kind="stable")[: int((shared > 0).sum())]
        nothing = np.full(len(order), np.nan, dtype=np.float32)
        ranks = np.arange(1, len(order) + 1, dtype=np.float32)
        ids = [str(row) for row in order]
        found.append(Candidates(ids, shared[order].astype(np.float32), ranks, nothing, nothing))
    vectors = np.ones((len(queries), shop.DIMS), dtype=np.float32) / np.sqrt(shop.DIMS)
    return found, vectors.astype(np.float32)


def by_brand() -> Material:
    """Whatever brand is asked for, what is clicked is of the first one, and of the kind."""
    random = np.random.default_rng(4)
    titles = goods().titles
    searches, events = [], []
    for number in range(500):
        kind = KINDS[int(random.integers(len(KINDS)))]
        text = f"{BRANDS[int(random.integers(1, len(BRANDS)))]} {kind}"
        own = [str(row) for row, title in enumerate(titles) if title.split()[1] == kind]
        shown = tuple(random.permutation(own).tolist())
        first = [item for item in shown if titles[int(item)].startswith(BRANDS[0])]
        time = shop.START + number * shop.DAY / 8
        searches.append(LoggedSearch(f"q{number}", time, f"u{number % 40}", text, shown))
        events.append(
            BehaviourEvent(
                event_id=f"e{number}",
                action="click",
                item_id=first[int(random.integers(len(first)))],
                timestamp=time + 5,
                user=f"u{number % 40}",
                query_id=f"q{number}",
            )
        )
    return Material(events=events, searches=searches, goods=goods(), find=find)


def trained(tmp_path: Path) -> dict[str, object]:
    material = by_brand()
    prepared = run.prepare(material, QUICK)
    assert prepared is not None
    recipe = Recipe(encoder=f"hashed:{shop.DIMS}", dims=shop.DIMS)
    generation = Generation("goods", "goods-000001", IndexConfig(), recipe)
    asked = contest.Contest(Registry(tmp_path, "goods"), generation, QUICK, material, *prepared)
    told = asked.held(datetime(2026, 1, 1, tzinfo=UTC), progress.silent, Workshop())
    assert told is not None
    return told


def test_a_model_that_buries_what_is_asked_for_by_name_does_not_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_items, "SHARE", 0.0)
    monkeypatch.setattr(known_items, "LISTS_MIN", 0)
    told = trained(tmp_path)
    assert not told["promoted"]
    assert "whole title" in str(told["why"])
    assert Registry(tmp_path, "goods").current() is None


def test_beside_titles_the_same_log_teaches_a_model_that_serves(tmp_path: Path) -> None:
    told = trained(tmp_path)
    titles = told["whole_titles"]
    assert isinstance(titles, dict)
    assert titles["mrr"] > titles["prior"] + 0.2
    assert told["promoted"]
