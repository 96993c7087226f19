"""All settings of both packages that touch servers: read once from HITWEAVE_* variables.

Each field says its unit in its name. `problems()` checks relations between fields; `load()` raises
InvalidSettings with all of them at once.
"""

from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from indexer.errors import InvalidSettings


class Checked(BaseSettings):
    """Settings of HITWEAVE_* variables that are read as a whole or not at all."""

    model_config = SettingsConfigDict(env_prefix="HITWEAVE_", frozen=True, extra="ignore")

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
        "http://127.0.0.1:9200", description="Address of Elasticsearch, several with commas."
    )
    elasticsearch_api_key: SecretStr | None = Field(
        None, description="API key, where security is on."
    )
    elasticsearch_ca_certs: Path | None = Field(None, description="CA bundle of the cluster.")
    elasticsearch_timeout_seconds: float = Field(
        30.0, gt=0, description="How long a worker waits for one answer of Elasticsearch."
    )
    valkey_url: str = Field("redis://127.0.0.1:6379/0", description="Address of Valkey or Redis.")
    broker_url: str | None = Field(None, description="Celery broker; default: valkey_url.")
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
    def celery_broker_url(self) -> str:
        """Address that Celery talks to."""
        return self.broker_url or self.valkey_url

    def problems(self) -> list[str]:
        """Relations that do not hold, each as a sentence that says what to change."""
        found = []
        if self.task_time_limit_seconds >= self.visibility_timeout_seconds:
            found.append(
                f"HITWEAVE_TASK_TIME_LIMIT_SECONDS ({self.task_time_limit_seconds}) must be below "
                f"HITWEAVE_VISIBILITY_TIMEOUT_SECONDS ({self.visibility_timeout_seconds}), "
                "or a running task is handed out twice"
            )
        if self.line_bytes_max > 10 * self.chunk_bytes:
            found.append("HITWEAVE_LINE_BYTES_MAX is over ten chunks: raise HITWEAVE_CHUNK_BYTES")
        return found


@lru_cache(maxsize=1)
def load() -> Settings:
    """The settings of this process; raises InvalidSettings with every problem at once."""
    return Settings.read()
