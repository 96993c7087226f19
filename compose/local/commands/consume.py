"""`hitweave consume`: shopper behaviour out of Kafka, in the foreground, through the workers."""

import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial

import click
import orjson

from compose.local.part import Readiness
from compose.local.processes import CONSUMER
from compose.local.readiness import is_ready
from indexer import connections, settings
from indexer.behaviour import kafka
from indexer.behaviour.assignment import Assignment
from indexer.behaviour.dead_letters import DeadLetters
from indexer.behaviour.reception import Reception
from indexer.behaviour.topics import Limits, TopicReader
from indexer.errors import AskedWrongly, StackFailed
from indexer.settings import Settings

CHECK_SECONDS = 5.0
ANSWER_SECONDS = 10.0  # of Elasticsearch; what comes later is asked for again


@click.command("consume")
@click.option(
    "--since",
    metavar="TIME",
    help="Begin with the messages of this ISO 8601 time with zone, not where the group is.",
)
@click.option("--until-end", is_flag=True, help="End once what is there now is handed over.")
@click.option("--name", help=f"Client id in the group [default: {CONSUMER}@host].")
@click.option("--check", is_flag=True, help="Ask whether that one is in the group; exit 3 if not.")
def command(since: str | None, until_end: bool, name: str | None, check: bool) -> None:
    """Read UBI events and queries from HITWEAVE_KAFKA_TOPICS until a signal ends it.

    An offset is committed once its message is handed to the workers, or, with the reason, to
    HITWEAVE_KAFKA_REJECTED_TOPIC. Reading messages again changes nothing. The last line of stdout
    is one JSON object.
    """
    known = settings.load()
    named = name or f"{CONSUMER}@{socket.gethostname()}"
    if check:
        asked = Readiness(kind="kafka", url=known.kafka_servers or "", worker=named)
        sys.exit(0 if is_ready(asked, CHECK_SECONDS) else StackFailed.exit_code)
    started = time.monotonic()
    since_ms = None if since is None else _milliseconds(since)
    _check(known, replays=since is not None)
    reader = _reader(known, named, Assignment(since_ms=since_ms, until_end=until_end))
    try:
        with _ended_by_signals(reader):
            tally = reader.run(known.topics)
    except kafka.library().KafkaException as error:
        raise kafka.unavailable(known, error) from error
    report = {"read": tally.read, "accepted": tally.accepted, "rejected": tally.rejected}
    click.echo(orjson.dumps(report | {"seconds": round(time.monotonic() - started, 2)}).decode())


@contextmanager
def _ended_by_signals(reader: TopicReader) -> Iterator[None]:
    before = {
        number: signal.signal(number, lambda *_: reader.stop())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _milliseconds(text: str) -> int:
    """Of a time since the epoch; raises AskedWrongly."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise AskedWrongly(
            f"--since {text!r} is no ISO 8601 time with zone: write it as 2026-03-01T00:00:00Z"
        )
    return round(moment.timestamp() * 1000)


def _check(known: Settings, *, replays: bool) -> None:
    """Raise where a server is away, a topic is missing, or others hold the group's offsets."""
    there = kafka.topics(known)
    if missing := [topic for topic in known.topics if topic not in there]:
        raise AskedWrongly(
            f"Kafka has no topic {', '.join(missing)} (or does not show it to us): make it, or "
            "name others with HITWEAVE_KAFKA_TOPICS"
        )
    if replays and (others := kafka.members(known)):
        raise AskedWrongly(
            f"--since moves the offsets of the group {known.kafka_group}, and {', '.join(others)} "
            f"reads in it: end that first (one that was killed leaves within "
            f"{kafka.SESSION_MS // 1000} seconds), or replay in a group of its own with "
            "HITWEAVE_KAFKA_GROUP"
        )


def _reader(known: Settings, name: str, assignment: Assignment) -> TopicReader:
    es = connections.elasticsearch(known, request_timeout=ANSWER_SECONDS, max_retries=0)
    valkey = connections.valkey(known)
    connections.check_elasticsearch(es, known)
    connections.check_valkey(valkey, known)
    return TopicReader(
        partial(kafka.consumer, known, name),
        Reception(
            es,
            valkey,
            pseudonym_key=known.pseudonym_key.get_secret_value(),
            chunk_events=known.events_chunk,
        ),
        DeadLetters(kafka.producer(known, name), known.kafka_rejected_topic),
        assignment,
        Limits(known.events_chunk, known.chunk_bytes, known.line_bytes_max),
    )
