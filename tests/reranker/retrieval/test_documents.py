"""A hit is shown again only as the version that was just seen, in the form it was read in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.retrieval import documents
from reranker.retrieval import query as bodies
from reranker.retrieval.documents import KEPT_SECONDS, Documents, Version, versions_of
from reranker.retrieval.query import ARRIVAL_COLUMN, ID_COLUMN
from reranker.retrieval.request import Defaults, RankedRequest, parse

MATCH = {"match": {"title": "lamp"}}
LAMP = Version("shop-000001", "lamp", 7, 1, 1000)
HIT = {"_index": "shop-000001", "_id": "lamp", "_score": 0.0, "_source": {"title": "Lamp"}}
FORM = b"{}"


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def asked(**body: Any) -> RankedRequest:
    found = parse({"query": MATCH, **body}, {}, {}, Defaults())
    assert isinstance(found, RankedRequest)
    return found


def candidate(version: Version, **changed: Any) -> dict[str, Any]:
    """A hit of a leg that tells its version."""
    return {
        "_index": version.concrete,
        "_id": version.name,
        "_score": 1.0,
        "_seq_no": version.seq_no,
        "_primary_term": version.primary_term,
        "fields": {ID_COLUMN: [version.name], ARRIVAL_COLUMN: [version.arrived]},
        **changed,
    }


@pytest.mark.parametrize(
    "other",
    [
        LAMP._replace(concrete="shop-000002"),
        LAMP._replace(name="chair"),
        LAMP._replace(seq_no=8),
        LAMP._replace(primary_term=2),
        LAMP._replace(arrived=1001),  # the index was made anew under its name
    ],
)
def test_another_version_is_never_shown(other: Version) -> None:
    kept = Documents(10_000)
    kept.keep(LAMP, FORM, HIT)
    assert kept.find([LAMP], FORM) == {"lamp": HIT}
    assert kept.find([other], FORM) == {}
    assert kept.find([LAMP], b'{"_source":["title"]}') == {}


def test_nothing_is_shown_once_its_time_is_over() -> None:
    clock = Clock()
    kept = Documents(10_000, clock=clock)
    kept.keep(LAMP, FORM, HIT)
    clock.now += KEPT_SECONDS - 1
    assert kept.find([LAMP], FORM) == {"lamp": HIT}
    clock.now += 1
    assert kept.find([LAMP], FORM) == {}


def test_what_a_caller_does_to_a_hit_does_not_reach_the_next_one() -> None:
    kept = Documents(10_000)
    kept.keep(LAMP, FORM, HIT)
    kept.find([LAMP], FORM)["lamp"]["_source"]["title"] = "changed"
    assert kept.find([LAMP], FORM) == {"lamp": HIT}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3000)), max_size=30))
def test_no_more_is_kept_than_there_is_room_for(puts: list[tuple[int, int]]) -> None:
    kept = Documents(5_000)
    for seq_no, size in puts:
        kept.keep(LAMP._replace(seq_no=seq_no), FORM, {"_id": "lamp", "text": "x" * size})
    sizes = [len(text) for _, text in kept._kept.values()]
    assert sum(sizes) <= 5_000
    assert kept._bytes == sum(documents._size(text) for _, text in kept._kept.values())


def test_what_was_used_last_goes_last() -> None:
    chair, table = LAMP._replace(name="chair"), LAMP._replace(name="table")
    kept = Documents(2 * documents._size(b" " * 100) + 50)
    for version in (LAMP, chair):
        kept.keep(version, FORM, {"_id": version.name, "text": "x" * 80})
    kept.find([LAMP], FORM)
    kept.keep(table, FORM, {"_id": "table", "text": "x" * 80})
    assert kept.find([LAMP, chair, table], FORM).keys() == {"lamp", "table"}


def test_legs_that_disagree_tell_no_version() -> None:
    newer = LAMP._replace(seq_no=9)
    both = [[candidate(LAMP)], [candidate(LAMP)]]
    assert versions_of(["lamp"], both) == {"lamp": LAMP}
    assert versions_of(["lamp"], [[candidate(LAMP)], [candidate(newer)]]) == {}
    assert versions_of(["lamp"], [[candidate(LAMP)], [candidate(newer)], [candidate(LAMP)]]) == {}
    assert versions_of(["chair"], both) == {}
    assert versions_of(["lamp"], [[candidate(LAMP, fields={ID_COLUMN: ["lamp"]})]]) == {}


@pytest.mark.parametrize(
    "body",
    [
        {"highlight": {"fields": {"title": {}}}},
        {"fields": ["title"]},
        {"docvalue_fields": ["price"]},
        {"script_fields": {"one": {"script": "1"}}},
        {"runtime_mappings": {"one": {"type": "long"}}},
        {"query": {"match": {"title": {"query": "lamp", "_name": "words"}}}},
    ],
)
def test_what_depends_on_more_than_the_document_is_always_asked_for(body: dict[str, Any]) -> None:
    assert documents.form(asked(**body), {}) is None


@pytest.mark.parametrize("header", ["Authorization", "es-security-runas-user"])
def test_clients_with_rights_of_their_own_are_always_asked_for(header: str) -> None:
    assert documents.form(asked(), {header: "somebody"}) is None
    assert documents.form(asked(), {header: ""}) is None
    assert documents.form(asked(), {"X-Opaque-Id": "somebody"}) is not None


def test_each_form_of_a_hit_is_one_of_its_own() -> None:
    forms = [
        documents.form(asked(**body), {})
        for body in (
            {},
            {"_source": ["title"]},
            {"_source": {"excludes": ["title"]}},
            {"_source": ["title"], "version": True},
            {"_source": ["title"], "seq_no_primary_term": True},
        )
    ]
    assert None not in forms
    assert len(set(forms)) == len(forms)


def test_candidates_tell_their_version_only_where_it_is_asked_for() -> None:
    search = bodies.VectorSearch("embedding", num_candidates=50)
    without = bodies.legs(asked(), None, search, ("title",), id_column=True)
    told = bodies.legs(asked(), None, search, ("title",), id_column=True, versions=True)
    foreign = bodies.legs(asked(), None, search, ("title",), id_column=False, versions=True)
    assert without.keyword is not None
    assert told.keyword is not None
    assert foreign.keyword is not None
    assert told.keyword["seq_no_primary_term"] is True
    assert told.keyword["docvalue_fields"] == [ID_COLUMN, ARRIVAL_COLUMN]
    for leg in (without.keyword, foreign.keyword):
        assert "seq_no_primary_term" not in leg
