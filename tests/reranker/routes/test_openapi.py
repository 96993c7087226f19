"""The OpenAPI document is valid and says something of every route that is ours."""

from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from indexer.behaviour.journal_index import EVENTS, QUERIES
from reranker.app import create_app
from reranker.routes import openapi


@pytest.fixture(scope="module")
def app() -> Flask:
    return create_app()


@pytest.fixture(scope="module")
def document(app: Flask) -> Any:
    answer = app.test_client().get("/openapi.json")
    assert answer.status_code == 200
    return answer.json


def test_the_document_is_valid(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    assert [*OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_route_is_described_and_nothing_else_is(app: Flask) -> None:
    assert {it.endpoint for it in openapi.own_routes(app)} == set(openapi.operations())


def test_a_new_route_without_a_description_is_found(app: Flask) -> None:
    more = create_app()
    more.add_url_rule("/new", "new.one", lambda: "")
    with pytest.raises(KeyError, match=r"new\.one"):
        openapi.described(more)


def test_every_component_is_used(document: Any) -> None:
    said = str(document)
    for kind, named in document["components"].items():
        assert [name for name in named if f"'#/components/{kind}/{name}'" not in said] == []


def test_methods_and_path_parameters_are_those_of_the_application(document: Any) -> None:
    assert set(document["paths"]["/{index}/_rules/{rule_id}"]) == {"get", "put", "delete"}
    (index, name) = document["paths"]["/{index}/_doc/{id}"]["put"]["parameters"]
    assert index["schema"]["enum"] == sorted([EVENTS, QUERIES])
    assert (name["name"], name["in"]) == ("id", "path")
    search = document["paths"]["/{index}/_search"]
    assert "requestBody" in search["post"]
    assert "requestBody" not in search["get"]
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))


def test_every_operation_says_what_it_does(document: Any) -> None:
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["summary"].endswith("."), operation["operationId"]
