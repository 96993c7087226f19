"""Messages that are not taken go to a topic of their own, as they were sent, with the reason.

They are there when `send` returns. After a crash one may be there twice: its headers topic,
partition and offset name it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from indexer.behaviour.messages import Letter
from indexer.errors import KafkaUnavailable

# Above the time after which the producer gives a message up.
FLUSH_SECONDS = 15.0
TOO_LONG = "MSG_SIZE_TOO_LARGE"


class DeadLetters:
    """Writes to one topic."""

    def __init__(self, producer: Any, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    def send(self, letters: Sequence[Letter]) -> None:
        """Deliver them; raises KafkaUnavailable, then none may have been, and again is right.

        What is too long for the topic goes without its value, which still stands where the
        headers say: one message must not stop all that come after it.
        """
        for letter in self._too_long(letters):  # for a batch, or by itself
            if self._too_long([letter]) and self._too_long([replace(letter, whole=False)]):
                raise self._unavailable(TOO_LONG)

    def _too_long(self, letters: Sequence[Letter]) -> list[Letter]:
        """Deliver them; those that the broker finds too long."""
        failed: list[tuple[Letter, str]] = []
        for letter in letters:
            self._produce(letter, failed)
        left = self._producer.flush(FLUSH_SECONDS)
        others = [name for _, name in failed if name != TOO_LONG]
        if left or others:
            raise self._unavailable(others[0] if others else "_TIMED_OUT")
        return [letter for letter, _ in failed]

    def _produce(self, letter: Letter, failed: list[tuple[Letter, str]]) -> None:
        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                failed.append((letter, error.name()))

        self._producer.produce(
            self._topic,
            value=letter.value,
            key=letter.message.key(),
            headers=letter.headers,
            on_delivery=delivered,
        )

    def _unavailable(self, name: str) -> KafkaUnavailable:
        return KafkaUnavailable(
            f"the topic {self._topic} does not take messages ({name}): see whether it is there "
            "and may be written to, or name another one with HITWEAVE_KAFKA_REJECTED_TOPIC"
        )
