"""Logs and counters: one formatter for sidecar, workers and command line.

An event name is constant, data goes in keywords; never query text, vectors or user ids. Logs go
to stderr, so that stdout stays for results.
"""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.typing import EventDict

from indexer.settings import Settings

# Whoever asks them says what became of it.
WITHOUT_TRACEBACKS = frozenset({"elastic_transport", "urllib3"})


def configure(settings: Settings) -> None:
    """Send structlog and the standard library's loggers through one formatter to stderr."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # Where `rich` is installed the usual one prints all variables, and keys among them.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_without_traceback, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, final],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for noisy in ("elastic_transport", "urllib3", "kombu", "amqp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _without_traceback(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A line for what such a library warns of, in place of all its calls and their variables."""
    if event["_record"].name.partition(".")[0] in WITHOUT_TRACEBACKS:
        event.pop("exc_info", None)
    return event


def log(name: str) -> Any:
    """A bound logger; `log("catalogue").info("chunk_written", items=3)`."""
    return structlog.get_logger(name)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what exporters of graphs say of their own insides from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
