"""Names that were read a moment ago."""

from reranker.retrieval.request import rights
from reranker.serving import titles
from reranker.serving.titles import UNNAMED, Named, NamesSeen

MUG = Named("Mug", "en")


def test_a_name_is_known_under_the_rights_it_was_read_with_only() -> None:
    seen = NamesSeen()
    mine, other = rights({"Authorization": "a"}), rights({"Authorization": "b"})
    runs_as = rights({"Authorization": "a", "es-security-runas-user": "c"})
    seen.keep("shop-1", mine, {"mug": MUG, "gone": UNNAMED})
    assert seen.find("shop-1", mine, ["mug", "gone", "new"]) == {"mug": MUG, "gone": UNNAMED}
    for others in (other, runs_as, rights({}), rights({"Authorization": ""})):
        assert seen.find("shop-1", others, ["mug"]) == {}
    assert seen.find("shop-2", mine, ["mug"]) == {}


def test_an_empty_name_is_not_the_same_as_none() -> None:
    seen = NamesSeen()
    seen.keep("shop", rights({}), {"mug": MUG})
    assert seen.find("shop", rights({}), ["mug"]) == {"mug": MUG}
    assert seen.find("shop", rights({"Authorization": ""}), ["mug"]) == {}


def test_a_name_is_read_again_after_a_while() -> None:
    now = [0.0]
    seen = NamesSeen(seconds=10.0, clock=lambda: now[0])
    seen.keep("shop", (), {"mug": MUG})
    now[0] = 9.0
    assert seen.find("shop", (), ["mug"]) == {"mug": MUG}
    seen.keep("shop", (), {"lamp": MUG})
    now[0] = 10.0
    assert seen.find("shop", (), ["mug", "lamp"]) == {"lamp": MUG}
    now[0] = 30.0
    assert seen.find("shop", (), ["lamp"]) == {}


def test_no_more_names_are_kept_than_may_be() -> None:
    seen = NamesSeen(names_max=4)
    for name in "abcdef":
        seen.keep("shop", (), {name: MUG})
        assert name in seen.find("shop", (), name)
    found = seen.find("shop", (), "abcdef")
    assert 2 <= len(found) <= 4
    assert "a" not in found


def test_only_a_whole_response_says_what_is_not_there() -> None:
    whole = {"hits": {"hits": []}, "_shards": {"failed": 0}, "timed_out": False}
    assert titles.is_whole(whole)
    assert not titles.is_whole({**whole, "timed_out": True})
    assert not titles.is_whole({**whole, "_shards": {"failed": 1}})
    assert not titles.is_whole({"error": {}, "status": 404})
