"""Shoppers' histories made ready for ranking, with what other indices of the shop lend to them."""

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from indexer.behaviour import copurchase, lending, pending, shopper_profile, state
from indexer.behaviour.lending import LentProfile
from indexer.behaviour.shopper_profile import ShopperProfile
from indexer.catalogue import card
from reranker.serving.memory import Memory, Reading
from reranker.signals.past import HISTORY_MAX, Past

Revisions = tuple[bytes | None, ...]  # of all that a past was made of


class Pasts:
    """The shoppers seen last, as they were under the revisions they were read with."""

    def __init__(self, shoppers_max: int) -> None:
        self._shoppers_max = shoppers_max
        self._kept: OrderedDict[tuple[str, bytes], tuple[Revisions, Past]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, index: str, shopper: bytes, revisions: Revisions) -> Past | None:
        """The past of a shopper's value, where nothing changed since it was made ready."""
        with self._lock:
            kept = self._kept.get((index, shopper))
            if kept is None or kept[0] != revisions or None in revisions:
                return None
            self._kept.move_to_end((index, shopper))
            return kept[1]

    def keep(self, index: str, shopper: bytes, revisions: Revisions, past: Past) -> None:
        """Keep one, and let go of the one that was used longest ago."""
        with self._lock:
            self._kept[index, shopper] = (revisions, past)
            while len(self._kept) > self._shoppers_max:
                self._kept.popitem(last=False)


def suffixes(shopper: str) -> tuple[str, str]:
    """Where a pseudonym's deeds are kept: those that are folded, and those on their way."""
    return state.shopper_key(shopper), pending.key(shopper)


def lent(reading: Reading) -> dict[str, bytes]:
    """Values of the shopper's profiles in other indices; absent where there is none."""
    found = {name: pending.over(*values.blobs) for name, values in reading.beside.items()}
    return {name: blob for name, blob in found.items() if blob is not None}


def borrowed(own: ShopperProfile, others: Mapping[str, bytes]) -> LentProfile:
    """The profile with what other indices' profiles lend it, by the values read of them."""
    profiles = {name: shopper_profile.decode(blob) for name, blob in others.items()}
    return lending.with_lent(own, profiles, HISTORY_MAX)


def kept_past(
    memory: Memory, pasts: Pasts, reading: Reading, shopper: bytes | None, dims: int, now: float
) -> Past:
    """The past of a shopper's value with what is lent to it, made anew where none is kept under
    these revisions.
    """
    others = lent(reading)
    if shopper is None and not others:
        return Past(shopper_profile.empty(), None, (), now)
    seen = b"".join([shopper or b"", *others.values()])
    revisions = (*reading.revisions, *(reading.beside[name].revisions[1] for name in others))
    past = pasts.find(reading.index, seen, revisions)
    if past is None:
        profile = borrowed(shopper_profile.decode(shopper), others)
        past = past_of(memory, reading.index, profile.profile, dims, now, profile)
        pasts.keep(reading.index, seen, revisions, past)
    return past


def past_of(
    memory: Memory,
    index: str,
    shopper: ShopperProfile,
    dims: int,
    now: float,
    lent: LentProfile | None = None,
) -> Past:
    """A profile with its latest items' cards and partners; raises ValkeyUnavailable.

    An item that `lent` knows of has the card of its own index; its price says nothing here, and
    whatever was bought with it is not to be had.
    """
    ids = shopper.ids(min(len(shopper), HISTORY_MAX))
    origin = lent.origin if lent else {}
    own = [item_id for item_id in ids if item_id not in origin]
    blobs, rows = memory.history(index, own)
    cards, partners = dict(zip(own, blobs, strict=True)), dict(zip(own, rows, strict=True))
    cards |= _lent_cards(memory, [item_id for item_id in ids if item_id in origin], origin)
    records = card.unpack_many([cards[item_id] for item_id in ids], dims)[0]
    if origin:
        records = records.copy()
        records["price"][[item_id in origin for item_id in ids]] = np.nan
    return Past(
        shopper=shopper,
        history_cards=records,
        partners=tuple(copurchase.unpack(partners.get(item_id)) for item_id in ids),
        now=now,
    )


def _lent_cards(
    memory: Memory, names: Sequence[str], origin: Mapping[str, tuple[str, str]]
) -> dict[str, bytes | None]:
    """The card of each lent item, by its name."""
    by_index: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_index[origin[name][0]].append(name)
    found: dict[str, bytes | None] = {}
    for index, lent in by_index.items():
        blobs = memory.cards(index, [origin[name][1] for name in lent])
        found |= dict(zip(lent, blobs, strict=True))
    return found
