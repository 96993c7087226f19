"""`GET /`: the storefront for a browser, the cluster's own banner for everyone else."""

from flask import Blueprint, Response

from reranker.routes.access import process
from reranker.routes.passthrough import ask_node
from reranker.routes.reply import from_node, html_reply, wants_html

blueprint = Blueprint("pages", __name__, template_folder="templates")


@blueprint.get("/")
def start() -> Response:
    """By what the client accepts."""
    if wants_html():
        return html_reply("storefront.html", indices=process().generations.names())
    return from_node(ask_node())
