"""Addresses with secrets in them: who asks, what is asked, and that nothing shown tells more."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indexer import addresses
from indexer.settings import Settings
from reranker.settings import Settings as ServingSettings

SECRET = "p@ss:word/1?"
QUOTED = "p%40ss%3Aword%2F1%3F"


def test_credentials_and_slashes_are_no_part_of_where_a_node_is() -> None:
    written = f"https://shop:{QUOTED}@one:9243/es/, https://shop:{QUOTED}@two"
    assert addresses.nodes(written) == ["https://one:9243/es", "https://two:443"]
    header = addresses.basic(written)
    assert header is not None
    assert base64.b64decode(header.removeprefix("Basic ")).decode() == f"shop:{SECRET}"


def test_nobody_is_named_by_a_bare_address() -> None:
    assert addresses.basic("http://127.0.0.1:9200,https://two") is None


def test_an_api_key_is_taken_as_either_form_that_elasticsearch_answers_with() -> None:
    encoded = base64.b64encode(b"id:key").decode()
    assert addresses.api_key("id:key\n") == addresses.api_key(encoded) == f"ApiKey {encoded}"


ANY = st.text(st.characters(codec="ascii", exclude_characters=","))


@given(ANY, ANY)
@example("00000://", "")
@example("a@", "?b")
@example("?", "@")
def test_no_part_of_a_password_is_shown(before: str, after: str) -> None:
    password = f"{before}s3cret{after}"
    for address in (
        f"https://shop:{password}@one:9200",
        f"redis://:{password}@one:6379/0",
        f"shop:{password}@one",
        f"redis://one:6379/0?password={password}",
    ):
        assert "s3cret" not in addresses.shown(address)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"elasticsearch_url": "one:9200"}, "must be written as https://"),
        ({"elasticsearch_url": "https://one:port"}, "must be written as https://"),
        ({"elasticsearch_url": "https://a:s3cret@one,https://b:s3cret@two"}, "different users"),
        ({"elasticsearch_url": "https://a:s3cret@one", "elasticsearch_api_key": "k"}, "beside"),
        ({"elasticsearch_url": "http://one", "elasticsearch_ca_certs": __file__}, "https alone"),
        ({"elasticsearch_ca_certs": "/nowhere.crt"}, "is not a file"),
        ({"valkey_url": "valkey://:s3cret@one"}, "must be written as redis://"),
    ],
)
def test_addresses_that_cannot_work_are_said_at_start(fields: dict[str, str], words: str) -> None:
    settings = Settings(**fields)
    (problem, *_) = [it for it in settings.problems() if words in it]
    assert "s3cret" not in problem + repr(settings)


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("ELASTICSEARCH_API_KEY", "ELASTICSEARCH_CA_CERTS", "BROKER_URL", "RULES_TOKEN")
    for name in names:
        monkeypatch.setenv(f"HITWEAVE_{name}", "")
    settings = Settings.read()
    assert settings.elasticsearch_authorization is None
    assert settings.elasticsearch_ca_certs is None
    assert ServingSettings.read().rules_token is None  # an empty one would let everybody in
