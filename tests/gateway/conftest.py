"""The shop that all tests of the gateway ask, made once."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from elasticsearch import Elasticsearch

from tests.conftest import Stack
from tests.gateway import shop as goods
from tests.gateway.exchange import Exchange


@dataclass(frozen=True)
class Shop:
    """An index of lamps, a filtered alias of the shop's own on it, and a query vector for it."""

    index: str
    vector: list[float]

    @property
    def acme(self) -> str:
        """The alias that shows one brand only."""
        return f"{self.index}-acme"


@pytest.fixture(scope="session")
def node(stack: Stack) -> Iterator[Exchange]:
    """Raw requests to the bare node."""
    with Exchange(stack.es_url) as exchange:
        yield exchange


@pytest.fixture(scope="session")
def gateway(stack: Stack) -> Iterator[Exchange]:
    """Raw requests to the sidecar."""
    with Exchange(stack.sidecar_url) as exchange:
        yield exchange


@pytest.fixture(scope="session")
def shop(stack: Stack, gateway: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop's goods, indexed by the workers."""
    index = f"t{uuid.uuid4().hex[:12]}"
    file = tmp_path_factory.mktemp("shop") / "products.jsonl"
    file.write_text("".join(json.dumps(product) + "\n" for product in goods.products()))
    stack.run("create", index)
    with Elasticsearch(stack.es_url, request_timeout=30) as es:
        es.indices.put_mapping(index=index, properties=goods.MORE_FIELDS)
        (concrete,) = es.indices.get_alias(name=index).body
        only = {"term": {"brand": "acme"}}
        es.indices.put_alias(index=concrete, name=f"{index}-acme", filter=only)
    report = stack.run_json("catalogue", index, str(file))
    assert report["embedded"] == goods.LAMPS + 4, report
    asked = {"index": index, "texts": ["a red lamp"], "as": "query"}
    answer = gateway.ask("POST", "/embed", json.dumps(asked).encode())
    return Shop(index, json.loads(answer.body)["vectors"][0])
