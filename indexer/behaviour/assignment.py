"""The partitions that a consumer has now: where it begins in each, and how far it is to read."""

from collections.abc import Iterable, Mapping
from typing import Any

from indexer.behaviour import kafka

Name = tuple[str, int]  # topic and partition


class Assignment:
    """Told by the group who reads what; `round` changes whenever partitions were taken away.

    `since_ms` (milliseconds since the epoch): a partition begins with the first message of that
    time or later, until something of it is committed. `until_end`: it is read as far as it went
    when it was first assigned.
    """

    def __init__(self, *, since_ms: int | None = None, until_end: bool = False) -> None:
        self.partitions: list[Any] = []
        self.round = 0
        self._since_ms = since_ms
        self._until_end = until_end
        self._is_known = False
        self._committed: set[Name] = set()
        self._ends: dict[Name, int] = {}
        self._read: set[Name] = set()

    @property
    def is_read(self) -> bool:
        """Whether every partition is read as far as it is to be; never without `until_end`."""
        names = {_name(it) for it in self.partitions}
        return self._until_end and self._is_known and names <= self._read

    def assigned(self, consumer: Any, partitions: list[Any]) -> None:
        """Begin with these."""
        begins = [self._begin(consumer, it) for it in partitions]
        consumer.assign(begins)
        consumer.resume(begins)  # those that rested when they were taken away
        self.partitions, self._is_known = begins, True

    def revoked(self, _consumer: Any, _partitions: list[Any]) -> None:
        """All are taken away; some may come back."""
        self.partitions, self._is_known = [], False
        self._read.clear()
        self.round += 1

    def committed(self, offsets: Mapping[Name, int]) -> None:
        """Up to these offsets all is handed over, and the group knows."""
        self._committed |= {*offsets}

    def reached(self, positions: Iterable[tuple[Name, int]]) -> None:
        """The next message of a partition would be this one."""
        for name, position in positions:
            if position >= self._ends.get(name, 0):
                self._read.add(name)

    def _begin(self, consumer: Any, partition: Any) -> Any:
        name = _name(partition)
        replays = self._since_ms is not None and name not in self._committed
        if not (replays or (self._until_end and name not in self._ends)):
            return partition
        # Asked before the times: what is written in between is then found by one of the two.
        _, end = consumer.get_watermark_offsets(partition, timeout=kafka.ASK_SECONDS)
        self._ends.setdefault(name, end)
        if not replays:
            return partition
        asked = [kafka.library().TopicPartition(*name, self._since_ms)]
        (found,) = consumer.offsets_for_times(asked, timeout=kafka.ASK_SECONDS)
        return kafka.library().TopicPartition(*name, found.offset if found.offset >= 0 else end)


def _name(partition: Any) -> Name:
    return partition.topic, partition.partition
