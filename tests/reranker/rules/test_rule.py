"""A rule says what it says, and what it cannot say is refused with the place where it stands."""

from typing import Any

import pytest

from indexer.errors import InvalidRequest
from reranker.rules import rule

PIN = {"pin": [{"id": "a", "position": 1}]}


def read(then: Any = PIN, when: Any = None, **others: Any) -> rule.Rule:
    document = {"then": then, **({} if when is None else {"when": when}), **others}
    return rule.read(document, "shop", "r1")


def test_a_rule_is_stored_as_it_was_said() -> None:
    said = {
        "name": "Summer",
        "enabled": False,
        "when": {
            "query": {"words": ["garden", "花园"], "pattern": ["* chair*"]},
            "filters": {"categories": ["Outdoor"]},
            "context": {"device": ["mobile"], "logged_in": [True]},
            "starts": "2026-06-01T00:00:00Z",
            "ends": "2026-09-01T00:00:00Z",
        },
        "then": {
            "pin": [{"id": "a", "position": 2}],
            "hide": ["b"],
            "boost": [{"field": "brand", "value": ["acme"], "by": 0.5}],
            "bury": [{"ids": ["c"], "by": 1.0}],
            "filter": {"term": {"available": True}},
            "redirect": "/summer",
            "replace_query": "garden chair",
        },
    }
    made = rule.read(said, "shop", "summer")
    assert rule.as_stored(made) == said | {"id": "summer", "index": "shop"}
    assert rule.Rule.model_validate(rule.as_stored(made)) == made


def test_one_text_is_a_list_of_one() -> None:
    assert read(when={"query": {"exact": "Lamp"}}) == read(when={"query": {"exact": ["Lamp"]}})


@pytest.mark.parametrize(
    ("then", "when", "said"),
    [
        ({**PIN, "colour": "red"}, None, "then.colour is no key of a rule"),
        (PIN, {"weather": "rain"}, "when.weather is no key of a rule"),
        ({"pin": [{"id": "a", "position": 0}]}, None, "then.pin.0.position"),
        ({"pin": [{"id": "a", "position": 101}]}, None, "then.pin.0.position"),
        ({"boost": [{"field": "brand", "by": 0.5}]}, None, "name either ids, or field and value"),
        ({"boost": [{"ids": ["a"], "by": 1.5}]}, None, "then.boost.0.by"),
        ({"redirect": "javascript:alert(1)"}, None, "must begin with https://"),
        ({"redirect": "//elsewhere.example"}, None, "must begin with https://"),
        ({"filter": {"term": {"a": 1}, "range": {}}}, None, "must be one query clause"),
        ({}, None, "name one of pin, hide"),
        (PIN, {"query": {}}, "name exact, words, prefix or pattern"),
        (PIN, {"starts": "2026-06-01T00:00:00"}, "when.starts"),
        (PIN, {"starts": "2026-06-02T00:00:00Z", "ends": "2026-06-01T00:00:00Z"}, "before ends"),
    ],
)
def test_what_a_rule_cannot_say_is_refused_with_its_place(then: Any, when: Any, said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(then, when)
    assert said in refused.value.message


def test_the_address_says_which_rule_it_is() -> None:
    with pytest.raises(InvalidRequest, match="the address says 'r1'"):
        read(id="r2")
    for name in ("_publish", "", "a b", "é"):
        with pytest.raises(InvalidRequest):
            rule.read({"then": PIN}, "shop", name)
