"""Rules and previews changed at random places are answered or refused, never a fault of ours."""

import json
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Stack
from tests.flows.test_rules import Desk, desk  # noqa: F401 - a fixture
from tests.flows.test_search import MATCH, raw

RULE: dict[str, Any] = {
    "name": "Summer",
    "enabled": True,
    "when": {
        "query": {"words": ["lamp", "台灯"], "pattern": "* lamp*", "exact": "lamp", "prefix": "l"},
        "filters": {"brand": ["zeta"]},
        "context": {"device": ["mobile", True, 3]},
        "starts": "2020-06-01T00:00:00Z",
        "ends": "2040-09-01T00:00:00Z",
    },
    "then": {
        "pin": [{"id": "lamp-1", "position": 2}],
        "hide": ["lamp-2"],
        "boost": [{"field": "brand", "value": ["acme", 1], "by": 0.5}],
        "bury": [{"ids": ["lamp-3"], "by": 1}],
        "filter": {"bool": {"must_not": {"term": {"brand": "none"}}}},
        "redirect": "/summer",
        "replace_query": "desk lamp",
        "synonyms": {"lamp": ["light"]},
    },
}
PREVIEW: dict[str, Any] = {
    "query": {"bool": {"must": MATCH, "filter": [{"term": {"brand": "zeta"}}]}},
    "from": 2,
    "size": 3,
    "aggs": {"brands": {"terms": {"field": "brand"}}},
    "collapse": {"field": "brand"},
    "post_filter": {"terms": {"brand": ["zeta", "acme"]}},
    "ext": {"hitweave": {"mode": "fused", "context": {"device": "mobile"}, "explain": True}},
}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    steps: Any = ()
    if isinstance(value, dict):
        steps = value.items()
    elif isinstance(value, list):
        steps = enumerate(value)
    return [path, *(place for step, part in steps for place in places(part, (*path, step)))]


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The value with another one at a place."""
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = changed(value[path[0]], path[1:], new)
    return copied


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    for _ in range(draw(st.integers(0, 2))):
        value = changed(value, draw(st.sampled_from(places(value))), draw(values))
    return value


@settings(
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rule=mutated(RULE), preview=mutated(PREVIEW))
def test_no_rule_and_no_preview_is_a_fault_of_ours(
    desk: Desk,  # noqa: F811 - the fixture
    rule: Any,
    preview: Any,
) -> None:
    status, answer = desk.ask("PUT", "/changed", rule)
    assert status in (200, 400), answer
    status, answer = desk.ask("POST", "/_preview", preview)
    assert status in (200, 400), answer
    if status == 200:
        assert "hitweave" in answer
        found = [hit["_id"] for hit in answer["hits"]["hits"]]
        assert len(found) == len(set(found))


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rest=st.text(max_size=12), text=st.text(max_size=20))
def test_no_address_is_a_fault_of_ours(
    stack: Stack,
    index: str,
    rest: str,
    text: str,
) -> None:
    spelt, asked = (quote(it.encode("utf-8", "surrogatepass"), safe="") for it in (rest, text))
    for method, path in (
        ("GET", f"/{index}/_suggest?q={asked}&size={spelt}"),
        ("GET", f"/{index}/_rules/{spelt}"),
        ("DELETE", f"/{index}/_rules/{spelt}"),
        ("PUT", f"/{index}/_rules/{spelt}"),
        ("GET", f"/{spelt}/_suggest?q={asked}"),
    ):
        body = json.dumps({"then": {"hide": ["x"]}}) if method == "PUT" else None
        status, _, answer = raw(stack, method, path, body)
        assert status < 500, (method, path, answer)
