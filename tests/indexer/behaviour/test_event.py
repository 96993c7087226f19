"""Pseudonyms and value objects: who acted, and what a stored document means."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from indexer.behaviour import event

KEY = "k"


def document(**fields: Any) -> dict[str, Any]:
    return {
        "event_id": "e1",
        "action_name": "purchase",
        "timestamp": "2011-10-12T13:19:15.250Z",
        **fields,
    }


@given(st.text(min_size=1), st.text(min_size=1))
def test_the_same_id_of_two_kinds_never_meets(one: str, other: str) -> None:
    stand_ins = {
        event.pseudonym(KEY, one),
        event.client_pseudonym(KEY, other),
        event.session_pseudonym(KEY, other),
        event.order_pseudonym(KEY, other),
    }
    assert len(stand_ins) == 4


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_pseudonym_depends_on_id_and_key_alone(user: str, key: str) -> None:
    assert event.pseudonym(KEY, user) == event.pseudonym(KEY, user)
    assert (event.pseudonym(KEY, user) == event.pseudonym(key, user)) == (key == KEY)


def test_behaviour_is_kept_under_the_user_else_the_client_else_nobody() -> None:
    assert event.shopper(KEY, "u", "c") == event.pseudonym(KEY, "u")
    assert event.shopper(KEY, None, "c") == event.client_pseudonym(KEY, "c")
    assert event.shopper(KEY, "", "") is None


def test_a_search_typed_in_another_way_has_the_same_key() -> None:
    assert event.query_key("  Ｒed\tMUG ") == "red mug"
    assert event.query_key("无线　耳机") == "无线 耳机"


def test_an_order_groups_items_before_the_session_does() -> None:
    ordered = document(session_id="s-1", event_attributes={"order_id": "o-1"})
    assert event.event_of(ordered).basket == "o-1"
    assert event.event_of(document(session_id="s-1")).basket == "s-1"


def test_what_a_shopper_takes_on_one_day_is_together_where_nothing_says_more() -> None:
    first = event.event_of(document(user_id="u", timestamp="2011-10-12T01:00:00.000+03:00"))
    second = event.event_of(document(user_id="u", timestamp="2011-10-11T23:59:59.999Z"))
    assert first.basket == second.basket == "d-u-2011-10-11"
    assert event.event_of(document(user_id="u")).basket == "d-u-2011-10-12"
    assert event.event_of(document(client_id="c-1")).basket == "d-c-1-2011-10-12"
    assert event.event_of(document()).basket is None
    assert event.event_of(document(user_id="u", action_name="view")).basket is None


def test_only_what_goes_into_a_basket_has_one() -> None:
    for action, basket in {"click": None, "add_to_cart": "s-1", "remove_from_cart": "s-1"}.items():
        assert event.event_of(document(action_name=action, session_id="s-1")).basket == basket


def test_a_document_without_an_item_is_an_event_without_one() -> None:
    read = event.event_of(document(action_name="on_search", user_query=" A  lamp"))
    assert (read.item_id, read.query_key, read.position) == ("", "a lamp", None)


def test_actions_are_spelt_one_way() -> None:
    assert event.event_of(document(action_name="Add-To-Cart")).action == "add_to_cart"


@given(st.floats(min_value=0, max_value=4e9))
def test_times_keep_their_milliseconds(seconds: float) -> None:
    read = event.event_of(document(timestamp=event.iso(seconds)))
    assert abs(read.timestamp - seconds) <= 0.000_501
