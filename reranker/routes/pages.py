"""`GET /`: the storefront for a browser, the cluster's own banner for everyone else."""

from flask import Blueprint, Response, render_template, request

from reranker.routes.access import process
from reranker.routes.passthrough import ask_node
from reranker.routes.reply import from_node

blueprint = Blueprint("pages", __name__, template_folder="templates")


@blueprint.get("/")
def start() -> Response:
    """By what the client accepts."""
    if "text/html" in request.headers.get("Accept", ""):
        page = render_template("storefront.html", indices=process().generations.names())
        return Response(page, content_type="text/html; charset=utf-8")
    return from_node(ask_node())
