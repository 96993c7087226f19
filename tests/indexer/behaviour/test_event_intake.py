"""Lines on their way in: numbered, told apart, and sorted by the index they belong to."""

from typing import Any

import orjson
import pytest

from indexer.behaviour import intake
from indexer.behaviour.applications import Applications
from indexer.errors import InvalidEvent

SHOPS = Applications({"shoes": frozenset({"shoes"}), "lamps": frozenset({"light", "both"})})


def terms(applications: Applications = SHOPS, index: str | None = None) -> intake.Terms:
    return intake.Terms(applications, "k", 1.7e9, live=True, index=index)


def view(application: str | None, **fields: Any) -> dict[str, Any]:
    named = {} if application is None else {"application": application}
    return {"action_name": "view", "query_id": "q1", **named, **fields}


def test_a_bad_line_is_rejected_alone_under_its_number() -> None:
    lines = [b"{bad", orjson.dumps(view("shoes")), b'{"x": 1}', b"[1]"]
    taken = intake.take(enumerate(lines, 1), terms())
    assert taken.accepted == 1
    assert [it.line for it in taken.rejected] == [1, 3, 4]
    assert taken.rejected[0].reason.startswith("is not JSON")


def test_events_go_to_the_index_that_names_or_lists_their_application() -> None:
    taken = intake.take(enumerate([view("shoes"), view("lamps"), view("light")], 1), terms())
    assert {where: len(batch) for where, batch in taken.documents.items()} == {
        ("event", "shoes"): 1,
        ("event", "lamps"): 2,
    }


def test_an_action_of_their_own_counts_as_the_index_says_and_keeps_its_name() -> None:
    names = {"shoes": frozenset({"shoes"}), "lamps": frozenset({"lamps"})}
    said = terms(Applications(names, {"shoes": {"add_favourite": "click", "view": "impression"}}))
    item = {"event_attributes": {"object": {"object_id": "i1"}}}
    liked = {"action_name": "Add-Favourite", "query_id": "q1", **item}
    taken = {
        name: intake.take_one({"application": name, **liked}, said)[2]
        for name in ("shoes", "lamps")
    }
    assert taken["shoes"]["action_name"] == "click"
    assert taken["shoes"]["hitweave"] == {"action_name": "Add-Favourite"}
    assert taken["lamps"]["action_name"] == "Add-Favourite"
    assert "hitweave" not in taken["lamps"]
    page = intake.take([(1, view("shoes")), (2, view("lamps"))], said)
    assert [it.reason for it in page.rejected] == [
        "event_attributes.object.object_id: impression needs it"
    ]


def test_who_sent_an_event_travels_beside_the_name_it_came_with() -> None:
    said = Applications({"shoes": frozenset({"shoes"})}, {"shoes": {"read": "view"}})
    robot = intake.Terms(said, "k", 1.7e9, live=True, origin=intake.Origin("robot", "a-1"))
    _, _, found = intake.take_one({**view("shoes"), "action_name": "read"}, robot)
    assert found["hitweave"] == {"action_name": "read", "sender": "robot", "address": "a-1"}


def test_an_application_that_no_index_has_is_rejected_with_the_reason() -> None:
    taken = intake.take([(1, view("hats"))], terms())
    assert "no index has this name" in taken.rejected[0].reason


def test_an_application_that_two_indices_list_is_ambiguous_unless_one_bears_the_name() -> None:
    named = {"a": frozenset({"x", "b"}), "b": frozenset({"x"})}
    assert Applications(named).index_of("b") == "b"
    with pytest.raises(InvalidEvent, match="2 indices"):
        Applications(named).index_of("x")


def test_without_an_application_the_only_index_is_meant() -> None:
    only = Applications({"shoes": frozenset({"shoes"})})
    assert intake.take_one(view(None), terms(only))[1] == "shoes"
    with pytest.raises(InvalidEvent, match="absent"):
        intake.take_one(view(None), terms())


def test_a_given_index_takes_everything() -> None:
    assert intake.take_one(view("hats"), terms(index="shoes"))[1] == "shoes"


def test_an_event_takes_the_text_of_the_search_it_came_with() -> None:
    query = {"application": "shoes", "query_id": "q1", "user_query": "red mug"}
    said = view("shoes", user_query="own")
    lines = [view("shoes"), query, said, view("light"), view("shoes", query_id="q2")]
    taken = intake.take(enumerate(lines, 1), terms())
    found = [it.get("user_query") for it in taken.documents["event", "shoes"]]
    assert found == ["red mug", "own", None]
    assert "user_query" not in taken.documents["event", "lamps"][0]


def test_batches_hold_everything_once_with_queries_first() -> None:
    lines: list[Any] = [view("shoes", message=str(number)) for number in range(5)]
    lines.append({"application": "shoes", "user_query": "mug"})
    batches = list(intake.take(enumerate(lines, 1), terms()).batches(2))
    assert [(index, len(it["query"]), len(it["event"])) for index, it in batches] == [
        ("shoes", 1, 1),
        ("shoes", 0, 2),
        ("shoes", 0, 2),
    ]
