"""Letters that a broker does not take as they are."""

from collections.abc import Callable
from typing import Any

import pytest

from indexer.behaviour.dead_letters import DeadLetters
from indexer.behaviour.messages import Letter
from indexer.errors import KafkaUnavailable
from tests.indexer.behaviour.test_messages import Said
from tests.indexer.behaviour.test_topics import KafkaSays


class FakeProducer:
    """Delivers what the broker does not refuse; a batch is what one flush sends."""

    def __init__(self, refuses: Callable[[list[bytes | None]], str | None]) -> None:
        self.refuses = refuses
        self.waiting: list[tuple[bytes | None, Any]] = []
        self.delivered: list[bytes | None] = []

    def produce(self, _topic: str, *, value: bytes | None, on_delivery: Any, **_: Any) -> None:
        self.waiting.append((value, on_delivery))

    def flush(self, _seconds: float) -> int:
        batch, self.waiting = self.waiting, []
        refusal = self.refuses([value for value, _ in batch])
        for value, on_delivery in batch:
            on_delivery(KafkaSays(refusal) if refusal else None, None)
            if not refusal:
                self.delivered.append(value)
        return 0


def too_long(batch: list[bytes | None]) -> str | None:
    return "MSG_SIZE_TOO_LARGE" if sum(len(it or b"") for it in batch) > 10 else None


def letters(*values: bytes) -> list[Letter]:
    return [Letter(Said(value), "is bad") for value in values]


def test_a_batch_that_is_too_long_goes_one_by_one_and_the_longest_without_its_value() -> None:
    producer = FakeProducer(too_long)
    DeadLetters(producer, "ubi.rejected").send(letters(b"short", b"as short", b"x" * 11))
    assert producer.delivered == [b"short", b"as short", None]


@pytest.mark.parametrize("name", ["UNKNOWN_TOPIC_OR_PART", "_MSG_TIMED_OUT"])
def test_what_is_not_delivered_is_an_error(name: str) -> None:
    with pytest.raises(KafkaUnavailable, match=rf"{name}.*HITWEAVE_KAFKA_REJECTED_TOPIC"):
        DeadLetters(FakeProducer(lambda _: name), "ubi.rejected").send(letters(b"a"))


def test_a_topic_that_takes_not_even_the_headers_is_an_error() -> None:
    refuses = FakeProducer(lambda _: "MSG_SIZE_TOO_LARGE")
    with pytest.raises(KafkaUnavailable, match="MSG_SIZE_TOO_LARGE"):
        DeadLetters(refuses, "ubi.rejected").send(letters(b"a"))
