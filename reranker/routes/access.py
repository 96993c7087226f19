"""The process that answers, opened with the first request after the fork."""

from typing import cast

from flask import current_app

from reranker.serving.process import Process


def process() -> Process:
    """This process's parts; opened once, after the fork."""
    return cast(Process, current_app.extensions["hitweave"].get())
