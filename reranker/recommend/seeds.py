"""Items that a recommendation starts from (a cart, a session, an item's page), as a past. Pure."""

from collections.abc import Sequence

from indexer.behaviour import shopper_profile
from indexer.behaviour.shopper_profile import ShopperEvent, ShopperProfile

SEED, LOOKED_AT = "add_to_cart", "view"


def touched_now(
    profile: ShopperProfile, items: Sequence[str], now: float, action: str = SEED
) -> ShopperProfile:
    """The profile as if the items had been touched just now; the last one counts first."""
    if not items:
        return profile
    # One after the other within a second, so that their order is kept.
    step = 1.0 / (len(items) + 1)
    deeds = [
        ShopperEvent(item_id, action, now - 1.0 + step * number)
        for number, item_id in enumerate(items, 1)
    ]
    return shopper_profile.decode(shopper_profile.fold(shopper_profile.encode(profile), deeds))
