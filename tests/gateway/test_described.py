"""What the OpenAPI document says holds: generated requests, right and wrong, never fail in the
sidecar, and every answer is of the form that is described.
"""

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from reranker.app import create_app
from reranker.routes.openapi import described
from tests.conftest import Stack
from tests.flows import commands

EXAMPLES = {GenerationMode.POSITIVE: 12, GenerationMode.NEGATIVE: 6}
FORMS = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
LINES = "application/x-ndjson"
PAGE = {"from": 0, "size": 10, "ext": {"hitweave": {"record": False}}}
RULE = {"then": {"hide": ["p1"]}}
CLICKED = {"object": {"object_id": "p1"}}
CLICK = {"action_name": "click", "application": "the index", "event_attributes": CLICKED}
# What is asked so that a route has something to do; the rest of the body is generated.
SOUND: dict[str, dict[str, Any]] = {
    "/{index}/_search": {"query": {"match": {"title": "lamp"}}},
    "/{index}/_rules/_preview": {"query": "lamp", **PAGE},
    "/{index}/_rules/{rule_id}": RULE,
    **{f"/{{index}}/{one}": CLICK for one in ("_doc", "_doc/{id}", "_create/{id}")},
    "/rerank": {"query": "lamp", "candidates": [{"id": f"p{n}", "bm25": n} for n in range(9)]},
}
KNOWN = {"ext", "from", "size", "context", "when", "explain", "name", "enabled", "session_id"}
# The local node has no synonyms sets; a multi-search by GET has its body undescribed; experiments
# stand one on the other, their own flow test walks through them.
NEVER_DONE = ("_synonyms", "/_experiments", "GET /_msearch", "GET /{index}/_msearch")


@schemathesis.serializer(LINES)
def _as_they_are(_context: Any, value: Any) -> bytes:
    text = value if isinstance(value, str | bytes) else json.dumps(value, default=str)
    return text.encode("utf-8", "replace") if isinstance(text, str) else text


OPERATIONS = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_dict(described(create_app())).get_all_operations()
}
MANY = {
    "_msearch": (OPERATIONS["POST /{index}/_search"], {}),
    "_bulk": (OPERATIONS["POST /{index}/_doc"], {"index": {"_index": "ubi_events"}}),
}


@pytest.fixture(scope="module")
def index(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small shop whose rules and events may become anything."""
    name = f"t{uuid.uuid4().hex[:12]}"
    folder: Path = tmp_path_factory.mktemp("described")
    commands.created(name, "--config", commands.config(folder, "encoder: hashed:64\n"))
    lamps = [{"id": f"p{n}", "title": f"lamp {n}", "price": n} for n in range(20)]
    commands.sent(name, commands.feed(folder, *lamps))
    return name


@pytest.fixture
def session(stack: Stack, index: str) -> Iterator[requests.Session]:
    """A connection; there is a rule that can be read and deleted."""
    with requests.Session() as opened:
        kept = opened.put(f"{stack.sidecar_url}/{index}/_rules/known", json=RULE)
        assert kept.status_code == 200, kept.text
        yield opened


def at_home(case: Case, index: str, *, sound: bool) -> Case:
    """The request at the index that is there; `sound`: one that the route can do something with."""
    if "ubi" not in case.path_parameters.get("index", "ubi"):
        case.path_parameters["index"] = index
    if sound and "rule_id" in case.path_parameters:
        case.path_parameters["rule_id"] = "known"
    if isinstance(case.body, dict):
        body = made_sound(case) if sound else case.body
        named = {it: index for it in ("index", "application") if isinstance(body.get(it), str)}
        case.body = body | named
    return case


def made_sound(case: Case) -> dict[str, Any]:
    """The body with what the route needs, and of what was generated what it knows."""
    needed = SOUND.get(case.operation.path)
    if needed is None:
        return dict(case.body)
    return {name: part for name, part in case.body.items() if name in KNOWN} | needed


def some_lines(label: str) -> st.SearchStrategy[str]:
    """Searches or documents, each below its header; none where a route takes no lines."""
    kind = next((it for it in MANY if label.startswith("P") and label.endswith(it)), None)
    if kind is None:
        return st.just("")
    one, header = MANY[kind]
    bodies = one.as_strategy().filter(lambda case: isinstance(case.body, dict)).map(made_sound)
    pairs = bodies.map(lambda body: f"{json.dumps(header)}\n{json.dumps(body, default=str)}\n")
    return st.lists(pairs, min_size=1, max_size=3).map("".join)


@pytest.mark.parametrize("label", OPERATIONS)
def test_answers_are_as_described(
    label: str, stack: Stack, index: str, session: requests.Session
) -> None:
    answered: Counter[int] = Counter()
    checks = schemathesis.checks.CHECKS.get_by_names(FORMS)

    def ask(case: Case, lines: str, sound: bool) -> None:
        if lines and sound:
            case.body = lines
        answer = at_home(case, index, sound=sound).call(stack.sidecar_url, session)
        answered[answer.status_code] += 1
        assert answer.status_code < 500 or "hitweave" not in answer.text, answer.text
        case.validate_response(answer, checks=checks)

    for mode, examples in EXAMPLES.items():
        bounded = settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        cases = OPERATIONS[label].as_strategy(generation_mode=mode)
        right = mode is GenerationMode.POSITIVE
        sound = st.booleans() if right else st.just(False)
        if right or OPERATIONS[label].body or OPERATIONS[label].query:  # else nothing can be wrong
            bounded(given(case=cases, lines=some_lines(label), sound=sound)(ask))()
    done = any(200 <= status < 300 for status in answered)
    assert done or any(part in label for part in NEVER_DONE), answered
