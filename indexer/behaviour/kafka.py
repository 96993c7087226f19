"""The only place that opens clients of Kafka, and what is asked of a cluster beside reading.

confluent-kafka (librdkafka) is imported when it is first needed: who has no Kafka does without it.
Options come from HITWEAVE_KAFKA_OPTIONS; their values, which may be secrets, are never told.
"""

from collections.abc import Callable
from typing import Any

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from indexer.errors import AskedWrongly, InvalidSettings, KafkaUnavailable
from indexer.settings import Settings

ASK_SECONDS = 10.0
# One that ended without a word is forgotten after this long, and its partitions go to others.
SESSION_MS = 10_000
# Topics and partitions that are made later are found within this long.
NEWS_MS = 30_000
AHEAD_KILOBYTES_MAX = 16_384  # read ahead of what is handed over
DELIVERY_MS = 10_000
MESSAGE_BYTES_MAX = 100_000_000  # no limit of ours: the broker has its own
SILENT = 0  # librdkafka's own words; what it says by errors is logged here as everything else
# What brokers say of a group while they have just begun, and of one that nobody has joined yet.
COORDINATING = (
    *("COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS"),
    "NOT_COORDINATOR",
)
NO_GROUP = "GROUP_ID_NOT_FOUND"
AGAIN_SECONDS = 0.1
VALUE_LENGTH_HIDDEN = 4  # a shorter one may be part of any word, and is no secret


def library() -> Any:
    """The module confluent_kafka; raises AskedWrongly where it is not installed."""
    try:
        import confluent_kafka
    except ImportError:
        raise AskedWrongly(
            "Kafka needs the package confluent-kafka: `pip install 'hitweave[kafka]'`"
        ) from None
    return confluent_kafka


def consumer(settings: Settings, name: str, on_error: Callable[[Any], None]) -> Any:
    """A consumer of the group that commits nothing by itself; makes no request.

    Where the group has no offset yet it begins with the oldest message.
    """
    first = {
        "auto.offset.reset": "earliest",
        "session.timeout.ms": SESSION_MS,
        "topic.metadata.refresh.interval.ms": NEWS_MS,
        "queued.max.messages.kbytes": AHEAD_KILOBYTES_MAX,
    }
    last = {
        "group.id": settings.kafka_group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "error_cb": on_error,
    }
    return _opened(library().Consumer, settings, name, first, last)


def producer(settings: Settings, name: str) -> Any:
    """A producer whose messages every replica in sync has when they are delivered."""
    first = {
        "acks": "all",
        "message.timeout.ms": DELIVERY_MS,
        "message.max.bytes": MESSAGE_BYTES_MAX,
    }
    return _opened(library().Producer, settings, name, first, {})


def topics(settings: Settings, timeout_seconds: float = ASK_SECONDS) -> set[str]:
    """The names of the cluster's topics; raises KafkaUnavailable."""
    client, errors = _admin(settings), library().KafkaException
    try:
        return {*client.list_topics(timeout=timeout_seconds).topics}
    except errors as error:
        raise unavailable(settings, error) from error


def members(settings: Settings, timeout_seconds: float = ASK_SECONDS) -> list[str]:
    """The client ids of who is in the group now; raises KafkaUnavailable."""
    client, errors, name = _admin(settings), library().KafkaException, settings.kafka_group
    again = Retrying(
        retry=retry_if_exception(lambda error: _said(error) in COORDINATING),
        stop=stop_after_delay(timeout_seconds),
        wait=wait_fixed(AGAIN_SECONDS),
        reraise=True,
    )

    def ask() -> Any:
        asked = client.describe_consumer_groups([name], request_timeout=timeout_seconds)
        return asked[name].result()

    try:
        group = again(ask)
    except errors as error:
        if _said(error) == NO_GROUP:
            return []
        raise unavailable(settings, error) from error
    return [str(member.client_id) for member in group.members]


def unavailable(settings: Settings, error: Exception) -> KafkaUnavailable:
    """What a KafkaException means to whoever started us."""
    return KafkaUnavailable(
        f"Kafka does not answer at {settings.kafka_servers} ({_said(error)}): see whether "
        "the brokers are up, and check HITWEAVE_KAFKA_SERVERS and HITWEAVE_KAFKA_OPTIONS"
    )


def _said(error: BaseException) -> str:
    """The name of what a KafkaException is about; that of the exception where it is another."""
    told: Any = error.args[0] if error.args else None
    return str(told.name()) if hasattr(told, "name") else type(error).__name__


def _admin(settings: Settings) -> Any:
    library()
    from confluent_kafka.admin import AdminClient

    return _opened(AdminClient, settings, "hitweave", {}, {})


def _opened(
    kind: Callable[[dict[str, Any]], Any],
    settings: Settings,
    name: str,
    first: dict[str, Any],
    last: dict[str, Any],
) -> Any:
    """A client; the user's options take the place of `first`, never of `last`."""
    if not settings.kafka_servers:
        raise AskedWrongly(
            "set HITWEAVE_KAFKA_SERVERS to the addresses of your Kafka brokers, with commas"
        )
    config = {
        "log_level": SILENT,
        **first,
        **{option: _written(value) for option, value in settings.librdkafka_options.items()},
        "bootstrap.servers": settings.kafka_servers,
        "client.id": name,
        **last,
    }
    try:
        return kind(config)
    except (library().KafkaException, TypeError, ValueError) as error:
        raise InvalidSettings(
            f"HITWEAVE_KAFKA_OPTIONS: {_without_values(error, settings)} (librdkafka's "
            "CONFIGURATION.md lists the options and their values)"
        ) from None


def _without_values(error: Exception, settings: Settings) -> str:
    """What librdkafka says against its options, with none of their values."""
    told = error.args[0]
    words = str(told.str() if hasattr(told, "str") else told)
    for value in settings.librdkafka_options.values():
        if isinstance(value, str) and len(value) >= VALUE_LENGTH_HIDDEN:
            words = words.replace(value, "…")
    return words


def _written(value: str | int | float | bool) -> str | int | float:
    """As librdkafka writes it."""
    return str(value).lower() if isinstance(value, bool) else value
