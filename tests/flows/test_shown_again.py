"""Documents shown a moment ago are not read again, and never shown as they were before."""

import itertools
import uuid
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk

from tests.conftest import Stack
from tests.flows import commands

LAMPS = 12


@pytest.fixture
def index(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A few lamps, on one page."""
    name, folder = f"t{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("shown")
    lamps = [{"id": f"lamp-{number}", "title": f"Lamp number {number}"} for number in range(LAMPS)]
    commands.created(name, "--config", commands.config(folder, "encoder: hashed:64\n"))
    commands.sent(name, commands.feed(folder, *lamps))
    return name


def search(gateway: Elasticsearch, index: str, **body: Any) -> list[dict[str, Any]]:
    """The hits of one search by nobody, over one connection: of one process of the sidecar."""
    ext = {"hitweave": {"mode": "fused", "record": False}}
    found = gateway.search(
        index=index, query={"match": {"title": "lamp"}}, size=LAMPS, ext=ext, **body
    )
    assert found["hitweave"]["degraded"] is None
    hits: list[dict[str, Any]] = found["hits"]["hits"]
    assert len(hits) == LAMPS
    return hits


def searches(es: Elasticsearch, index: str) -> int:
    """How many searches the node has answered over this index."""
    stats = es.indices.stats(index=index, metric="search")
    return int(stats["_all"]["primaries"]["search"]["query_total"])


def test_a_page_is_shown_again_without_being_read(
    es: Elasticsearch, gateway: Elasticsearch, index: str
) -> None:
    counts, pages = [searches(es, index)], []
    for _ in range(3):
        pages.append(search(gateway, index, source=["title"]))
        counts.append(searches(es, index))
    first, second, third = (later - one for one, later in itertools.pairwise(counts))
    assert (second, third) == (first - 1, first - 1)
    assert pages[0] == pages[1] == pages[2]
    assert set(pages[0][0]) == {"_index", "_id", "_score", "_source"}
    whole = search(gateway, index, seq_no_primary_term=True)
    for hit in whole:
        at_the_node = es.get(index=index, id=hit["_id"])
        assert hit["_source"] == at_the_node["_source"]
        assert hit["_seq_no"] == at_the_node["_seq_no"]


def test_a_change_by_anybody_is_shown_at_once(
    es: Elasticsearch, gateway: Elasticsearch, index: str
) -> None:
    for title in ("Lamp of today", "Lamp of tomorrow"):
        search(gateway, index)
        es.update(index=index, id="lamp-3", doc={"title": title}, refresh=True)
        shown = {hit["_id"]: hit["_source"]["title"] for hit in search(gateway, index)}
        assert shown["lamp-3"] == title
        assert shown["lamp-4"] == "Lamp number 4"


def test_an_index_made_anew_under_its_name_shows_its_own_documents(
    es: Elasticsearch, gateway: Elasticsearch, index: str
) -> None:
    before = search(gateway, index, version=True, seq_no_primary_term=True)
    found = es.indices.get(index=index).body
    ((concrete, made),) = found.items()
    documents = {hit["_id"]: es.get(index=index, id=hit["_id"])["_source"] for hit in before}
    es.indices.delete(index=concrete)
    analysis = made["settings"]["index"]["analysis"]
    es.indices.create(
        index=concrete,
        mappings=made["mappings"],
        aliases=made["aliases"],
        settings={"analysis": analysis},
    )
    for document in documents.values():
        document["title"] = "Lamp made anew"
        document["hitweave"]["received_at"] += 1
    rows = sorted(before, key=lambda hit: int(hit["_seq_no"]))
    bulk(
        es,
        [{"_index": concrete, "_id": row["_id"], **documents[row["_id"]]} for row in rows],
        refresh=True,
    )
    after = search(gateway, index, version=True, seq_no_primary_term=True)

    def versions(hits: list[dict[str, Any]]) -> set[tuple[str, int, int]]:
        return {(hit["_id"], hit["_seq_no"], hit["_primary_term"]) for hit in hits}

    assert versions(before) == versions(after)  # by these alone they would be the same
    assert {hit["_source"]["title"] for hit in after} == {"Lamp made anew"}
