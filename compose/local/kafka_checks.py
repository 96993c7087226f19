"""What `hitweave doctor` looks at of Kafka, where HITWEAVE_KAFKA_SERVERS is set."""

from collections.abc import Iterator

from compose.local.finding import Finding
from indexer.behaviour import kafka
from indexer.errors import CouldNotReach, HitweaveError
from indexer.settings import Settings

ASK_SECONDS = 3.0


def check_kafka(usable: Settings) -> Iterator[Finding]:
    """Whether brokers answer, topics are there, and somebody reads them."""
    if not usable.kafka_servers:
        return
    try:
        there, readers = kafka.topics(usable, ASK_SECONDS), kafka.members(usable, ASK_SECONDS)
    except HitweaveError as error:
        found, _, advice = error.message.partition(": ")
        yield Finding("kafka", "fault", found, advice, isinstance(error, CouldNotReach))
        return
    yield Finding("kafka", "ok", f"{usable.kafka_servers} answers")
    for topic in usable.topics:
        if topic not in there:
            advice = "make it, or name others with HITWEAVE_KAFKA_TOPICS"
            yield Finding("kafka", "fault", f"there is no topic {topic}", advice)
    if usable.kafka_rejected_topic not in there:
        found = f"there is no topic {usable.kafka_rejected_topic} yet"
        advice = "make it, unless brokers make topics by themselves: else a bad message stops all"
        yield Finding("kafka", "note", found, advice)
    if not readers:
        found = f"nobody reads in the group {usable.kafka_group}"
        yield Finding("kafka", "warning", found, "`hitweave up` starts one, or `hitweave consume`")
