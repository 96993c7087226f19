"""Elasticsearch's read routes, passed through byte for byte from an allow-list.

Writes and administration are refused with 403, unless the gateway's setting allows them. A route of
our own that is asked by a wrong method says by which it is to be asked; where the node has an index
of that name, reading it is the node's to answer.
"""

import re
from http import HTTPStatus
from urllib.parse import unquote

from flask import Blueprint, Response, current_app, request

from reranker.retrieval.node import Answer
from reranker.routes import problems, rights
from reranker.routes.access import process
from reranker.routes.reply import from_node
from reranker.routes.sent import foreign_origin

blueprint = Blueprint("passthrough", __name__)

# Headers of the hop to us; everything else of the client goes on.
OF_THE_HOP = frozenset(
    {"host", "connection", "keep-alive", "content-length", "transfer-encoding", "te", "upgrade"}
)
SLASH_WITHIN = "\N{DIVISION SLASH}"
_INDEX = r"[^/_][^/]*"
_READ_ENDPOINTS = (
    "_search|_search/template|_msearch|_msearch/template|_count|_mget|_field_caps|_analyze|_explain"
    "|_validate/query|_termvectors|_mtermvectors|_rank_eval|_terms_enum|_search_shards|_knn_search"
    "|_render/template|_async_search|_eql/search|_query|_sql|_cat/count|_mvt"
)
_GET_ENDPOINTS = (
    "_mapping|_mappings|_settings|_alias|_aliases|_stats|_segments|_recovery|_data_stream|_resolve"
    "|_cluster/health|_cluster/state|_cluster/stats|_cluster/settings|_nodes|_cat|_license|_xpack"
    "|_tasks|_index_template|_component_template|_template|_ingest/pipeline|_synonyms|_security"
    "|_query_rules|_async_search|_analyze|_info|_features"
)
_ALLOWED = {
    "GET": re.compile(
        rf"/(?:(?:{_INDEX}/)?(?:{_READ_ENDPOINTS}|{_GET_ENDPOINTS})(?:/.*)?"
        rf"|{_INDEX}|{_INDEX}/(?:_doc|_source|_explain)/.+)?"
    ),
    "POST": re.compile(
        rf"/(?:{_INDEX}/)?(?:{_READ_ENDPOINTS}|_search/scroll)(?:/.*)?"
        rf"|/{_INDEX}/(?:_explain/.+|_pit)"
    ),
    "DELETE": re.compile(r"/(?:_pit|_search/scroll(?:/.*)?|_async_search/.+)"),
}
_ALLOWED["HEAD"] = _ALLOWED["GET"]


def allowed(method: str, path: str) -> bool:
    """Whether a request only reads. A path that climbs could end elsewhere than it begins."""
    pattern = _ALLOWED.get(method)
    climbs = not {".", ".."}.isdisjoint(path.split("/"))
    return pattern is not None and not climbs and pattern.fullmatch(path) is not None


@blueprint.route("/", defaults={"path": ""}, methods=["HEAD"])
@blueprint.route("/<path:path>", methods=["GET", "HEAD", "POST", "PUT", "DELETE"])
def anything(path: str) -> Response:  # noqa: ARG001 - the raw path is passed on
    """Any route that is not one of ours."""
    methods = own_methods(request.path)
    if not allowed(request.method, _as_segments()) and not writes_allowed():
        if methods:
            return problems.wrong_method(methods)
        return problems.forbidden(
            f"{request.method} {request.path} writes or administers: ask Elasticsearch itself, or "
            "set HITWEAVE_GATEWAY_ALLOW_WRITES=true"
        )
    answer = ask_node()
    if methods and answer.status == HTTPStatus.NOT_FOUND and request.method != "HEAD":
        return problems.wrong_method(methods)
    return from_node(answer)


def own_methods(path: str) -> list[str]:
    """By which methods a route of ours is asked that bears no name of Elasticsearch's; none where
    there is no such route.
    """
    if path.startswith("/_") or path == "/":
        return []
    every = current_app.url_map.iter_rules()
    routes = (it for it in every if it.rule == path and not it.arguments)
    return sorted({method for it in routes for method in it.methods or ()} - {"HEAD", "OPTIONS"})


def ask_node(body: bytes | None = None, target: str | None = None) -> Answer:
    """The node's answer to the request as it came; `body` and `target` in place of its own.

    What is asked with a target of ours is read here, so its answer comes unpacked.
    """
    own = request.get_data(cache=True) if body is None else body
    left_out = OF_THE_HOP if body is None else OF_THE_HOP | {"content-encoding"}
    left_out = left_out if target is None else left_out | {"accept-encoding"}
    left_out = left_out if foreign_origin() else left_out | {"origin"}
    headers = {n: v for n, v in request.headers.items() if n.lower() not in left_out}
    headers |= rights.nobody(request.headers)
    return process().nodes.ask(
        request.method,
        target or raw_target(),
        own or None,
        headers,
        repeatable=allowed(request.method, _as_segments()),
    )


def _as_segments() -> str:
    """The path as Elasticsearch reads it: split first, then decoded, so that a slash within a
    name (of date math) splits nothing.
    """
    climbs = not {".", ".."}.isdisjoint(request.path.split("/"))
    if climbs or "//" in request.path:
        return request.path
    segments = raw_target().partition("?")[0].split("/")
    return "/".join(unquote(segment).replace("/", SLASH_WITHIN) for segment in segments)


def raw_target() -> str:
    """Path and query string as the client wrote them."""
    uri: str | None = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI")
    if uri is None:
        query = request.query_string.decode("latin-1")
        return request.path + (f"?{query}" if query else "")
    return uri if uri.startswith("/") else "/" + uri.split("/", 3)[-1]


def writes_allowed() -> bool:
    """Whether the settings let writes through to Elasticsearch."""
    return bool(current_app.config["HITWEAVE_SETTINGS"].gateway_allow_writes)
