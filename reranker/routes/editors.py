"""Who may edit rules and experiments: who sends the token, else only the machine itself.

A browser on that machine is not trusted with what another site's page tells it to send: changes
come as JSON, from a page of ours, under a name of loopback. Who has no token must also be allowed
to read the index, where the cluster knows its clients. Fails closed.
"""

import hmac
import ipaddress
from urllib.parse import SplitResult, urlsplit

from flask import Response, current_app, request

from reranker.routes import problems, rights
from reranker.routes.reply import html_reply, wants_html

TOKEN_HEADER = "X-Hitweave-Token"  # noqa: S105 - where it stands, not what it is
HANDED_ON = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


def page(template: str, index: str) -> Response | None:
    """The page that edits them, which holds none of them; None where no browser asks."""
    return html_reply(template, index=index, token_header=TOKEN_HEADER) if wants_html() else None


def refusal() -> Response | None:
    """Why this request may not see or change them, as an answer; None where it may."""
    token = current_app.config["HITWEAVE_SETTINGS"].rules_token
    if token is not None:
        sent = request.headers.get(TOKEN_HEADER, "")
        if hmac.compare_digest(sent.encode(), token.get_secret_value().encode()):
            return None
        return problems.forbidden(
            f"{TOKEN_HEADER} is missing or wrong: only who knows it may do this"
        )
    if _from_this_machine() and _from_own_page():
        if named := (request.view_args or {}).get("index"):
            rights.check_reads(named)
        return None
    return problems.forbidden(
        "this is done from the machine that the sidecar runs on, as JSON: ask from there, or "
        f"set HITWEAVE_RULES_TOKEN and send it as {TOKEN_HEADER}"
    )


def _from_this_machine() -> bool:
    """Whether the request comes from loopback, to a name of it, and nobody handed it on."""
    if any(name in request.headers for name in HANDED_ON):
        return False
    asked = _address(f"//{request.host}")
    return _is_loopback(request.remote_addr or "") and _is_loopback(asked.hostname or "")


def _from_own_page() -> bool:
    origin = request.headers.get("Origin")
    if origin is not None and _address(origin).netloc != request.host:
        return False
    return request.method in ("GET", "HEAD", "DELETE") or request.is_json


def _address(text: str) -> SplitResult:
    """An address in its parts; none for what is no address."""
    try:
        return urlsplit(text)
    except ValueError:
        return urlsplit("")


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
