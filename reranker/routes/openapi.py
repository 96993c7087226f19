"""`GET /openapi.json`: the sidecar's own routes as an OpenAPI 3.1 document.

Paths, methods, path parameters and summaries are the application's; operations.yaml says by
endpoint what each takes and answers. Elasticsearch's own routes, passed through, are not described.
"""

import re
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from inspect import getdoc
from pathlib import Path
from typing import Any

import yaml
from flask import Blueprint, Flask, Response, current_app
from werkzeug.routing import Rule as Route

from reranker.definitions.definition import NAME
from reranker.routes.reply import json_reply
from reranker.rules.rule import Rule

blueprint = Blueprint("openapi", __name__)

PASSED_THROUGH = "passthrough"
WITHOUT_BODY = frozenset({"GET", "DELETE"})
ABOUT = (
    "Elasticsearch's `_search` with fused hits, and what belongs to it. Every other read route of "
    "Elasticsearch is passed through as it is and not described here."
)
ERROR = {"$ref": "#/components/responses/Error"}
_PARAMETER = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")


@blueprint.get("/openapi.json")
def document() -> Response:
    """This document."""
    return json_reply(described(current_app))


def described(app: Flask) -> dict[str, Any]:
    """The document of an application; raises KeyError for a route that nobody described."""
    paths: dict[str, Any] = {}
    for route in own_routes(app):
        said = paths.setdefault(_PARAMETER.sub(r"{\1}", route.rule), {})
        for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"}):
            said[method.lower()] = _operation(app, route, method)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Hitweave", "version": version("hitweave"), "description": ABOUT},
        "paths": paths,
        "components": components(),
    }


def own_routes(app: Flask) -> Iterable[Route]:
    """Every route but those that are passed through."""
    return (it for it in app.url_map.iter_rules() if it.endpoint.split(".")[0] != PASSED_THROUGH)


@cache
def operations() -> dict[str, Any]:
    """What is said of each endpoint."""
    return _read("operations.yaml")


@cache
def components() -> dict[str, Any]:
    """What operations refer to; a rule's schemas are made from its model."""
    found = _read("components.yaml")
    rule = Rule.model_json_schema(ref_template="#/components/schemas/{model}")
    found["schemas"] |= rule.pop("$defs")
    found["schemas"]["Rule"] = rule
    found["schemas"]["RuleSent"] = rule | {"required": ["then"]}
    state = {"state": {"$ref": "#/components/schemas/RuleState"}}
    found["schemas"]["RuleShown"] = {
        **rule,
        "properties": {**rule["properties"], **state},
        "required": [*rule["required"], *state],
    }
    return found


def _operation(app: Flask, route: Route, method: str) -> dict[str, Any]:
    said = operations()[route.endpoint]
    summary = (getdoc(app.view_functions[route.endpoint]) or "").split("\n\n")[0]
    path = re.sub(r"\W+", "_", route.rule).strip("_")
    operation = {
        **said,
        "operationId": f"{method.lower()}_{path}",
        "summary": " ".join(summary.split()),
        "tags": [route.endpoint.split(".")[0]],
        "parameters": [*_in_path(route), *said.get("parameters", [])],
        "responses": {**said["responses"], "default": ERROR},
    }
    if method in WITHOUT_BODY:
        operation.pop("requestBody", None)
    return operation


def _in_path(route: Route) -> list[dict[str, Any]]:
    """The path's parameters, with the values where only some are taken."""
    return [
        {"name": name, "in": "path", "required": True, "schema": _schema(route, name)}
        for name in _PARAMETER.findall(route.rule)
    ]


def _schema(route: Route, name: str) -> dict[str, Any]:
    if items := getattr(route._converters[name], "items", None):
        return {"type": "string", "enum": sorted(items)}
    if name == "rule_id":
        return {"type": "string", "pattern": f"^{NAME.pattern}$"}
    return {"type": "string", "minLength": 1}


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path(__file__).with_name(name).read_text("utf-8"))
    return found
