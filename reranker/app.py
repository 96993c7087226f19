"""The sidecar as a Flask application: `create_app()` wires routes, nothing else.

Clients, models and threads belong to a process and are opened in it, after the fork.
"""

import os
import threading

from flask import Flask

from indexer import settings as server_settings
from indexer import telemetry
from reranker import settings as sidecar_settings
from reranker.routes import (
    browsers,
    embed,
    events,
    experiments,
    health,
    metrics,
    multi_search,
    openapi,
    pages,
    passthrough,
    problems,
    recommend,
    rerank,
    rules,
    search,
    suggest,
)
from reranker.serving.process import Process, open_process


class Holder:
    """Opens this process's parts once; a forked child opens its own."""

    def __init__(self, opened: Process | None = None) -> None:
        self._opened = opened
        self._pid = os.getpid()
        self._lock = threading.Lock()

    def get(self) -> Process:
        """The parts of this process."""
        if self._opened is not None and self._pid == os.getpid():
            return self._opened
        with self._lock:
            if self._opened is None or self._pid != os.getpid():
                self._opened = open_process(server_settings.load(), sidecar_settings.load())
                self._pid = os.getpid()
                self._opened.start()
            return self._opened


def create_app(process: Process | None = None) -> Flask:
    """The application; `process` hands in parts that are open already, as tests do."""
    settings = process.settings if process else sidecar_settings.load()
    telemetry.configure(server_settings.load())
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.body_bytes_max
    app.config["HITWEAVE_SETTINGS"] = settings
    app.extensions["hitweave"] = Holder(process)
    app.url_map.merge_slashes = False
    for routes in (
        health,
        metrics,
        search,
        multi_search,
        rerank,
        recommend,
        rules,
        experiments,
        suggest,
        embed,
        events,
        openapi,
        pages,
        passthrough,
    ):
        app.register_blueprint(routes.blueprint)
    problems.register(app)
    browsers.register(app)
    return app
