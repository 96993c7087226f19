"""What is remembered of behaviour, as keys and values: the only place that knows all that ranking
reads (texts to suggest are beside it, in `phrases`).

Pure: the store reads and writes. Folding the same events in another order gives the same counts
(up to rounding); unknown actions change nothing. Keys are suffixes of `hw:{index}:`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from indexer.behaviour import (
    copurchase,
    popularity,
    query_stats,
    shopper_profile,
    trending,
    watermark,
)
from indexer.behaviour.event import BehaviourEvent
from indexer.behaviour.popularity import (
    CART,
    KIND_OF_ACTION,
    PURCHASE,
    RETURNS,
    USUAL_HALF_LIFE_HOURS,
    VIEW,
)
from indexer.identity import hash64

WATERMARK = "watermark"
# A basket is only needed while it may still grow.
BASKET_TTL_SECONDS = 7 * 86_400

Values = Mapping[str, bytes | None]


def popularity_key(item_id: str) -> str:
    """Key of an item's `popularity` record."""
    return f"pop:{item_id}"


def shopper_key(user: str) -> str:
    """Key of a pseudonym's `shopper_profile`."""
    return f"shopper:{user}"


def query_stats_key(query: str) -> str:
    """Key of a normalised search text's `query_stats`; hashed, so that the text is not kept."""
    return f"query:{hash64(query):016x}"


def partners_key(item_id: str) -> str:
    """Key of an item's `copurchase` row."""
    return f"co:{item_id}"


def basket_key(basket: str) -> str:
    """Key of an open basket."""
    return f"basket:{basket}"


def basket_keys(events: Iterable[BehaviourEvent]) -> list[str]:
    """Keys of the baskets that `events` add to: read them first, `keys_for` wants their values."""
    found = (basket_key(e.basket) for e in events if e.basket is not None and _fills_basket(e))
    return list(dict.fromkeys(found))


def keys_for(events: Sequence[BehaviourEvent], baskets: Values | None = None) -> list[str]:
    """Every key that folding `events` reads or writes.

    `baskets` are the values of `basket_keys(events)`. Without them an item that was in a basket
    before does not learn of a partner that joins now (the partner learns of it).
    """
    keys = [WATERMARK, *basket_keys(events)]
    for event in events:
        if _counts(event):
            keys += [popularity_key(event.item_id), trending.BOARD]
        if event.user is not None and shopper_profile.handles(event.action):
            keys.append(shopper_key(event.user))
            if event.client is not None:
                keys.append(shopper_key(event.client))
        if event.query_key and event.action in KIND_OF_ACTION:
            keys.append(query_stats_key(event.query_key))
        if _fills_basket(event):
            keys.append(partners_key(event.item_id))
    for blob in (baskets or {}).values():
        keys.extend(partners_key(item) for item in copurchase.decode_basket(blob))
    return list(dict.fromkeys(keys))


def fold(
    values: Values,
    events: Sequence[BehaviourEvent],
    half_life_hours: float = USUAL_HALF_LIFE_HOURS,
) -> dict[str, bytes]:
    """New values of the keys that `events` change; `values` are those of `keys_for(events)`.

    `half_life_hours` is that of what is trending, as the index's configuration says.
    """
    counted = [e for e in events if e.action in KIND_OF_ACTION or shopper_profile.handles(e.action)]
    if not counted:
        return {}
    mark = watermark.advance(
        watermark.decode(values.get(WATERMARK)), [e.timestamp for e in counted]
    )
    latest = mark.latest_for_counts()
    return {
        WATERMARK: watermark.encode(mark),
        **_fold_popularity(values, counted, latest, half_life_hours),
        **_fold_shoppers(values, counted),
        **_fold_queries(values, counted, latest),
        **_fold_baskets(values, counted),
    }


def _fold_popularity(
    values: Values, events: Sequence[BehaviourEvent], latest: float, half_life_hours: float
) -> dict[str, bytes]:
    events = [e for e in events if _counts(e)]
    if not events:
        return {}
    rows: dict[str, int] = {}
    for event in events:
        rows.setdefault(popularity_key(event.item_id), len(rows))
    columns = popularity.ItemEvents(
        row=np.array([rows[popularity_key(e.item_id)] for e in events], dtype=np.intp),
        kind=np.array([KIND_OF_ACTION.get(e.action, PURCHASE) for e in events], dtype=np.intp),
        time=np.minimum(np.array([e.timestamp for e in events]), latest),
        buyer=np.array([_buyer(e) for e in events], dtype=np.int64),
        sign=np.array([-1.0 if e.action in RETURNS else 1.0 for e in events], dtype=np.float32),
    )
    new = popularity.fold([values.get(key) for key in rows], columns, half_life_hours)
    found = dict(zip(rows, new, strict=True))
    board = {key.removeprefix("pop:"): record for key, record in found.items()}
    folded = trending.fold(values.get(trending.BOARD), board, half_life_hours)
    return {**found, trending.BOARD: folded}


