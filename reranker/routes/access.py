"""The process that answers, opened with the first request after the fork; its indices."""

from typing import cast

from flask import current_app

from indexer.catalogue.generation import Generation
from indexer.errors import UnknownIndex
from reranker.serving.process import Process


def process() -> Process:
    """This process's parts; opened once, after the fork."""
    return cast(Process, current_app.extensions["hitweave"].get())


def generation_of(index: object) -> Generation:
    """The generation that answers for an index of this name; raises UnknownIndex."""
    found = process().generations.find(index) if isinstance(index, str) else None
    if found is None:
        raise UnknownIndex(f"there is no index {index!r} that Hitweave made or attached")
    return found
