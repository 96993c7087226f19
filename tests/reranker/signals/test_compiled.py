"""Machine code of loops over arrays: says what its source says, needs no place on the disk."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.behaviour.popularity import PURCHASE
from reranker.signals import (
    behaviour,
    build,
    compiled,
    definition,
    listwise,
    personal,
    product,
    relevance,
    title,
    together,
)
from tests.reranker.signals.situations import purchase, situation

FAMILIES = {
    "relevance": (relevance.compute, relevance, "_compute"),
    "title": (title.compute, title, "_compute"),
    "product": (product.compute, product, "_compute"),
    "popularity": (behaviour.popularity, behaviour, "_popularity"),
    "personal": (personal.compute, personal, "_compute"),
    "together": (together.compute, together, "_partners _taste _likeness _affinity"),
}
days = st.floats(0.0, 400.0)
bought = st.lists(st.tuples(st.sampled_from("abcdez"), days, st.sampled_from("uv")), max_size=12)


@pytest.mark.parametrize("family", FAMILIES)
@settings(deadline=None, max_examples=25)
@given(bought, st.sampled_from(["", "red card", "a"]))
def test_machine_code_says_what_its_source_says(
    family: str, deeds: list[tuple[str, float, str]], query: str
) -> None:
    compute, module, names = FAMILIES[family]
    events = [purchase(item, ago, user, basket=f"{ago:.0f}") for item, ago, user in deeds]
    titles = {"a": "a red card", "b": "card holder", "c": "red"}
    prices = {"a": 2.5, "b": 0.0, "c": float("nan")}
    one = situation(list("abcde"), events, titles=titles, query=query, prices=prices, table=True)
    width = len(definition.columns(family))
    by_machine = np.full((width, 5), 7.0, dtype=np.float32)
    compute(one, by_machine)
    by_source = np.full((width, 5), 7.0, dtype=np.float32)
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        for name in names.split():
            patch.setattr(module, name, getattr(module, name).py_func)
        compute(one, by_source)
    np.testing.assert_allclose(by_machine, by_source, rtol=1e-5, atol=1e-5)


@settings(deadline=None)
@given(bought, st.sampled_from([720.0, 240.0]))
def test_popularity_is_read_as_its_records_say(
    deeds: list[tuple[str, float, str]], half_life_hours: float
) -> None:
    events = [purchase(item, ago, user, basket=f"{ago:.0f}") for item, ago, user in deeds]
    one = situation(list("abcde"), events, half_life_hours=half_life_hours)
    known, found = one.popularity, build.columns(one)
    bought = known.decayed[:, PURCHASE]
    total, age = known.total[:, PURCHASE], known.last_age_days[:, PURCHASE]
    expected = {
        "purchases_1d": np.log1p(bought[:, behaviour.DAY_1]),
        "purchases_120d": np.log1p(bought[:, behaviour.DAY_120]),
        "purchases": np.log1p(total),
        "buyers": np.log1p(known.buyers),
        "loyalty": np.log1p(total / np.maximum(known.buyers, 1.0)),
        "days_since_sale": np.log1p(age),
        "days_known": np.log1p(known.first_age_days),
        "purchases_30d_share": bought[:, behaviour.DAY_30]
        / max(bought[:, behaviour.DAY_30].sum(), 1e-30),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


def test_places_and_defaults_by_machine_are_those_of_the_source() -> None:
    random = np.random.default_rng(1)
    table = random.choice([np.nan, np.inf, 1.0, 2.0, -9e9], (len(definition.SIGNALS), 7))
    table = table.astype(np.float32)
    filled = np.empty((7, len(table)), dtype=np.float32)
    limits = definition._DEFAULTS, definition._LOW, definition._HIGH
    definition._fill.py_func(table, *limits, filled)
    np.testing.assert_array_equal(definition.fill(table), filled)
    values = np.where(np.isfinite(table), table, listwise.LOWEST)
    known_only = random.random(len(table)) < 0.5
    shares = np.empty_like(values)
    listwise._places.py_func(values, np.argsort(values, axis=1), known_only, shares)
    np.testing.assert_array_equal(listwise.places(table, known_only), shares)


def test_what_has_no_file_to_be_kept_beside_is_compiled_all_the_same() -> None:
    found: dict[str, object] = {}
    exec("def twice(given, into):\n    into[0] = given * 2\n", found)  # noqa: S102 - no file
    twice = compiled.compiled(compiled.FLOATS, compiled.INTO)(found["twice"])  # type: ignore[type-var]
    into = np.zeros((1, 2), dtype=np.float32)
    twice(np.array([1.0, 2.0], dtype=np.float32), into)
    assert into.tolist() == [[2.0, 4.0]]


def test_a_field_of_packed_records_is_taken_as_it_lies() -> None:
    records = np.zeros(3, np.dtype([("flag", "u1"), ("price", "<f4")]))
    records["price"] = [1.0, np.nan, 3.0]
    records.setflags(write=False)
    into = np.zeros((len(definition.PRODUCT), 3), dtype=np.float32)
    nothing = np.zeros(3)
    given_ = (np.ones(3, "u1"), nothing.astype("f4"), nothing, np.ones(3, dtype=bool))
    product._compute(records["price"], *given_, 0.0, 0.0, into)
    assert into[product.PRICE].tolist() == pytest.approx([0.0, np.nan, np.log(3.0)], nan_ok=True)
