"""What actions of a shop's own names may count as."""

from indexer.behaviour import popularity, shopper_profile, ubi
from indexer.catalogue.actions import COUNTED


def test_they_count_as_what_behaviour_knows_and_as_all_of_it() -> None:
    assert set(COUNTED) == ubi.ITEM_ACTIONS | {"view"}
    for action in COUNTED:
        assert action in popularity.KIND_OF_ACTION or shopper_profile.handles(action), action
