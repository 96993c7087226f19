"""No body, however it was changed on its way, makes the gateway fail where the node does not."""

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway import corpus
from tests.gateway.conftest import Shop
from tests.gateway.exchange import Answer, Exchange

OWN = {
    "ext": {
        "ubi": {"query_id": "q", "user_id": "u", "user_query": "red", "query_attributes": {}},
        "hitweave": {
            "mode": "fused",
            "rank_window_size": 20,
            "diversity": 0.5,
            "explain": True,
            "context": {"device": "phone"},
            "record": False,
        },
    },
    "query": {"match": {"title": "red lamp"}},
}
BODIES = [*corpus.search_bodies().values(), *[OWN] * 40]
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 3, 2**31, 2**63, 1e400, 0.5, "", "lamp", "true", "3", "_none_"),
    *([], {}, [None], [{}], {"a": {}}, [[]], {"query": {"match_all": {}}}, "\0", "ü", "\ud800"),
    *("query", "title", "price", "_score", "*", "_id", ["title"], {"match": {"title": "red"}}),
]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container within `value` with each of its keys."""
    if isinstance(value, dict):
        here = [(value, key) for key in value]
    elif isinstance(value, list):
        here = [(value, at) for at in range(len(value))]
    else:
        return []
    return here + [inner for holder, key in here for inner in places(holder[key])]


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A body of the corpus with one to three of its parts put wrong."""
    body = copy.deepcopy(draw(st.sampled_from(BODIES)))
    for _ in range(draw(st.integers(1, 3))):
        found = places(body)
        if not found:
            break
        holder, key = draw(st.sampled_from(found))
        change = draw(st.sampled_from(["replace", "replace", "drop", "rename", "wrap", "graft"]))
        if change == "drop":
            del holder[key]
        elif change == "rename" and isinstance(holder, dict):
            holder[draw(st.sampled_from(["query", "x", "filter", "sort", "knn", ""]))] = holder[key]
        elif change == "wrap":
            holder[key] = draw(st.sampled_from([[holder[key]], {"query": holder[key]}]))
        elif change == "graft":
            other = draw(st.sampled_from(BODIES))
            body |= copy.deepcopy(other)
        else:
            holder[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
    return body


def is_ours(answer: Answer) -> bool:
    """Whether the gateway failed itself, where Elasticsearch did not."""
    return answer.status >= 500 and b"hitweave" in answer.body


@settings(
    max_examples=400,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(mutated(), st.sampled_from(["", "?explain=true", "?typed_keys&rest_total_hits_as_int=true"]))
def test_no_mutated_body_fails_in_the_gateway(
    node: Exchange, gateway: Exchange, shop: Shop, body: dict[str, Any], query: str
) -> None:
    asked = corpus.filled(body, shop.index, shop.vector)
    answer = gateway.search(shop.index, asked, query)
    assert not is_ours(answer), answer.body
    if answer.status >= 400 and "ext" not in asked:
        assert answer.told() == node.search(shop.index, asked, query).told()
    header = json.dumps({"index": shop.index})
    text = f"{header}\n{json.dumps(OWN)}\n{header}\n{json.dumps(asked)}\n"
    ndjson = {"Content-Type": "application/x-ndjson"}
    many = gateway.ask("POST", "/_msearch", text.encode(), ndjson)
    assert not is_ours(many), many.body
    assert b"hitweave_exception" not in many.body
