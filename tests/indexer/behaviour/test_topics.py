"""The reading loop with a consumer that does as a test says: what is committed, and when."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaException, TopicPartition

from indexer.behaviour import intake, topics
from indexer.behaviour.applications import Applications
from indexer.behaviour.arrivals import Batch
from indexer.behaviour.assignment import Assignment
from indexer.behaviour.intake import Intake
from indexer.behaviour.messages import Letter
from indexer.behaviour.reception import Line
from indexer.behaviour.topics import Limits, TopicReader
from indexer.errors import KafkaUnavailable, StackFailed, ValkeyUnavailable
from tests.indexer.behaviour.test_messages import Said, click, said

LIMITS = Limits(messages=2, total_bytes=10_000, value_bytes=1000)


class KafkaSays:
    """An error of Kafka, in place of a message or of an answer."""

    def __init__(self, name: str, place: int = 0, fatal: bool = False) -> None:
        self._name, self._place, self._fatal = name, place, fatal

    def name(self) -> str:
        return self._name

    def fatal(self) -> bool:
        return self._fatal

    def error(self) -> "KafkaSays":
        return self

    def topic(self) -> str:
        return "ubi"

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return self._place

    str = name


class FakeConsumer:
    """One partition, 3, of the topic ubi, with what it holds."""

    def __init__(self, *held: Said | KafkaSays) -> None:
        self.held = list(held)
        self.calls: list[Any] = []
        self.during_rest: Callable[[], None] = lambda: None
        self.refuses: KafkaException | None = None
        self.rests = False
        self.end = len([it for it in held if isinstance(it, Said)])

    def subscribe(self, names: list[str], **callbacks: Any) -> None:
        self.on_assign, self.on_revoke = callbacks["on_assign"], callbacks["on_revoke"]
        self.on_assign(self, [TopicPartition("ubi", 3)])

    def assign(self, _partitions: list[Any]) -> None:
        pass

    def pause(self, _partitions: list[Any]) -> None:
        self.calls.append("pause")
        self.rests = True

    def resume(self, _partitions: list[Any]) -> None:
        if self.rests:
            self.calls.append("resume")
        self.rests = False

    def get_watermark_offsets(self, _partition: Any, timeout: float) -> tuple[int, int]:
        return 0, self.end

    def poll(self, _seconds: float) -> Any:
        if self.rests:
            self.during_rest()
            return None
        return self.held.pop(0) if self.held else None

    def consume(self, count: int, timeout: float) -> list[Any]:
        found, self.held = self.held[:count], self.held[count:]
        return found

    def commit(self, offsets: list[Any], asynchronous: bool) -> list[Any]:
        assert not asynchronous
        if self.refuses:
            raise self.refuses
        self.calls.append(("commit", *(it.offset for it in offsets)))
        return offsets

    def close(self) -> None:
        self.calls.append("close")


class Workers:
    """Reception and dead letters in one: what they are given, or why they do not take it."""

    def __init__(self, calls: list[Any], *refusals: Exception) -> None:
        self.calls = calls
        self.refusals = list(refusals)

    def take(self, lines: Sequence[Line]) -> Intake:
        shops = Applications({"shop": frozenset({"shop"})})
        return intake.take(lines, intake.Terms(shops, "k", 1.8e9, live=True))

    def chunks(self, taken: Intake) -> list[tuple[str, Batch]]:
        return list(taken.batches(100))

    def hand_over(self, _index: str, documents: Batch) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.calls.append(("handed over", len(documents["event"])))

    def send(self, letters: Sequence[Letter]) -> None:
        self.calls.append(("rejected", len(letters)))


def reader(consumer: FakeConsumer, workers: Workers, until_end: bool = True) -> TopicReader:
    assignment = Assignment(until_end=until_end)
    return TopicReader(lambda _: consumer, workers, workers, assignment, LIMITS)  # type: ignore[arg-type]


def clicks(*places: int) -> list[Said]:
    return [said(click(event_id=str(place)), place=place) for place in places]


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that are over at once, each of them one in which the partitions rest."""
    monkeypatch.setattr(topics, "PAUSE_FIRST_SECONDS", 1e-3)
    monkeypatch.setattr(topics, "PAUSE_LONGEST_SECONDS", 1e-3)
    monkeypatch.setattr(topics, "REST_AFTER_SECONDS", 0.0)


def test_each_part_is_committed_after_it_was_handed_over_and_its_letters_sent() -> None:
    consumer = FakeConsumer(*clicks(0, 1), said(b"{bad", place=2))
    tally = reader(consumer, Workers(consumer.calls)).run(["ubi"])
    assert consumer.calls == [
        ("handed over", 2),
        ("commit", 2),
        ("rejected", 1),
        ("commit", 3),
        "close",
    ]
    assert (tally.read, tally.accepted, tally.rejected) == (3, 2, 1)


def test_what_is_refused_is_tried_again_while_the_partitions_rest() -> None:
    consumer = FakeConsumer(*clicks(0))
    refusals = ValkeyUnavailable("away"), StackFailed("full"), StackFailed("full")
    reader(consumer, Workers(consumer.calls, *refusals)).run(["ubi"])
    assert consumer.calls == ["pause", ("handed over", 1), "resume", ("commit", 1), "close"]


def test_one_that_is_stopped_while_it_waits_commits_nothing() -> None:
    consumer = FakeConsumer(*clicks(0))
    reading = reader(consumer, Workers(consumer.calls, *[StackFailed("full")] * 1000))
    consumer.during_rest = reading.stop
    assert reading.run(["ubi"]).read == 0
    assert consumer.calls == ["pause", "close"]


def test_what_is_taken_away_while_it_waits_is_left_to_others() -> None:
    consumer = FakeConsumer(*clicks(0, 1))
    workers = Workers(consumer.calls, *[StackFailed("full")] * 1000)
    reading = reader(consumer, workers)

    def taken_away() -> None:
        consumer.on_revoke(consumer, [])
        workers.refusals.clear()
        consumer.held = [*clicks(0, 1)]  # it comes back, and begins where it was committed
        consumer.on_assign(consumer, [TopicPartition("ubi", 3)])

    consumer.during_rest = taken_away
    tally = reading.run(["ubi"])
    assert tally.read == 2
    assert consumer.calls[-3:] == [("handed over", 2), ("commit", 2), "close"]


def test_a_commit_that_fails_is_no_end_and_the_next_one_covers_it() -> None:
    consumer = FakeConsumer(*clicks(0, 1, 2))
    consumer.refuses = KafkaException(KafkaSays("REBALANCE_IN_PROGRESS"))
    assert reader(consumer, Workers(consumer.calls)).run(["ubi"]).read == 3
    assert consumer.calls == [("handed over", 2), ("handed over", 1), "close"]


def test_an_end_that_is_no_message_is_an_end_too() -> None:
    consumer = FakeConsumer(*clicks(0), KafkaSays("_PARTITION_EOF", place=5))
    consumer.end = 5
    assert reader(consumer, Workers(consumer.calls)).run(["ubi"]).read == 1


def test_what_nothing_cures_ends_it() -> None:
    consumer = FakeConsumer(KafkaSays("_FENCED", fatal=True))
    with pytest.raises(KafkaUnavailable, match="_FENCED"):
        reader(consumer, Workers(consumer.calls), until_end=False).run(["ubi"])
    assert consumer.calls == ["close"]
