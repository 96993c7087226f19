"""The shop that rules and experiments are tried on, and a client of the sidecar."""

import uuid
from collections.abc import Iterator

import pytest
from elasticsearch import Elasticsearch

from tests.conftest import Stack
from tests.flows import commands
from tests.flows.test_search import LAMPS, products
from tests.kafka_broker import broker

__all__ = ["broker"]


@pytest.fixture(scope="module")
def index(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A catalogue of lamps, with vectors of the small encoder."""
    name, folder = f"t{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("shop")
    commands.created(name, "--config", commands.config(folder, "encoder: hashed:64\n"))
    report = commands.sent(name, commands.feed(folder, *products()))
    assert report["embedded"] == LAMPS + 4, report
    return name


@pytest.fixture
def gateway(stack: Stack) -> Iterator[Elasticsearch]:
    """The ordinary client, pointed at the sidecar."""
    with Elasticsearch(stack.sidecar_url, request_timeout=30) as client:
        yield client
