"""Alive, ready, and why not. Ready means warmed up: every part was used once."""

from dataclasses import asdict

from flask import Blueprint, Response

from reranker.routes.access import process
from reranker.routes.reply import json_reply
from reranker.serving import warmth

blueprint = Blueprint("health", __name__)


@blueprint.get("/health/live")
def live() -> Response:
    """The process answers."""
    return json_reply({"status": "alive"})


@blueprint.get("/health/ready")
def ready() -> Response:
    """Whether searches are answered at full speed; with what is missing where not."""
    found = warmth.check(process())
    status = "ready" if found.elasticsearch else "not_ready"
    return json_reply({"status": status, **asdict(found)}, 200 if found.elasticsearch else 503)
