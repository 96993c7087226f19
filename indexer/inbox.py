"""The only place that hands work to the workers.

Tasks are named, not imported, and arguments are JSON: whoever sends needs nothing of what is done.
"""

from functools import lru_cache
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from indexer import settings
from indexer.errors import ValkeyUnavailable

SEND_SECONDS_MAX = 5.0


@lru_cache(maxsize=4)
def _app(broker_url: str) -> Celery:
    app = Celery("hitweave-inbox", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        broker_connection_timeout=SEND_SECONDS_MAX,
        broker_transport_options={
            "socket_timeout": SEND_SECONDS_MAX,
            "socket_connect_timeout": SEND_SECONDS_MAX,
        },
    )
    return app


def submit(name: str, queue: str, **kwargs: Any) -> str:
    """Send a task to a queue; its id. Raises ValkeyUnavailable where the broker has not taken it."""
    broker_url = settings.load().celery_broker_url
    try:
        sent = _app(broker_url).send_task(name, kwargs=kwargs, queue=queue, retry=False)
    except (OperationalError, OSError) as error:
        raise ValkeyUnavailable(
            f"the broker does not take work ({type(error).__name__}): start the stack "
            "(`hitweave up`) or set HITWEAVE_VALKEY_URL"
        ) from error
    return str(sent.id)
