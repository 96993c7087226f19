"""Which routes of Elasticsearch a gateway lets through."""

import pytest

from reranker.app import create_app
from reranker.routes.passthrough import allowed, own_methods

READS = [
    ("GET", "/_cat/indices"),
    ("GET", "/_cluster/health/shop"),
    ("HEAD", "/shop"),
    ("GET", "/shop"),
    ("GET", "/shop/_doc/1"),
    ("HEAD", "/shop/_doc/1"),
    ("GET", "/shop/_source/1"),
    ("GET", "/shop/_mapping"),
    ("GET", "/shop/_mapping/field/title"),
    ("GET", "/shop,other/_settings"),
    ("POST", "/shop/_count"),
    ("POST", "/_mget"),
    ("POST", "/shop/_mget"),
    ("POST", "/shop/_field_caps"),
    ("POST", "/_analyze"),
    ("POST", "/shop/_validate/query"),
    ("POST", "/shop/_explain/1"),
    ("POST", "/shop/_mvt/place/13/4207/2692"),
    ("GET", "/shop/_mvt/place/13/4207/2692"),
    ("POST", "/shop/_pit"),
    ("POST", "/_search/scroll"),
    ("DELETE", "/_search/scroll"),
    ("DELETE", "/_pit"),
    ("POST", "/shop/_search/template"),
    ("POST", "/_cat/count/shop"),
    ("GET", "/_alias"),
    ("GET", "/_nodes/stats"),
]
WRITES = [
    ("PUT", "/shop"),
    ("DELETE", "/shop"),
    ("POST", "/shop/_doc"),
    ("PUT", "/shop/_doc/1"),
    ("DELETE", "/shop/_doc/1"),
    ("POST", "/_bulk"),
    ("POST", "/shop/_bulk"),
    ("POST", "/shop/_update/1"),
    ("POST", "/shop/_update_by_query"),
    ("POST", "/shop/_delete_by_query"),
    ("POST", "/_reindex"),
    ("PUT", "/shop/_mapping"),
    ("PUT", "/_cluster/settings"),
    ("POST", "/_aliases"),
    ("POST", "/shop/_close"),
    ("POST", "/shop/_refresh"),
    ("DELETE", "/_all"),
    ("POST", "/shop/_search/../_doc"),
    ("POST", "/_cat/indices"),
    ("POST", "/_security/user/me"),
    ("POST", "/_snapshot/a/b"),
]


@pytest.mark.parametrize(("method", "path"), READS)
def test_reading_is_allowed(method: str, path: str) -> None:
    assert allowed(method, path)


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_writing_and_administration_are_not(method: str, path: str) -> None:
    assert not allowed(method, path)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/embed", ["POST"]),
        ("/health/live", ["GET"]),
        ("/health", []),
        ("/", []),
        ("/_bulk", []),
        ("/shop", []),
        ("/<index>/_suggest", []),
    ],
)
def test_our_own_routes_say_by_which_methods_they_are_asked(path: str, methods: list[str]) -> None:
    app = create_app()
    with app.app_context():
        assert own_methods(path) == methods
    if methods:
        answer = app.test_client().put(path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, ", ".join(methods))
        assert methods[0] in answer.get_json()["error"]["reason"]


def test_a_body_that_is_too_long_is_told_the_limit_and_its_setting() -> None:
    app = create_app()
    app.config["MAX_CONTENT_LENGTH"] = 2000
    answer = app.test_client().post("/rerank", data=b"x" * 2001)
    assert answer.status_code == 413
    assert answer.json is not None
    reason = answer.json["error"]["reason"]
    assert "2000 bytes" in reason
    assert "HITWEAVE_BODY_BYTES_MAX" in reason
