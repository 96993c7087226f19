"""Who may edit rules, by what the settings and the request say."""

import pytest
from flask import Flask
from pydantic import SecretStr

from reranker.routes import editors
from reranker.settings import Settings

JSON = {"Content-Type": "application/json"}


def may(
    token: str | None = None,
    address: str = "127.0.0.1",
    method: str = "PUT",
    host: str = "localhost:8600",
    **headers: str,
) -> bool:
    app = Flask(__name__)
    secret = SecretStr(token) if token else None
    app.config["HITWEAVE_SETTINGS"] = Settings(rules_token=secret)
    sent = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    with app.test_request_context(
        "/shop/_rules/r",
        method=method,
        base_url=f"http://{host}",
        headers=sent,
        environ_base={"REMOTE_ADDR": address},
    ):
        refused = editors.refusal()
        assert refused is None or refused.status_code == 403
        return refused is None


@pytest.mark.parametrize("host", ["localhost:8600", "127.0.0.1:8600", "[::1]:8600", "127.0.0.2"])
def test_the_machine_itself_may_where_there_is_no_token(host: str) -> None:
    assert may(host=host)
    assert may(host=host, Origin=f"http://{host}")
    assert may(host=host, method="GET", Content_Type="text/plain")


@pytest.mark.parametrize(
    "how",
    [
        {"address": "10.0.0.7"},
        {"host": "shop.example"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "null"},
        {"Origin": "http://[localhost"},
        {"Host": "[localhost"},
        {"Host": ""},
        {"X_Forwarded_For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Content_Type": "text/plain"},
        {"address": ""},
    ],
)
def test_nobody_else_may(how: dict[str, str]) -> None:
    assert not may(**how)  # type: ignore[arg-type]


def test_with_a_token_it_alone_decides() -> None:
    assert may("geheim", address="10.0.0.7", host="shop.example", X_Hitweave_Token="geheim")
    assert not may("geheim", X_Hitweave_Token="geheim2")
    assert not may("geheim", X_Hitweave_Token="gehéim")
    assert not may("geheim")
