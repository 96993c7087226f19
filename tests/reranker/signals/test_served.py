"""Served signals: what is kept is what was seen, to half precision; foreign ones are not read."""

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reranker.signals import build, definition, served
from reranker.signals.served import PRIOR, Served
from tests.reranker.signals.situations import purchase, situation

IDS = ["a", "b", "c", "d", "e"]
EVENTS = [purchase("a", 3), purchase("z", 9)]


def list_as_served(rows: list[int], model: str | None = None) -> tuple[build.ModelInput, Served]:
    found = situation(IDS, EVENTS)
    made = build.assemble(found)
    kept = served.of(rows, made, found.history["item"], model)
    assert kept is not None
    return made, kept


def kept_and_read(one: Served) -> Served:
    found = served.decode(orjson.loads(orjson.dumps(served.encode(one))))
    assert found is not None
    return found


@settings(deadline=None)
@given(st.lists(st.integers(-1, 4), min_size=1, max_size=8).filter(lambda r: max(r) >= 0))
def test_what_is_read_is_what_was_seen_of_each_shown_hit(rows: list[int]) -> None:
    made, kept = list_as_served(rows, "v1")
    found = kept_and_read(kept)
    assert found.model == "v1"
    assert found.seen.tolist() == [row >= 0 for row in rows]
    for row, signals in zip(rows, found.signals, strict=True):
        if row >= 0:
            np.testing.assert_allclose(signals, made["signals"][row], rtol=1e-3, atol=1e-3)
        else:
            assert np.isnan(signals).all()


def test_the_history_beside_them_is_kept_too() -> None:
    made, kept = list_as_served([0])
    found = kept_and_read(kept)
    assert found.model == PRIOR
    np.testing.assert_array_equal(found.history, situation(IDS, EVENTS).history["item"])
    np.testing.assert_allclose(found.history_features, made["history_features"], rtol=1e-3)


def test_a_list_of_which_the_model_saw_nothing_has_no_served_signals() -> None:
    made = build.assemble(situation(IDS))
    nobody = np.zeros(0, dtype=np.uint64)
    assert served.of([-1, -1], made, nobody, None) is None
    assert served.of([], made, nobody, None) is None


def test_signals_of_other_declarations_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = served.encode(list_as_served([0])[1])
    changed = (replace(definition.SIGNALS[0], default=0.5), *definition.SIGNALS[1:])
    monkeypatch.setattr(definition, "SIGNALS", changed)
    definition.digest.cache_clear()
    try:
        assert served.decode(kept) is None
    finally:
        definition.digest.cache_clear()


@pytest.mark.parametrize(
    "change",
    [
        {"signals": "no base64!"},
        {"signals": "AAAA"},
        {"signals": 7},
        {"history": "AAA="},
        {"history_features": "AAA="},
        {"model": None, "signals": None},
    ],
)
def test_what_is_altered_is_not_read(change: dict[str, Any]) -> None:
    assert served.decode({**served.encode(list_as_served([0])[1]), **change}) is None


@pytest.mark.parametrize("kept", [None, "text", [], {}, {"signal_digest": "another"}])
def test_anything_else_is_not_read(kept: object) -> None:
    assert served.decode(kept) is None
