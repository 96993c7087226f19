"""Browsers whose page comes from another origin: Elasticsearch's CORS settings hold here too.

The node answers the preflight and names the headers; what the gateway answers itself carries them.
"""

from flask import Flask, Response, request

from reranker.routes.access import process
from reranker.routes.passthrough import ask_node, own_methods
from reranker.routes.reply import from_node
from reranker.routes.sent import foreign_origin

AS_THE_NODE = ("search", "multi_search")  # blueprints whose routes are Elasticsearch's
ALLOWED = "access-control-allow-origin"


def register(app: Flask) -> None:
    """Look at every request's origin, and put the node's headers onto every answer."""
    app.before_request(_judged)
    app.after_request(_with_headers)


def _judged() -> Response | None:
    """The answer to a preflight, or to an origin that the node answers nothing; else None."""
    origin = foreign_origin()
    if origin is None:
        return None
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        answer = ask_node()
        unknown = ALLOWED not in answer.headers and own_methods(request.path)
        return None if unknown else from_node(answer)
    if request.blueprint in AS_THE_NODE and process().origins.of(origin).refused:
        return Response(status=403)
    return None


def _with_headers(answer: Response) -> Response:
    origin = foreign_origin()
    if origin is not None and ALLOWED not in answer.headers:
        answer.headers.update(process().origins.of(origin).headers)
    return answer
