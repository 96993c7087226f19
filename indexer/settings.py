"""All settings of both packages that touch servers: read once from HITWEAVE_* variables.

Each field says its unit in its name. `problems()` checks relations between fields; `load()` raises
InvalidSettings with all of them at once.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

import orjson
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from indexer import addresses
from indexer.errors import InvalidSettings

TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
# Said by settings of their own, or what "handed over, then committed" rests on.
KAFKA_OPTIONS_OURS = frozenset(
    {
        *("bootstrap.servers", "metadata.broker.list", "group.id", "client.id"),
        *("enable.auto.commit", "enable.auto.offset.store", "enable.partition.eof"),
        *("partition.assignment.strategy", "group.protocol"),
    }
)


class Checked(BaseSettings):
    """Settings of HITWEAVE_* variables that are read as a whole or not at all."""

    model_config = SettingsConfigDict(
        env_prefix="HITWEAVE_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    def problems(self) -> list[str]:
        """Relations that do not hold, each as a sentence that says what to change."""
        return []

    @classmethod
    def read(cls) -> Self:
        """The settings of the environment; raises InvalidSettings with every problem at once."""
        try:
            settings = cls()
        except ValidationError as error:
            lines = [
                f"HITWEAVE_{str(e['loc'][0]).upper()}: {e['msg']} (is {e['input']!r})"
                for e in error.errors()
            ]
            raise InvalidSettings("; ".join(lines)) from None
        if problems := settings.problems():
            raise InvalidSettings("; ".join(problems))
        return settings


class Settings(Checked):
    """Where the servers are, how much work at once, and how long to wait."""

    elasticsearch_url: str = Field(
        "http://127.0.0.1:9200",
        repr=False,
        description="Address of Elasticsearch, several with commas; may name user:password@.",
    )
    elasticsearch_api_key: SecretStr | None = Field(
        None, description="API key, where security is on: `encoded`, or `id:api_key`."
    )
    elasticsearch_ca_certs: Path | None = Field(
        None, description="CA bundle of the cluster, where the system does not trust it."
    )
    elasticsearch_timeout_seconds: float = Field(
        30.0, gt=0, description="How long a worker waits for one answer of Elasticsearch."
    )
    valkey_url: str = Field(
        "redis://127.0.0.1:6379/0",
        repr=False,
        description="Address of Valkey or Redis; with a password redis://:password@host:6379/0.",
    )
    broker_url: str | None = Field(
        None, repr=False, description="Celery broker; default: valkey_url."
    )
    sidecar_url: str = Field(
        "http://127.0.0.1:8600", description="Address of the sidecar, for the command line."
    )
    home: Path = Field(
        Path(".hitweave"), description="Folder of the local stack, models and rejects."
    )
    models: Path | None = Field(
        None, description="Folder of the model registry; default: home/models."
    )
    pseudonym_key: SecretStr = Field(
        SecretStr("hitweave-local"),
        description="Key of the HMAC that replaces user ids; set your own and keep it.",
    )
    chunk_items: int = Field(256, ge=1, le=5000, description="Products in one task at the most.")
    chunk_bytes: int = Field(1_000_000, ge=10_000, description="Bytes in one task at the most.")
    line_bytes_max: int = Field(
        1_000_000, ge=1000, description="A longer catalogue or event line is rejected."
    )
    events_chunk: int = Field(2000, ge=1, le=20_000, description="Events in one task at the most.")
    kafka_servers: str | None = Field(
        None, description="Addresses of Kafka brokers, with commas; unset: events come without it."
    )
    kafka_topics: str = Field("ubi", description="Topics that events are read from, with commas.")
    kafka_group: str = Field(
        "hitweave", min_length=1, description="Consumer group whose offsets tell what is taken."
    )
    kafka_rejected_topic: str = Field(
        "ubi.rejected", description="Topic for messages that are not taken, with the reason."
    )
    kafka_options: SecretStr | None = Field(
        None, description="JSON object of librdkafka options, as for TLS and SASL; never shown."
    )
    suggest_shoppers_min: int = Field(
        3,
        ge=1,
        le=32,
        description="Shoppers who must have searched for a text with success before it is kept.",
    )
    adaptive_events_max: int = Field(
        200,
        ge=0,
        description="Deeds of one person in a day that teach the adaptive layer; 0: nobody's do.",
    )
    visibility_timeout_seconds: int = Field(
        30, ge=5, description="After this long without an end, a task goes to another worker."
    )
    task_time_limit_seconds: int = Field(
        25, ge=1, description="A task that runs longer is ended and tried again."
    )
    index_retry_seconds_max: float = Field(
        60.0, gt=0, description="How long a bulk write backs off on 429 and 503."
    )
    take_up_seconds: float = Field(
        30.0,
        ge=0,
        description="How often documents that others wrote into an index are taken up; 0: never.",
    )
    retrain_hours: float | None = Field(
        None, gt=0, description="How often promoted models are trained anew; unset: never."
    )
    retrain_schedule: Literal["full", "quick"] = Field(
        "full", description="The schedule that they are trained with."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where encoders run and models are trained."
    )
    tracking: Literal["tensorboard", "wandb", "both", "off"] = Field(
        "tensorboard", description="What shows a training run's curves; wandb is a package to add."
    )
    encoder_threads: int = Field(
        1, ge=1, le=256, description="Processor threads of one encoder in one process."
    )
    encoder_batch: int = Field(64, ge=1, le=4096, description="Texts in one forward pass.")
    log_format: Literal["console", "json"] = Field("console", description="How logs are written.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )

    @property
    def models_dir(self) -> Path:
        """Folder of the model registry."""
        return self.models or self.home / "models"

    @property
    def elasticsearch_nodes(self) -> list[str]:
        """Addresses of Elasticsearch without the credentials that may stand in them."""
        return addresses.nodes(self.elasticsearch_url)

    @property
    def elasticsearch_authorization(self) -> str | None:
        """The Authorization header of Hitweave's own requests; None where it has no credentials."""
        if self.elasticsearch_api_key is not None:
            return addresses.api_key(self.elasticsearch_api_key.get_secret_value())
        return addresses.basic(self.elasticsearch_url)

    @property
    def celery_broker_url(self) -> str:
        """Address that Celery talks to."""
        return self.broker_url or self.valkey_url

    @property
    def topics(self) -> list[str]:
        """The topics that events are read from."""
        return [name.strip() for name in self.kafka_topics.split(",") if name.strip()]

    @property
    def librdkafka_options(self) -> dict[str, str | int | float | bool]:
        """The options of Kafka's client; raises InvalidSettings without naming a value."""
        text = self.kafka_options.get_secret_value() if self.kafka_options else ""
        try:
            options = orjson.loads(text) if text.strip() else {}
        except orjson.JSONDecodeError:
            options = None
        if not isinstance(options, dict) or not all(
            isinstance(value, (str, int, float, bool)) for value in options.values()
        ):
            raise InvalidSettings(
                "HITWEAVE_KAFKA_OPTIONS is not a JSON object of librdkafka options with plain "
                'values: write it as {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN"}'
            )
        if ours := sorted(KAFKA_OPTIONS_OURS & {*options}):
            raise InvalidSettings(
                f"HITWEAVE_KAFKA_OPTIONS sets {', '.join(ours)}: leave these to the other "
                "HITWEAVE_KAFKA_* settings and to Hitweave"
            )
        return options

    def problems(self) -> list[str]:
        """Relations that do not hold, each as a sentence that says what to change."""
        found = [*self._address_problems(), *self._kafka_problems()]
        if self.task_time_limit_seconds >= self.visibility_timeout_seconds:
            found.append(
                f"HITWEAVE_TASK_TIME_LIMIT_SECONDS ({self.task_time_limit_seconds}) must be below "
                f"HITWEAVE_VISIBILITY_TIMEOUT_SECONDS ({self.visibility_timeout_seconds}), "
                "or a running task is handed out twice"
            )
        if self.line_bytes_max > 10 * self.chunk_bytes:
            found.append("HITWEAVE_LINE_BYTES_MAX is over ten chunks: raise HITWEAVE_CHUNK_BYTES")
        return found

    def _address_problems(self) -> list[str]:
        found = []
        if problem := addresses.node_problem(self.elasticsearch_url):
            return [f"HITWEAVE_ELASTICSEARCH_URL {problem}"]
        if self.elasticsearch_api_key is not None and addresses.basic(self.elasticsearch_url):
            found.append(
                "HITWEAVE_ELASTICSEARCH_URL names a user beside HITWEAVE_ELASTICSEARCH_API_KEY: "
                "leave one of them out"
            )
        if (bundle := self.elasticsearch_ca_certs) is not None:
            if not bundle.is_file():
                found.append(f"HITWEAVE_ELASTICSEARCH_CA_CERTS ({bundle}) is not a file")
            if not all(it.startswith("https:") for it in self.elasticsearch_nodes):
                found.append(
                    "HITWEAVE_ELASTICSEARCH_CA_CERTS is of use for https alone: write "
                    "HITWEAVE_ELASTICSEARCH_URL as https://…, or leave the bundle out"
                )
        if problem := addresses.valkey_problem(self.valkey_url):
            found.append(f"HITWEAVE_VALKEY_URL {problem}")
        return found

    def _kafka_problems(self) -> list[str]:
        found = []
        if not self.topics or not all(map(TOPIC.fullmatch, self.topics)):
            found.append(
                f"HITWEAVE_KAFKA_TOPICS ({self.kafka_topics}) must be names of topics, with "
                "commas: Latin letters, digits, dots, underscores and hyphens"
            )
        if not TOPIC.fullmatch(self.kafka_rejected_topic):
            found.append(f"HITWEAVE_KAFKA_REJECTED_TOPIC ({self.kafka_rejected_topic}) is no topic")
        if self.kafka_rejected_topic in self.topics:
            found.append(
                f"HITWEAVE_KAFKA_REJECTED_TOPIC ({self.kafka_rejected_topic}) is among "
                "HITWEAVE_KAFKA_TOPICS: what was rejected would be read again for ever"
            )
        try:
            _ = self.librdkafka_options
        except InvalidSettings as error:
            found.append(error.message)
        return found


@lru_cache(maxsize=1)
def load() -> Settings:
    """The settings of this process; raises InvalidSettings with every problem at once."""
    return Settings.read()
