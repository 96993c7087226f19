"""The planner as a table, and its one promise: order and repetition do not matter."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalogue.plan import (
    NEVER,
    Expected,
    Order,
    Outcome,
    Stored,
    StoredDocument,
    is_repeat,
    plan,
)

NOW = Order(1_000, 1_000)
LATER = Order(2_000, 2_000)
DOCUMENT = StoredDocument(NOW, "text", "fields")
FOREIGN = StoredDocument(NEVER, "", "")


def upsert(order: Order, text: str = "text", fields: str = "fields") -> Expected:
    return Expected(order, deleted=False, text_hash=text, fields_hash=fields)


def delete(order: Order) -> Expected:
    return Expected(order, deleted=True)


@pytest.mark.parametrize(
    ("expected", "stored", "outcome"),
    [
        (upsert(NOW), Stored(), Outcome.EMBED),
        (upsert(LATER), Stored(DOCUMENT), Outcome.NOTHING),
        (upsert(LATER, fields="price"), Stored(DOCUMENT), Outcome.FIELDS_ONLY),
        (upsert(LATER, text="title"), Stored(DOCUMENT), Outcome.EMBED),
        (upsert(LATER, text="title", fields="title"), Stored(DOCUMENT), Outcome.EMBED),
        (upsert(NOW), Stored(DOCUMENT), Outcome.NOTHING),
        (upsert(Order(999, 5_000)), Stored(DOCUMENT), Outcome.STALE),
        (upsert(Order(1_000, 999), text="title"), Stored(DOCUMENT), Outcome.STALE),
        (
            upsert(Order(1_500, 1_500), text="title"),
            Stored(DOCUMENT, confirmed=LATER),
            Outcome.STALE,
        ),
        (upsert(NOW), Stored(FOREIGN), Outcome.EMBED),
        (upsert(NOW), Stored(buried=LATER), Outcome.STALE),
        (upsert(LATER), Stored(buried=NOW), Outcome.EMBED),
        (upsert(LATER), Stored(buried=LATER), Outcome.STALE),
        (upsert(Order(3_000, 1)), Stored(DOCUMENT, buried=LATER), Outcome.EMBED),
        (delete(LATER), Stored(DOCUMENT), Outcome.DELETE),
        (delete(NOW), Stored(DOCUMENT), Outcome.DELETE),
        (delete(Order(999, 999)), Stored(DOCUMENT), Outcome.STALE),
        (delete(Order(1_500, 1)), Stored(DOCUMENT, confirmed=LATER), Outcome.STALE),
        (delete(NOW), Stored(), Outcome.DELETE),
        (delete(NOW), Stored(buried=NOW), Outcome.NOTHING),
        (delete(LATER), Stored(buried=NOW), Outcome.DELETE),
        (delete(LATER), Stored(DOCUMENT, buried=LATER), Outcome.DELETE),
        (delete(NOW), Stored(buried=LATER), Outcome.STALE),
    ],
)
def test_each_pair_of_expected_and_stored_has_its_outcome(
    expected: Expected, stored: Stored, outcome: Outcome
) -> None:
    assert plan(expected, stored) is outcome


def carried_out(expected: Expected, stored: Stored) -> Stored:
    """What is stored after the outcome was carried out, as sync does it."""
    outcome = plan(expected, stored)
    if outcome in {Outcome.EMBED, Outcome.FIELDS_ONLY}:
        if outcome is Outcome.FIELDS_ONLY:
            assert stored.document is not None
            assert stored.document.text_hash == expected.text_hash, "the vector would be wrong"
        document = StoredDocument(expected.order, expected.text_hash, expected.fields_hash)
        return Stored(document, stored.buried, stored.was_live, stored.confirmed)
    if outcome is Outcome.DELETE:
        return Stored(None, expected.order, stored.document is not None, stored.confirmed)
    if outcome is Outcome.NOTHING and stored.document is not None:
        confirmed = max(stored.confirmed, expected.order)
        return Stored(stored.document, stored.buried, stored.was_live, confirmed)
    return stored


orders = st.builds(Order, st.integers(0, 4), st.integers(0, 4))
updates = st.one_of(
    st.builds(upsert, orders, st.sampled_from(["t1", "t2"]), st.sampled_from(["f1", "f2"])),
    st.builds(delete, orders),
)


def state_after(messages: Sequence[Expected]) -> tuple[str, str] | None:
    stored = Stored()
    for message in messages:
        stored = carried_out(message, stored)
    document = stored.document
    return None if document is None else (document.text_hash, document.fields_hash)


@given(st.lists(updates, min_size=1, max_size=7), st.data())
def test_any_order_and_any_repetition_end_in_the_state_of_the_latest_update(
    messages: list[Expected], data: st.DataObject
) -> None:
    latest = max(messages, key=lambda message: message.rank)
    expected = None if latest.deleted else (latest.text_hash, latest.fields_hash)
    again = data.draw(st.lists(st.sampled_from(messages), max_size=7))
    shuffled = data.draw(st.permutations(messages + again))
    assert state_after(shuffled) == expected


@given(st.lists(updates, max_size=5), updates)
def test_an_update_that_was_carried_out_is_a_repeat_and_needs_nothing(
    messages: list[Expected], message: Expected
) -> None:
    stored = Stored()
    for earlier in messages:
        stored = carried_out(earlier, stored)
    if plan(message, stored) in {Outcome.EMBED, Outcome.FIELDS_ONLY, Outcome.DELETE}:
        stored = carried_out(message, stored)
        assert plan(message, stored) is Outcome.NOTHING
        assert is_repeat(message, stored)
