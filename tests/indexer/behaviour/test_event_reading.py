"""UBI as it is met in the wild: what is read, what is refused, and what is stored of it."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.behaviour import event, ubi
from indexer.errors import InvalidEvent

KEY = "k"
NOW = 1_700_000_000.25
TIME = "2011-10-12T13:19:15.000Z"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcde_", min_size=1, max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def click(**fields: Any) -> dict[str, Any]:
    return {
        "action_name": "click",
        "timestamp": TIME,
        "event_attributes": {"object": {"object_id": "21730"}, "position": {"ordinal": 3}},
        **fields,
    }


def read(raw: object, *, live: bool = True) -> dict[str, Any]:
    return ubi.read(raw, key=KEY, now=NOW, live=live)[1]


def reason(raw: object, *, live: bool = True) -> str:
    with pytest.raises(InvalidEvent) as refused:
        read(raw, live=live)
    return refused.value.message


def test_an_event_of_the_specification_is_stored_as_it_says() -> None:
    raw = click(
        application="shop",
        query_id="q1",
        session_id="s1",
        client_id="c1",
        user_id="u1",
        message_type="INFO",
        message="hello",
        user_query="red mug",
        event_attributes={
            "object": {"object_id": 7, "object_id_field": "id", "name": "Mug"},
            "position": {"ordinal": 2, "xy": {"x": 1, "y": 2.5}, "page_depth": 1},
            "price": 3.5,
            "tags": ["a"],
        },
    )
    assert read(raw) == {
        "event_id": ubi.identity(raw),
        "timestamp": TIME,
        "application": "shop",
        "action_name": "click",
        "query_id": "q1",
        "message_type": "INFO",
        "message": "hello",
        "user_query": "red mug",
        "user_id": event.pseudonym(KEY, "u1"),
        "client_id": event.client_pseudonym(KEY, "c1"),
        "session_id": event.session_pseudonym(KEY, "s1"),
        "event_attributes": {
            "object": {"object_id": "7", "object_id_field": "id", "name": "Mug"},
            "position": {"ordinal": 2, "xy": {"x": 1.0, "y": 2.5}, "page_depth": 1},
            "price": 3.5,
            "tags": ["a"],
        },
    }


def test_coordinates_are_read_in_both_spellings() -> None:
    inside = click(event_attributes={"object": {"object_id": "1"}, "position": {"xy": {"x": 4}}})
    beside = click(event_attributes={"object": {"object_id": "1"}, "position": {"x": 4}})
    assert read(inside)["event_attributes"] == read(beside)["event_attributes"]


@pytest.mark.parametrize(
    "name",
    ["query_response_hit_ids", "query_response_objects_ids", "query_response_object_ids"],
)
def test_shown_ids_are_read_in_every_spelling(name: str) -> None:
    query = read({"query_id": "q", "user_query": "mug", name: ["a", 2]})
    assert query["query_response_hit_ids"] == ["a", "2"]


@pytest.mark.parametrize(
    "written",
    [
        "2011-10-12T13:19:15Z",
        "2011-10-12T13:19:15.000Z",
        "2011-10-12T13:19:15",
        "2011-10-12T15:19:15+02:00",
        "2011-10-12 13:19:15.000000123",
        1318425555000,
        "1318425555000",
        1318425555,
    ],
)
def test_times_are_read_in_every_form(written: object) -> None:
    assert read(click(timestamp=written))["timestamp"] == TIME


@pytest.mark.parametrize("written", ["yesterday", True, {}, -1, 1e300, "10000-01-01", "NaN"])
def test_what_is_no_time_is_refused(written: object) -> None:
    assert reason(click(timestamp=written)).startswith("timestamp: ")


def test_a_live_event_without_a_time_happened_now_and_an_import_must_say_when() -> None:
    timeless = click()
    del timeless["timestamp"]
    assert read(timeless)["timestamp"] == event.iso(NOW)
    assert "must say when" in reason(timeless, live=False)


@pytest.mark.parametrize("live", [True, False])
def test_dates_more_than_five_minutes_ahead_are_refused(live: bool) -> None:
    assert read(click(timestamp=event.iso(NOW + 299.9)), live=live)
    assert "5 minutes" in reason(click(timestamp=event.iso(NOW + 300.5)), live=live)


@pytest.mark.parametrize(
    ("name", "length"),
    [
        *((n, 100) for n in ("application", "action_name", "query_id", "session_id")),
        *((n, 100) for n in ("client_id", "user_id", "message_type")),
        ("message", 1024),
    ],
)
def test_lengths_of_the_specification_are_kept(name: str, length: int) -> None:
    assert read(click(**{name: "x" * length}))
    assert reason(click(**{name: "x" * (length + 1)})).startswith(name)


def test_object_ids_are_kept_to_256_characters() -> None:
    def of(object_id: str) -> dict[str, Any]:
        return click(event_attributes={"object": {"object_id": object_id}})

    assert read(of("x" * 256))
    assert "object_id" in reason(of("x" * 257))
    assert "object_id" in reason(of(""))


@pytest.mark.parametrize("action", sorted(ubi.ITEM_ACTIONS))
def test_what_happens_to_an_item_must_say_to_which(action: str) -> None:
    assert "object_id" in reason({"action_name": action, "timestamp": TIME})
    assert read({"action_name": "on_search", "timestamp": TIME, "user_query": "mug"})


@pytest.mark.parametrize("ordinal", [0, -1, 1.5, "first", [1]])
def test_positions_count_from_one(ordinal: object) -> None:
    attributes = {"object": {"object_id": "1"}, "position": {"ordinal": ordinal}}
    assert "ordinal" in reason(click(event_attributes=attributes))


@pytest.mark.parametrize("raw", [{}, {"name": "x"}, [], "event", 3, None])
def test_what_is_neither_event_nor_query_is_refused(raw: object) -> None:
    assert reason(raw)


@pytest.mark.parametrize("name", ["", " ", ".", "a.", ".a", "a..b", "a\0b", "x" * 257])
def test_field_names_that_elasticsearch_cannot_hold_are_refused(name: str) -> None:
    attributes = {"object": {"object_id": "1"}, "deep": [{name: 1}]}
    assert "field name" in reason(click(event_attributes=attributes))
    assert "field name" in reason({"user_query": "x", "query_attributes": {name: 1}})


def test_attributes_may_not_be_nested_without_end() -> None:
    nested: Any = 1
    for _ in range(40):
        nested = {"a": nested}
    assert "nested" in reason(click(event_attributes={"object": {"object_id": "1"}, "n": nested}))


def test_a_reason_never_tells_the_value() -> None:
    assert "secret" not in reason(click(timestamp="my secret date"))
    assert "secret" not in reason(click(user_id="secret" * 50))


def test_fields_that_ubi_does_not_name_are_not_stored() -> None:
    query = {"user_query": "x", "query": '{"ext": {"client_id": "raw"}}', "query_id": "q"}
    assert b"raw" not in orjson.dumps(read(query))
    assert "email" not in read(click(email="a@b"))


def test_a_session_inside_the_attributes_is_the_session() -> None:
    inside = click()
    inside["event_attributes"]["session_id"] = "s1"
    assert read(inside)["session_id"] == event.session_pseudonym(KEY, "s1")
    assert "session_id" not in read(inside)["event_attributes"]


@pytest.mark.parametrize("name", ["order_id", "transaction_id"])
def test_an_order_is_kept_under_one_name_as_a_pseudonym(name: str) -> None:
    ordered = click()
    ordered["event_attributes"][name] = 536365
    stored = read(ordered)["event_attributes"]
    assert stored["order_id"] == event.order_pseudonym(KEY, "536365")
    assert name == "order_id" or name not in stored


@given(st.sampled_from(["user_id", "client_id", "session_id"]), st.text("xyz0189", min_size=6))
def test_no_raw_id_is_stored_or_kept_of_a_rejected_line(name: str, raw_id: str) -> None:
    event_line = click(**{name: raw_id})
    query_line = {"user_query": "mug", "query_id": "q", name: raw_id}
    for raw in (event_line, query_line):
        assert raw_id not in orjson.dumps(read(raw)).decode()
        assert raw_id not in ubi.redacted(orjson.dumps(raw), KEY)


@given(st.dictionaries(st.text("abc", min_size=1), json_values))
def test_the_same_event_has_the_same_identity_in_any_order_of_its_fields(extra: Any) -> None:
    raw = {**extra, **click()}
    backwards = dict(reversed(list(raw.items())))
    assert ubi.identity(raw) == ubi.identity(backwards)
    assert ubi.identity(raw) != ubi.identity({**raw, "z": 1})


def test_a_given_event_id_is_the_identity() -> None:
    assert read(click(event_id=17))["event_id"] == "17"
    assert len(read(click(event_id="x" * 257))["event_id"]) == 64


@given(json_values)
def test_whatever_comes_is_read_or_refused_and_never_fails(value: Any) -> None:
    for name in (
        "timestamp",
        "user_id",
        "event_attributes",
        "user_query",
        "query_response_hit_ids",
    ):
        for raw in (click(**{name: value}), {"query_id": "q", name: value}):
            try:
                stored = read(raw)
            except InvalidEvent:
                continue
            orjson.dumps(stored)
