"""What settings refuse, and that no word of it tells a secret."""

import json
import sys
from typing import Any

import pytest

from indexer.behaviour import kafka
from indexer.errors import AskedWrongly, InvalidSettings
from indexer.settings import Settings

SECRET = "correct horse battery staple"
SASL = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "PLAIN",
    "sasl.username": "shop",
    "sasl.password": SECRET,
}


def with_kafka(**fields: Any) -> Settings:
    return Settings(kafka_servers="127.0.0.1:1", **fields)


def with_options(**options: Any) -> Settings:
    return with_kafka(kafka_options=json.dumps(options))


def test_without_any_of_kafka_nothing_is_wrong() -> None:
    assert Settings().problems() == []
    assert Settings(kafka_options="").librdkafka_options == {}


def test_topics_are_a_list_with_commas() -> None:
    assert Settings(kafka_topics="ubi, clicks.v2,").topics == ["ubi", "clicks.v2"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kafka_topics": ""}, "KAFKA_TOPICS"),
        ({"kafka_topics": "^ubi.*"}, "KAFKA_TOPICS"),
        ({"kafka_rejected_topic": "no topic"}, "KAFKA_REJECTED_TOPIC"),
        ({"kafka_topics": "ubi,ubi.rejected"}, "read again for ever"),
        ({"kafka_options": "sasl.password=" + SECRET}, "not a JSON object"),
        ({"kafka_options": json.dumps([SECRET])}, "not a JSON object"),
        ({"kafka_options": json.dumps({"sasl.password": [SECRET]})}, "not a JSON object"),
        ({"kafka_options": json.dumps({"group.id": "x", **SASL})}, "sets group.id"),
        ({"kafka_options": json.dumps({"enable.auto.commit": True})}, "enable.auto.commit"),
    ],
)
def test_what_cannot_work_is_named_without_its_secrets(fields: dict[str, str], words: str) -> None:
    (problem,) = Settings(**fields).problems()  # type: ignore[arg-type]
    assert words in problem
    assert SECRET not in problem


def test_options_are_not_shown_where_settings_are() -> None:
    assert SECRET not in repr(with_options(**SASL))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"no.such": 1}, '"no.such"'),
        ({"security.protocol": SECRET}, '"security.protocol"'),
        ({"sasl.username": ""}, "sasl.username and sasl.password must be set"),
        ({"sasl.password": ""}, "sasl.username and sasl.password must be set"),
    ],
)
def test_options_that_librdkafka_refuses_are_named_without_their_values(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidSettings) as refused:
        kafka.producer(with_options(**{**SASL, **options}), "test")
    assert words in refused.value.message
    assert SECRET not in refused.value.message


def test_a_client_takes_the_options_and_ours_hold() -> None:
    options = {**SASL, "session.timeout.ms": 6000, "enable.ssl.certificate.verification": False}
    kafka.consumer(with_options(**options), "test", print).close()


def test_without_servers_it_says_which_setting() -> None:
    with pytest.raises(AskedWrongly, match="HITWEAVE_KAFKA_SERVERS"):
        kafka.producer(Settings(), "test")


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(AskedWrongly, match=r"pip install 'hitweave\[kafka\]'"):
        kafka.producer(with_kafka(), "test")
