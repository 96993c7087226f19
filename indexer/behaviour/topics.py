"""Behaviour out of Kafka: read, handed to the workers, and only then committed.

So whoever ends at whatever moment, a message was handed over or is read again, and an event that
comes twice counts once. What is not taken is among the dead letters before its offset is
committed. While workers, Valkey or Elasticsearch hold things up nothing is skipped: the partitions
rest, the group keeps its member, and Kafka keeps what comes.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from indexer import telemetry
from indexer.behaviour import kafka, messages
from indexer.behaviour.assignment import Assignment
from indexer.behaviour.dead_letters import DeadLetters
from indexer.behaviour.messages import Message
from indexer.behaviour.reception import Reception
from indexer.errors import CouldNotReach, KafkaUnavailable

POLL_SECONDS = 0.5
# Between tries to hand something over; once they took so long together, partitions rest meanwhile.
PAUSE_FIRST_SECONDS, PAUSE_SHORT_SECONDS, PAUSE_LONGEST_SECONDS = 0.02, 0.5, 5.0
REST_AFTER_SECONDS = 3.0
END_OF_PARTITION = "_PARTITION_EOF"

Result = TypeVar("Result")

_log = telemetry.log("kafka")


@dataclass(frozen=True)
class Limits:
    """How much at once: messages and bytes that are committed together, bytes of one value."""

    messages: int
    total_bytes: int
    value_bytes: int


@dataclass
class Tally:
    """What became of messages: events and queries that were handed over, messages rejected."""

    read: int = 0
    accepted: int = 0
    rejected: int = 0


class _Abandoned(Exception):
    """What is in hand is not ours any more; who has its partition now reads it again."""


class _Stopped(Exception):
    """What is in hand is left for the next one."""


class TopicReader:
    """Reads topics until it is stopped or, `until_end`, has read what was there."""

    def __init__(
        self,
        open_consumer: Callable[[Callable[[Any], None]], Any],
        reception: Reception,
        dead_letters: DeadLetters,
        assignment: Assignment,
        limits: Limits,
    ) -> None:
        self.tally = Tally()
        self._reception = reception
        self._dead_letters = dead_letters
        self._assignment = assignment
        self._limits = limits
        self._early: list[Message] = []  # came while others were in hand
        self._told: set[str] = set()  # errors since the last message
        self._is_held_up = False
        self._paused_in: int | None = None  # the round of the assignment
        self._stopping = False
        self._consumer = open_consumer(self._note_error)

    def stop(self) -> None:
        """End soon: what is handed over is committed, what is not is left; for signal handlers."""
        self._stopping = True

    def run(self, topics: Sequence[str]) -> Tally:
        """Read until the end; leaves the group. Raises KafkaUnavailable on what nothing cures."""
        self._consumer.subscribe(
            list(topics),
            on_assign=self._assigned,
            on_revoke=self._revoked,
            on_lost=self._revoked,
        )
        try:
            while not self._stopping and (self._early or not self._assignment.is_read):
                self._take_in(self._fetched())
        except _Stopped:
            pass
        finally:
            self._consumer.close()
        return self.tally

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        self._assignment.assigned(consumer, partitions)
        _log.info("partitions_assigned", count=len(partitions))

    def _revoked(self, consumer: Any, partitions: list[Any]) -> None:
        self._assignment.revoked(consumer, partitions)
        self._early.clear()

    def _fetched(self) -> list[Message]:
        """What is there; waits a little for the first, and for no other."""
        first = self._consumer.poll(0.0 if self._early else POLL_SECONDS)
        more = self._consumer.consume(self._limits.messages, timeout=0.0) if first else []
        found = self._readable([first, *more] if first else [])
        early, self._early = self._early, []
        return early + found

    def _readable(self, found: Sequence[Message]) -> list[Message]:
        """The messages among what Kafka said; notes the rest."""
        said = [(it, it.error()) for it in found]
        for it, error in said:
            if error is not None and error.name() == END_OF_PARTITION:
                self._assignment.reached([((it.topic(), it.partition()), it.offset())])
            elif error is not None:
                self._note_error(error)
        read = [it for it, error in said if error is None]
        if read:
            self._told.clear()
        return read

    def _take_in(self, found: Sequence[Message]) -> None:
        """Hand over, part by part; stops where the partitions are taken away meanwhile."""
        since = self._assignment.round
        try:
            for portion in messages.portions(
                found, self._limits.messages, self._limits.total_bytes
            ):
                self._settle(portion, since)
        except _Abandoned:
            _log.info("messages_left_to_others")

    def _settle(self, portion: Sequence[Message], since: int) -> None:
        """One part: to the workers and to the dead letters, then committed."""
        opened = messages.opened(portion, self._limits.value_bytes)
        taken = self._insist(partial(self._reception.take, opened.lines), since)
        for index, documents in self._reception.chunks(taken):
            self._insist(partial(self._reception.hand_over, index, documents), since)
        letters = opened.letters(taken.rejected)
        if letters:
            self._insist(partial(self._dead_letters.send, letters), since)
            _log.warning("messages_rejected", count=len(letters), reason=letters[0].reason)
        self._commit(portion)
        self.tally.read += len(portion)
        self.tally.accepted += taken.accepted
        self.tally.rejected += len(letters)

    def _insist(self, step: Callable[[], Result], since: int) -> Result:
        """Repeat a step until it succeeds; given up is only what will be read again."""
        for waited, pause in _pauses():
            try:
                result = step()
            except CouldNotReach as error:
                self._wait(pause, error, rests=waited >= REST_AFTER_SECONDS)
            else:
                self._go_on()
                return result
            if self._stopping:
                raise _Stopped
            if self._assignment.round != since:
                raise _Abandoned
        raise AssertionError("the pauses do not end")

    def _wait(self, seconds: float, error: CouldNotReach, *, rests: bool) -> None:
        """As it is while that is short, later with resting partitions, alive in the group."""
        if not rests:
            time.sleep(seconds)
            return
        if not self._is_held_up:
            _log.warning("consumer_rests", why=error.message)
            self._is_held_up = True
        if self._paused_in != self._assignment.round:
            self._consumer.pause(self._assignment.partitions)
            self._paused_in = self._assignment.round
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            said = self._consumer.poll(min(left, POLL_SECONDS))
            self._early += self._readable([said] if said else [])

    def _go_on(self) -> None:
        if self._paused_in == self._assignment.round:
            self._consumer.resume(self._assignment.partitions)
        self._paused_in = None
        if self._is_held_up:
            _log.info("consumer_goes_on")
            self._is_held_up = False

    def _commit(self, portion: Sequence[Message]) -> None:
        """Tell the group; where it does not listen, these messages are only read again."""
        ends = {(it.topic(), it.partition()): it.offset() + 1 for it in portion}
        kind, errors = kafka.library().TopicPartition, kafka.library().KafkaException
        try:
            answers = self._consumer.commit(
                offsets=[kind(*name, offset) for name, offset in ends.items()], asynchronous=False
            )
            failed = [it.error for it in answers if it.error is not None]
        except errors as error:
            failed = [error.args[0]]
        if failed:
            _log.warning("not_committed", error=failed[0].name())
        else:
            self._assignment.committed(ends)
        self._assignment.reached(ends.items())

    def _note_error(self, error: Any) -> None:
        """Once until a message comes; raises KafkaUnavailable on what nothing cures."""
        if error.fatal():
            raise KafkaUnavailable(f"Kafka's client gave up ({error.name()}): start this again")
        if error.name() not in self._told:
            self._told.add(error.name())
            _log.warning("kafka_error", error=error.name(), detail=error.str())


def _pauses() -> Iterator[tuple[float, float]]:
    """Seconds waited so far and to wait now, growing."""
    waited, pause = 0.0, PAUSE_FIRST_SECONDS
    while True:
        yield waited, pause
        waited += pause
        longest = PAUSE_SHORT_SECONDS if waited < REST_AFTER_SECONDS else PAUSE_LONGEST_SECONDS
        pause = min(2 * pause, longest)
