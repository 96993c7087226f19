"""Who hands events in, by the address and the program that a request comes from."""

import pytest
from flask import Flask
from pydantic import ValidationError

from indexer.behaviour.intake import TRUSTED, Origin
from reranker.routes import senders
from reranker.settings import Settings

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36"


def origin(address: str, agent: str = BROWSER, trusted: str = "", forwarded: str = "") -> Origin:
    app = Flask(__name__)
    app.config["HITWEAVE_SETTINGS"] = Settings(trusted_addresses=trusted)
    headers = {"User-Agent": agent, "X-Forwarded-For": forwarded}
    with app.test_request_context(
        "/events", method="POST", headers=headers, environ_base={"REMOTE_ADDR": address}
    ):
        return senders.origin()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "10.1.2.3"])
def test_loopback_and_named_networks_are_trusted_whatever_program_they_run(address: str) -> None:
    assert origin(address, "python-requests/2.32", trusted="192.0.2.7, 10.0.0.0/8") == TRUSTED


def test_anybody_else_is_a_client_known_by_a_pseudonym_of_the_address() -> None:
    found = origin("203.0.113.9", trusted="10.0.0.0/8")
    assert found.sender == "client"
    assert found.address is not None
    assert found.address.startswith("a-")
    assert "203" not in found.address
    assert origin("203.0.113.9") == found
    assert origin("203.0.113.10") != found


@pytest.mark.parametrize(
    "agent",
    ["", "Googlebot/2.1 (+http://www.google.com/bot.html)", "curl/8.9", "HeadlessChrome/130"],
)
def test_programs_that_are_no_shoppers_client_are_robots(agent: str) -> None:
    assert origin("203.0.113.9", agent).sender == "robot"


def test_a_trusted_proxy_is_asked_for_whom_it_hands_on_and_nobody_else_is() -> None:
    direct = origin("203.0.113.9")
    assert origin("127.0.0.1", forwarded="203.0.113.9") == direct
    assert origin("10.0.0.1", trusted="10.0.0.0/8", forwarded="203.0.113.9, 10.0.0.2") == direct
    # What a client claims of itself in front of its own address is not believed.
    assert origin("127.0.0.1", forwarded="127.0.0.1, 203.0.113.9") == direct
    assert origin("203.0.113.9", forwarded="127.0.0.1") == direct


def test_settings_that_name_no_network_are_told_at_start() -> None:
    assert Settings(trusted_addresses="10.0.0.0/8, ::1").problems() == []
    (problem,) = Settings(trusted_addresses="my-proxy").problems()
    assert "HITWEAVE_TRUSTED_ADDRESSES" in problem
    with pytest.raises(ValidationError):
        Settings(adaptive_list_seconds=0)
