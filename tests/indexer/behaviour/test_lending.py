"""What other indices' histories lend to a shopper's own."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from indexer.behaviour import lending, shopper_profile
from indexer.behaviour.shopper_profile import ShopperEvent, ShopperProfile
from indexer.identity import hash64

DEEDS = st.lists(st.tuples(st.sampled_from("abcdefg"), st.integers(0, 1000)), max_size=12)


def profile(deeds: Sequence[tuple[str, float]]) -> ShopperProfile:
    events = [ShopperEvent(item, "purchase", float(time)) for item, time in deeds]
    return shopper_profile.decode(shopper_profile.fold(None, events) if events else None)


def names(found: ShopperProfile) -> list[str]:
    return found.ids(len(found))


def test_a_lent_item_stands_where_its_time_puts_it_and_is_called_by_its_index() -> None:
    own, films = profile([("a", 10), ("b", 30)]), profile([("a", 20)])
    found = lending.with_lent(own, {"films": films}, 50)
    assert names(found.profile) == ["b", "films/a", "a"]
    assert found.origin == {"films/a": ("films", "a")}
    assert found.profile.records["item"].tolist() == [hash64(it) for it in names(found.profile)]


def test_how_well_a_shopper_is_known_here_does_not_change() -> None:
    own, films = profile([("a", 10)]), profile([("x", 20), ("y", 30)])
    found = lending.with_lent(own, {"films": films}, 50).profile
    assert found.header["last"] == own.header["last"] == 10.0
    assert found.header["events"].tolist() == own.header["events"].tolist()
    assert found.header["items"] == 3


def test_a_value_of_it_reads_as_the_same() -> None:
    found = lending.with_lent(profile([("a", 1)]), {"films": profile([("b", 2)])}, 50).profile
    assert names(shopper_profile.decode(shopper_profile.encode(found))) == ["films/b", "a"]


@given(own=DEEDS, films=DEEDS, books=DEEDS, most=st.integers(0, 9))
def test_nothing_of_the_own_is_lost_and_the_rest_is_filled_with_the_latest(
    own: list[tuple[str, int]],
    films: list[tuple[str, int]],
    books: list[tuple[str, int]],
    most: int,
) -> None:
    mine, theirs = profile(own), {"films": profile(films), "books": profile(books)}
    found = lending.with_lent(mine, theirs, most)
    lent = [name for name in names(found.profile) if name in found.origin]
    assert [name for name in names(found.profile) if name not in found.origin] == names(mine)
    there = sum(len(it) for it in theirs.values())
    assert len(lent) == len(found.origin) == min(there, max(most - len(mine), 0))
    times = found.profile.records["last"].tolist()
    assert times == sorted(times, reverse=True)
    left_out = [
        float(record["last"])
        for index, it in theirs.items()
        for record, item in zip(it.records, names(it), strict=True)
        if lending.name_of(index, item) not in found.origin
    ]
    taken = [time for time, name in zip(times, names(found.profile), strict=True) if name in lent]
    assert not taken or max(left_out, default=0.0) <= min(taken)