def _counts(event: BehaviourEvent) -> bool:
    return event.action in KIND_OF_ACTION or event.action in RETURNS


def _buyer(event: BehaviourEvent) -> int:
    who = event.user or event.session
    return hash64(who) >> 1 if event.action == "purchase" and who else -1


def _fold_shoppers(values: Values, events: Sequence[BehaviourEvent]) -> dict[str, bytes]:
    """Deeds go to who did them; a known user takes over what the client did before unnamed."""
    found = _Shoppers(values)
    for event in events:
        if event.user is not None and shopper_profile.handles(event.action):
            if event.client is not None:
                found.take_over(shopper_key(event.client), shopper_key(event.user))
            deed = shopper_profile.ShopperEvent(event.item_id, event.action, event.timestamp)
            found.add(shopper_key(event.user), deed)
    return found.changed()


class _Shoppers:
    """Profiles that change, each folded as late as possible."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._new: dict[str, bytes] = {}
        self._deeds: dict[str, list[shopper_profile.ShopperEvent]] = defaultdict(list)

    def add(self, key: str, deed: shopper_profile.ShopperEvent) -> None:
        self._deeds[key].append(deed)

    def take_over(self, client: str, user: str) -> None:
        before = self._folded(client)
        if before is None or not len(shopper_profile.decode(before)):
            return
        self._new[user] = shopper_profile.merged(self._folded(user), before)
        self._new[client] = shopper_profile.encode(shopper_profile.empty())

    def changed(self) -> dict[str, bytes]:
        for key in list(self._deeds):
            self._folded(key)
        return self._new

    def _folded(self, key: str) -> bytes | None:
        blob = self._new.get(key, self._values.get(key))
        if deeds := self._deeds.pop(key, None):
            blob = self._new[key] = shopper_profile.fold(blob, deeds)
        return blob


def _fold_queries(
    values: Values, events: Sequence[BehaviourEvent], latest: float
) -> dict[str, bytes]:
    by_query: dict[str, list[query_stats.QueryEvent]] = defaultdict(list)
    for event in events:
        if event.query_key and event.action in KIND_OF_ACTION:
            by_query[query_stats_key(event.query_key)].append(
                query_stats.QueryEvent(
                    event.item_id, event.action, min(event.timestamp, latest), event.position
                )
            )
    return {key: query_stats.fold(values.get(key), deeds) for key, deeds in by_query.items()}


def _fills_basket(event: BehaviourEvent) -> bool:
    return event.basket is not None and KIND_OF_ACTION.get(event.action, 0) >= VIEW


def _fold_baskets(values: Values, events: Sequence[BehaviourEvent]) -> dict[str, bytes]:
    by_basket: dict[str, list[BehaviourEvent]] = defaultdict(list)
    for event in events:
        if event.basket is not None and _fills_basket(event):
            by_basket[basket_key(event.basket)].append(event)
    changed: dict[str, bytes] = {}
    found = []
    for key, additions in by_basket.items():
        before = copurchase.decode_basket(values.get(key))
        after = _added(before, additions)
        if after != before:
            changed[key] = copurchase.encode_basket(after)
            found.append(copurchase.pairs(before, after))
    return {**changed, **_fold_partners(values, found)}


def _added(before: Mapping[str, int], events: Sequence[BehaviourEvent]) -> dict[str, int]:
    after = dict(before)
    for event in events:
        bought = KIND_OF_ACTION[event.action] in (CART, PURCHASE)
        bit = copurchase.BOUGHT if bought else copurchase.VIEWED
        after[event.item_id] = after.get(event.item_id, 0) | bit
    return after


def _fold_partners(values: Values, found: Sequence[copurchase.Pairs]) -> dict[str, bytes]:
    if not found:
        return {}
    items, partners, weights = (np.concatenate(column) for column in zip(*found, strict=True))
    keys = [key for key in values if key.startswith("co:")]
    hashed = [hash64(key.removeprefix("co:")) for key in keys]
    rows = copurchase.fold(hashed, [values[key] for key in keys], items, partners, weights)
    return {key: row for key, row in zip(keys, rows, strict=True) if row is not None}
