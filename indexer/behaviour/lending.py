"""What a shopper did in other indices of the same shop, beside what they did in this one; pure.

Items of two indices share nothing but the language model's space and the names of their categories
and brands. So a lent item is called by its index as well, which no counts of this index know, and
it fills only the places that the shopper's own history leaves empty.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from indexer.behaviour.shopper_profile import ITEM, ShopperProfile
from indexer.identity import hashes


@dataclass(frozen=True, eq=False)
class LentProfile:
    """A profile, and by the id that a lent item has in it its index and its id there."""

    profile: ShopperProfile
    origin: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def name_of(index: str, item_id: str) -> str:
    """What an item of another index is called in a profile, and so in explanations."""
    return f"{index}/{item_id}"


def with_lent(
    own: ShopperProfile, lent: Mapping[str, ShopperProfile], items_max: int
) -> LentProfile:
    """`own` with the latest items of other indices' profiles, by index, up to `items_max` in all.

    The header stays: how well the shopper is known here does not change.
    """
    room = max(items_max - len(own), 0)
    every = [
        (record, name_of(index, item_id), (index, item_id))
        for index, profile in lent.items()
        for record, item_id in zip(
            profile.records[:room], profile.ids(min(len(profile), room)), strict=True
        )
    ]
    taken = sorted(every, key=lambda it: -float(it[0]["last"]))[:room]
    if not taken:
        return LentProfile(own)
    names = [name for _, name, _ in taken]
    added = np.array([record for record, _, _ in taken], dtype=ITEM)
    added["item"] = hashes(names)
    added["id_bytes"] = [len(name.encode()) for name in names]
    records, ids = np.concatenate([own.records, added]), [*own.ids(len(own)), *names]
    order = np.argsort(-records["last"], kind="stable")
    header = own.header.copy()
    header["items"] = len(order)
    blob = "".join(ids[row] for row in order.tolist()).encode()
    return LentProfile(
        ShopperProfile(header, records[order], blob), {name: where for _, name, where in taken}
    )
